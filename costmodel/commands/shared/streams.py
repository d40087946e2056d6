"""The three standard streams, even if one is closed or cannot encode every character."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import Any, TextIO

SPELLED = {"→": "->", "·": "*", "²": "^2", "³": "^3", "⁴": "^4", "⁹": "^9", "─": "-", "…": "..."}

# Error numbers of a result that cannot be written: the disk is full, or the pipe is closed.
FULL = frozenset((errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG))
UNWRITABLE = FULL | {errno.EPIPE, errno.EBADF}


def prepare_streams() -> None:
    """Open streams that were closed at start-up, and let output escape characters that it cannot encode.

    A closed stream's descriptor would be given to the next opened file, which would then receive messages.
    Writing to a closed stdout stays an error; messages to a closed stderr are lost, as they must be.
    """
    for name, flags in (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, flags)  # writing to stdout must fail
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        spell_out(stream)


def spell_out(stream: TextIO) -> None:
    """Let a stream replace characters that its encoding lacks instead of raising an error."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="spelled")


def encodable(text: str, encoding: str) -> str:
    """Return a text as an encoding will write it, so that a table can be laid out for it."""
    return text.encode(encoding, "spelled").decode(encoding)


def discard(stream: TextIO) -> None:
    """Redirect a stream to nowhere, so that Python does not try to flush its buffer at exit."""
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
