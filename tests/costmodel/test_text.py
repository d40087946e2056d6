from __future__ import annotations

import re
from pathlib import Path

import pytest

from costmodel.text import decode, parse_json, read_text, visible


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain text, → ² é 日本", "plain text, → ² é 日本"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b31m, \x7f, \x00, \x07", r"\x9b31m, \x7f, \x00, \x07"),
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\u202egnp.exe\u2069", r"\u202egnp.exe\u2069"),
        ("\u2028 \ufeff \udcff", r"\u2028 \ufeff \udcff"),
    ],
)
def test_what_a_terminal_would_obey_is_spelled_out(text: str, seen: str) -> None:
    assert visible(text) == seen


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_of_windows_are_read(tmp_path: Path, encoding: str, end: str) -> None:
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    (tmp_path / "a.txt").write_bytes(f"{mark}α = 1{end}b{end}".encode(encoding))
    assert read_text(tmp_path / "a.txt") == "α = 1\nb\n"


@pytest.mark.parametrize("content", [b"\xff\xfea", b"\xe9", b"\xef\xbb\xbf\xe9"])
def test_what_is_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not text in UTF-"):
        decode(content)


@pytest.mark.parametrize(
    ("name", "why"), [("nowhere", "No such file"), (".", "Is a directory"), ("n" * 300, "File name too long")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"{re.escape(str(tmp_path / name))} cannot be read: {why}"):
        read_text(tmp_path / name)


def test_json_that_is_nested_too_deeply_is_refused() -> None:
    assert parse_json("[[1]]") == [[1]]
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json("[" * 100_000 + "]" * 100_000)
