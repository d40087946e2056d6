"""Text from outside: files as Windows writes them, and characters that would control a terminal.

`pwoct.training.text` has its own copy of the reader, since the two packages are independent.
"""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from typing import Any

LONGEST = 300  # up to which a message repeats a word in full, in characters

# Byte-order marks: Notepad writes one in UTF-8 files, PowerShell in UTF-16 ones.
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

# Control characters, bidirectional controls, line separators, and surrogates.
OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def visible(text: str) -> str:
    """Return a text in which every character that would control a terminal is escaped.

    >>> visible("a\\x1b[31mb"), visible("two\\nlines"), visible("résumé")
    ('a\\\\x1b[31mb', 'two\\\\nlines', 'résumé')
    """
    return OBEYED.sub(lambda found: _spelled(found[0]), text)


def restated(message: str) -> str:
    """Return a message as one line, even if the value that it restates is empty or very long.

    >>> restated("alpha must be a number, got "), restated("got\\n1/4")
    ('alpha must be a number, got nothing', 'got 1/4')
    """
    words = [word if len(word) <= LONGEST else f"{word[:40]}...{word[-40:]}" for word in message.split()]
    return " ".join([*words, "nothing"] if words[-1:] == ["got"] else words)


def decode(content: bytes) -> str:
    """Decode bytes as UTF-8, or as UTF-16 if they begin with its byte-order mark; line ends become \\n.

    Raises ValueError if they are not text in that encoding.

    >>> decode(b"\\xef\\xbb\\xbfa\\r\\nb"), decode("a".encode("utf-16"))
    ('a\\nb', 'a')
    """
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding).replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise ValueError(f"it is not text in {encoding.removesuffix('-sig').upper()}") from None


def read_text(path: Path) -> str:
    """Return the text of a file, in UTF-8 or UTF-16.

    Raises ValueError if the file cannot be read, or is not text.
    """
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


def parse_json(text: str) -> Any:
    """Parse a JSON text. Raises ValueError if it is invalid, or nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _spelled(char: str) -> str:
    short = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(char)
    return short or (f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}")
