"""Text files as found in practice: UTF-8, with or without a byte-order mark, or UTF-16 as PowerShell writes.

`costmodel.text` has its own copy, since the two packages know nothing of each other.
"""

import codecs
import json
from pathlib import Path
from typing import Any

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_text(path: Path) -> str:
    """Return the text of a file, with line ends as \\n.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is not text.
    """
    content = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding).replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise ValueError(f"it is not text in {encoding.removesuffix('-sig').upper()}") from None


def read_json(path: Path) -> Any:
    """Return the JSON value of a file.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(read_text(path))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
