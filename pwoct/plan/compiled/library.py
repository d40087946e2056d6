"""The compiled kernels of the plan "native": built by the C++ compiler of the machine, once, and kept."""

import contextlib
import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock

import pooch
import torch

SOURCES = Path(__file__).with_name("cpp")
OPTIONS = ("-O3", "-march=native", "-ffp-contract=fast", "-std=c++17", "-shared", "-fPIC")
# Elsewhere PyTorch brings another OpenMP than the compiler, and a process must not have both.
OPENMP = ("-fopenmp",) if sys.platform == "linux" else ()
COUNTS = ("vector_bytes", "operation_bytes", "step_bytes", "channels", "tile_channels", "side", "has_tiles")
DTYPES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}


class CompilerError(RuntimeError):
    """The kernels could not be compiled, kept or loaded; its text is one line."""


def compiler() -> list[str]:
    """Return the command of the C++ compiler: what the environment variable CXX says, or c++."""
    return shlex.split(os.environ.get("CXX", "")) or ["c++"]


@cache
def why_not(dtype: torch.dtype) -> str | None:
    """Return why the kernels cannot compute in `dtype` on this machine, or None if they can."""
    if dtype not in DTYPES:
        return (
            f"its kernels compute in {', '.join(DTYPES.values())}, not in {str(dtype).removeprefix('torch.')}"
        )
    if shutil.which(compiler()[0]) is None:
        return f"it needs a C++ compiler, and there is no {compiler()[0]} (CXX can name another)"
    try:
        kernels = load()
    except CompilerError as error:
        return str(error)
    if not hasattr(kernels, f"pwoct_run_{DTYPES[dtype]}"):
        return "its kernels need a processor and a compiler with AVX-512 BF16 for bfloat16"
    return None


_FIRST = Lock()  # so that threads that come at once do not all compile


def load() -> ctypes.CDLL:
    """Return the kernels, compiled for this processor unless they are in the user's cache.

    Raises:
        CompilerError: if the compiler fails, or the cache cannot be used.
    """
    with _FIRST:
        return _load()


@cache
def _load() -> ctypes.CDLL:
    sources = sorted(SOURCES.glob("*.cpp"))
    content = b"".join(path.read_bytes() for path in [*sorted(SOURCES.glob("*.h")), *sources])
    # A cache may be shared by machines; what the compiler makes of -march=native tells them apart.
    macros = _run("-march=native", "-dM", "-E", "-x", "c++", os.devnull)
    made_by = " ".join((*OPTIONS, *OPENMP, *platform.libc_ver(), sys.platform)).encode()
    key = hashlib.sha256(content + macros + made_by).hexdigest()[:16]
    library = Path(pooch.os_cache("pwoct-cost")) / f"kernels-{key}.so"
    try:
        if library.exists():
            with contextlib.suppress(OSError):  # damaged: it is made again
                return _opened(library)
        _build(sources, library)
        return _opened(library)
    except OSError as error:
        reason = " ".join(str(error).split())
        raise CompilerError(f"the kernels cannot be kept in {library.parent} or loaded: {reason}") from error


def _opened(library: Path) -> ctypes.CDLL:
    kernels = ctypes.CDLL(str(library))
    scratch = [f"scratch_bytes_{dtype}" for dtype in DTYPES.values()]
    for name in (*COUNTS, *scratch, "scratch_vectors"):
        if hasattr(kernels, f"pwoct_{name}"):
            getattr(kernels, f"pwoct_{name}").restype = ctypes.c_int64
    return kernels


def _build(sources: Sequence[Path], library: Path) -> None:
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        built = Path(folder) / library.name
        command = (*OPTIONS, *map(str, sources), "-o", str(built))
        try:
            _run(*OPENMP, *command)
        except CompilerError:  # perhaps it has no OpenMP; if that is not why, it fails again
            _run(*command)
        built.replace(library)  # whole, whoever else builds it now


def _run(*arguments: str) -> bytes:
    command = [*compiler(), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"").decode(errors="replace").strip().splitlines()
        reason = next((line for line in said if "error" in line), said[0] if said else str(error))
        raise CompilerError(f"{' '.join(command)} failed: {reason}") from error
    return done.stdout
