"""The three standard streams: also where one is closed, or cannot write every character."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import Any, TextIO

SPELLED = {"→": "->", "·": "*", "²": "^2", "³": "^3", "⁴": "^4", "⁹": "^9", "─": "-", "…": "..."}

# What an error says where a result cannot be written: it has no place, or nobody reads it.
FULL = frozenset((errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG))
UNWRITABLE = FULL | {errno.EPIPE, errno.EBADF}


def prepare_streams() -> None:
    """Open streams that were closed when the process began, and let output spell out what it must.

    A closed stream's number would go to the next file that is opened, which would then receive messages.
    Writing to a closed stdout stays an error; messages to a closed stderr are lost, as they must be.
    """
    for name, flags in (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, flags)  # stdout too for reading: whoever writes is told
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        spell_out(stream)


def spell_out(stream: TextIO) -> None:
    """Let a stream spell out what its encoding lacks, where it would raise an error."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="spelled")


def encodable(text: str, encoding: str) -> str:
    """Return a text as an encoding will spell it, so that a table can be laid out for that."""
    return text.encode(encoding, "spelled").decode(encoding)


def discard(stream: TextIO) -> None:
    """Lead a stream to nowhere, or Python tries to write its buffer again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def lacks_unicode(stream: Any) -> bool:
    """Return whether a stream's encoding cannot write every character."""
    return not str(getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that an encoding lacks, as an error handler of `codecs` does."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(SPELLED.get(char, "?") for char in error.object[error.start : error.end]), error.end


codecs.register_error("spelled", _spelled)
