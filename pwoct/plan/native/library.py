"""The compiled kernels of the plan "native": built by the C++ compiler of the machine, once, and kept."""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pooch
import torch

FOLDER = Path(__file__).parent
OPTIONS = ("-O3", "-march=native", "-ffp-contract=fast", "-std=c++17", "-shared", "-fPIC")
DTYPES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}


class CompilerError(RuntimeError):
    """The kernels could not be compiled; its text is one line."""


def compiler() -> str:
    """Return the C++ compiler: what the environment variable CXX names, or c++."""
    return os.environ.get("CXX") or "c++"


@cache
def why_not(dtype: torch.dtype) -> str | None:
    """Return why the kernels cannot compute in `dtype` on this machine, or None if they can."""
    if dtype not in DTYPES:
        return (
            f"its kernels compute in {', '.join(DTYPES.values())}, not in {str(dtype).removeprefix('torch.')}"
        )
    if shutil.which(compiler()) is None:
        return f"it needs a C++ compiler, and there is no {compiler()} (CXX can name another)"
    try:
        kernels = load()
    except CompilerError as error:
        return str(error)
    if not hasattr(kernels, f"pwoct_run_{DTYPES[dtype]}"):
        return "its kernels compute in bfloat16 on processors with AVX-512 BF16, and this one has none"
    return None


@cache
def load() -> ctypes.CDLL:
    """Return the kernels, compiled for this processor unless they are in the user's cache.

    Raises:
        CompilerError: if the compiler fails, or the cache cannot be used.
    """
    sources = sorted(FOLDER.glob("*.cpp"))
    content = b"".join(path.read_bytes() for path in [*sorted(FOLDER.glob("*.h")), *sources])
    # A cache may be shared by machines; what the compiler makes of -march=native tells them apart.
    macros = _run("-march=native", "-dM", "-E", "-x", "c++", os.devnull)
    key = hashlib.sha256(content + macros + " ".join(OPTIONS).encode()).hexdigest()[:16]
    library = Path(pooch.os_cache("pwoct-cost")) / f"kernels-{key}.so"
    try:
        if not library.exists():
            library.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=library.parent) as folder:
                built = Path(folder) / library.name
                _run(*OPTIONS, *map(str, sources), "-o", str(built))
                built.replace(library)  # whole, whoever else builds it now
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise CompilerError(f"the kernels cannot be kept in {library.parent} or loaded: {error}") from error


def _run(*arguments: str) -> bytes:
    command = [compiler(), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"").decode(errors="replace").strip().splitlines()
        reason = next((line for line in said if "error" in line), said[0] if said else str(error))
        raise CompilerError(f"{' '.join(command)} failed: {reason}") from error
    return done.stdout
