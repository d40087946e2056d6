"""Memory: how much is available, whether something fits, and messages about failed allocations."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

# Messages of PyTorch's and operating systems' allocators about too little memory.
_SHORTAGE = re.compile(
    r"can't allocate memory|cannot allocate memory|not enough memory|out of memory"
    r"|storage size calculation overflowed|array is too big|unable to allocate",
    re.IGNORECASE,
)
_ASKED = re.compile(r"allocate (\d+) bytes")
_CONTROL_GROUP = Path("/sys/fs/cgroup")


def in_words(count: int) -> str:
    """Return a number of bytes in a suitable unit.

    >>> in_words(3 * 2**30), in_words(2000)
    ('3.0 GiB', '2.0 KiB')
    """
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1024:
            return f"{size:,.0f} bytes" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} EiB"


def available() -> int | None:
    """Return how many bytes this process can still allocate; None if the system does not say."""
    return min(_limits(), default=None)


def check_memory(needed: int, what: str) -> None:
    """Raise ValueError if `what` needs more bytes than are available.

    Linux grants memory that it does not have and kills the process that uses it, so this is checked first.
    """
    there = available()
    if there is not None and needed > there:
        raise ValueError(
            f"{what} would need about {in_words(needed)} of memory, and {in_words(there)} is available"
        )


def shortage(error: BaseException) -> str | None:
    """Return a sentence about memory if an error is due to a lack of it, else None."""
    text = str(error)
    if not isinstance(error, MemoryError) and not _SHORTAGE.search(text):
        return None
    asked = _ASKED.search(text)
    amount = f": {in_words(int(asked[1]))} in one piece" if asked else ""
    return f"this needs more memory than there is{amount}; choose a smaller size, width, batch or depth"


def _limits() -> Iterator[int]:
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            yield 1024 * int(line.split()[1])
    most, used = (_number(_CONTROL_GROUP / f"memory.{name}") for name in ("max", "current"))
    if most is not None and used is not None:
        yield max(0, most - used)
    if not Path("/proc/meminfo").exists() and hasattr(os, "sysconf"):  # macOS: the total memory
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _number(path: Path) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].isdecimal() else None
