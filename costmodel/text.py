"""Text from outside: files as Windows writes them, and characters that a terminal would obey.

`pwoct.training.text` has its own copy of the reading, since the two packages know nothing of each other.
"""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from typing import Any

LONGEST = 300  # characters of a word that a message repeats in full

# A mark at the start of a file says its encoding: UTF-8 as Notepad writes it, UTF-16 as PowerShell does.
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

# Control characters, what changes the direction of writing, separators of lines, and halves of characters.
OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def visible(text: str) -> str:
    """Return a text in which every character that a terminal would obey is spelled out.

    >>> visible("a\\x1b[31mb"), visible("two\\nlines"), visible("résumé")
    ('a\\\\x1b[31mb', 'two\\\\nlines', 'résumé')
    """
    return OBEYED.sub(lambda found: _spelled(found[0]), text)


def restated(message: str) -> str:
    """Return a message in one line, also where the value that it restates is empty or very long.

    >>> restated("alpha must be a number, got "), restated("got\\n1/4")
    ('alpha must be a number, got nothing', 'got 1/4')
    """
    words = [word if len(word) <= LONGEST else f"{word[:40]}...{word[-40:]}" for word in message.split()]
    return " ".join([*words, "nothing"] if words[-1:] == ["got"] else words)


def decode(content: bytes) -> str:
    """Return the text that bytes hold, in UTF-8 unless a mark at their start says UTF-16; line ends are \\n.

    Raises ValueError where they are no text in that encoding.

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

    Raises ValueError where the file cannot be read, or is no text.
    """
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


def parse_json(text: str) -> Any:
    """Return what a JSON text says. Raises ValueError where it is none, or is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _spelled(char: str) -> str:
    short = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(char)
    return short or (f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}")
