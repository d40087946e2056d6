"""A lock on a file that ends with the process: `flock` where the system has it, `msvcrt` on Windows."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

# The error numbers of a lock that another process holds.
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class TakenError(OSError):
    """Another process holds the lock."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on a file, which is created if it is missing; a link in its place is not followed.

    Raises:
        TakenError: if another process holds it.
        OSError: if the file cannot be opened, or the file system does not support locks.
    """
    descriptor = os.open(path, _OPEN, 0o666)
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        _system_lock(descriptor)
    except OSError as error:
        kind = TakenError if error.errno in _TAKEN else OSError
        raise kind(error.errno, error.strerror, str(path)) from None


def _system_lock(descriptor: int) -> None:
    fcntl, msvcrt = _module("fcntl"), _module("msvcrt")
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)


def _module(name: str) -> Any:
    """Return a platform-specific module; None on other platforms."""
    try:
        return import_module(name)
    except ImportError:
        return None
