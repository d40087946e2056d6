"""The compiled kernels of the plans "native" and "blocked": built once by the machine's compiler, and cached.

The cache is a folder that only the user can write; each library has its SHA-256 beside it. A damaged library
is rebuilt; if there can be no such folder, libraries are built for one process.
"""

import contextlib
import ctypes
import hashlib
import logging
import os
import platform
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock

import pooch
import torch

from pwoct.plan.compiled.compiler import PATIENCE, CompilerError, compiler, links_openmp, macros, march, run

__all__ = ["CompilerError", "compiler", "load", "why_not"]

SOURCES = Path(__file__).with_name("cpp")
OPTIONS = ("-O3", "-ffp-contract=fast", "-std=c++17", "-shared", "-fPIC")
COUNTS = (
    *("vector_bytes", "operation_bytes", "step_bytes", "channels", "tile_channels", "side"),
    *("multiplies_bfloat16", "has_tiles"),
)
DTYPES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}
LOG = logging.getLogger(__name__)


@cache
def why_not(dtype: torch.dtype) -> str | None:
    """Return why the kernels cannot compute in `dtype` on this machine, or None if they can."""
    if dtype not in DTYPES:
        return (
            f"its kernels compute in {', '.join(DTYPES.values())}, not in {str(dtype).removeprefix('torch.')}"
        )
    if shutil.which(compiler()[0]) is None:
        return f"it needs a C++ compiler, and {compiler()[0]} is not installed (CXX can name another)"
    try:
        load()
    except CompilerError as error:
        return str(error)
    return None


_FIRST = Lock()  # so that concurrent threads do not all compile


def load() -> ctypes.CDLL:
    """Return the kernels, compiled for this processor unless they are in the user's cache.

    After a failure, the compiler is not run again in this process.

    Raises:
        CompilerError: if the compiler fails, or the cache cannot be used.
    """
    with _FIRST:
        found = _load()
    if isinstance(found, CompilerError):
        raise CompilerError(str(found))
    return found


@cache
def _load() -> ctypes.CDLL | CompilerError:
    folder = Path(pooch.os_cache("pwoct-cost")) / "kernels"
    try:
        return _found_or_built(folder)
    except CompilerError as error:
        return _reported(error)
    except OSError as error:
        reason = " ".join(str(error).split())
        return _reported(CompilerError(f"the kernels cannot be stored in {folder} or loaded: {reason}"))


def _reported(error: CompilerError) -> CompilerError:
    LOG.warning("there are no kernels for this processor, so networks are slower: %s", error)
    return error


def _found_or_built(folder: Path) -> ctypes.CDLL:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not _is_private(folder):
        LOG.warning("other users can write to %s: kernels are compiled for this process only", folder)
        with tempfile.TemporaryDirectory(prefix="pwoct-kernels-") as private:
            return _kept_or_built(Path(private))
    return _kept_or_built(folder)


def _kept_or_built(folder: Path) -> ctypes.CDLL:
    defined, openmp = macros()
    library = _place(folder, defined, openmp)
    if not _is_whole(library) and openmp and not links_openmp():
        openmp = ()
        library = _place(folder, defined, openmp)
    if _is_whole(library):
        with contextlib.suppress(OSError):  # of another system: it is rebuilt
            return _opened(library)
    _build(library, openmp)
    return _opened(library)


def _place(folder: Path, defined: bytes, openmp: Sequence[str]) -> Path:
    """Return the path of a library: its name encodes all that it is made of."""
    sources = (path.read_bytes() for path in _sources("*.h") + _sources("*.cpp"))
    made_by = " ".join((*OPTIONS, march(), *openmp, *platform.libc_ver(), sys.platform)).encode()
    key = hashlib.sha256(b"".join((*sources, defined, made_by))).hexdigest()[:16]
    return folder / f"kernels-{key}.so"


def _sources(pattern: str) -> list[Path]:
    return sorted(SOURCES.glob(pattern))


def _is_private(folder: Path) -> bool:
    """Whether a folder belongs to the user, and others can neither write to it nor read it."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return False
    if hasattr(os, "geteuid"):
        if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return False
        folder.chmod(0o700)
    return True


def _digest(library: Path) -> Path:
    return library.with_name(f"{library.name}.sha256")


def _is_whole(library: Path) -> bool:
    """Whether a library has the SHA-256 that was recorded when it was built."""
    try:
        expected = _digest(library).read_text(encoding="ascii", errors="replace")
        return hashlib.sha256(library.read_bytes()).hexdigest() == expected.strip()
    except OSError:
        return False


def _opened(library: Path) -> ctypes.CDLL:
    kernels = ctypes.CDLL(str(library))
    scratch = (f"scratch_{unit}_{dtype}" for unit in ("bytes", "vectors") for dtype in DTYPES.values())
    for name in (*COUNTS, *scratch):
        getattr(kernels, f"pwoct_{name}").restype = ctypes.c_int64
    return kernels


def _build(library: Path, openmp: Sequence[str]) -> None:
    _remove_leftovers(library.parent)
    with tempfile.TemporaryDirectory(prefix="building-", dir=library.parent) as folder:
        built = Path(folder) / library.name
        LOG.info("compiling kernels for this processor; this takes about 15 seconds, once")
        run(*openmp, march(), *OPTIONS, *map(str, _sources("*.cpp")), "-o", str(built))
        _digest(built).write_text(hashlib.sha256(built.read_bytes()).hexdigest(), encoding="ascii")
        for whole in (built, _digest(built)):  # another process may be building it now
            whole.replace(library.parent / whole.name)


def _remove_leftovers(folder: Path) -> None:
    """Remove the leftovers of killed compilations."""
    for left in folder.glob("building-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.lstat().st_mtime > 2 * PATIENCE:
                shutil.rmtree(left)
