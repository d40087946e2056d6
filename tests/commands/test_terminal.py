"""A sign of life for long work: on a terminal, and nowhere else."""

from __future__ import annotations

import io
import sys

import pytest

from costmodel.commands.shared.terminal import USUAL_WIDTH, at_work, console, followed


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, term: str) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with at_work("counting [red]all[/red]"):
        pass
    return stream.getvalue()


def test_a_terminal_shows_what_is_done_and_keeps_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = told(monkeypatch, Terminal(), "xterm")
    assert "counting [red]all[/red]" in shown
    assert shown.endswith("\x1b[2K")  # the line is erased
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1  # the cursor is there again


def test_a_terminal_that_cannot_renew_a_line_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, Terminal(), "dumb") == "pwoct-cost: counting [red]all[/red]\n"


def test_a_file_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, io.StringIO(), "xterm") == ""


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_items_that_are_followed_stay_the_same(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    assert list(followed(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    assert ("letters" in stream.getvalue()) is stream.isatty()


@pytest.mark.parametrize(("columns", "width"), [("0", USUAL_WIDTH), ("1", 1), ("133", 133)])
def test_the_width_of_a_console(monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert console().width == width
