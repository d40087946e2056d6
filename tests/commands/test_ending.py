"""Whatever a command raises, the process ends in one line and a documented exit code."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from typing import Any

import pytest
import typer

import cli
from costmodel.commands.shared.ending import DEBUG, exit_code

Run = Callable[..., Any]


def raised(error: BaseException, cause: BaseException | None = None) -> Callable[[], None]:
    def run() -> None:
        raise error from cause

    return run


@pytest.mark.parametrize(
    ("run", "code", "said"),
    [
        (lambda: None, 0, ""),
        (lambda: 5, 5, ""),
        (raised(KeyboardInterrupt()), 130, ""),
        (raised(typer.Abort()), 130, ""),
        (raised(ImportError("half a module"), KeyboardInterrupt()), 130, ""),
        (raised(SystemExit(3)), 3, ""),
        (raised(SystemExit()), 0, ""),
        (raised(typer.BadParameter("must be odd")), 2, "pwoct-cost: error: Invalid value: must be odd"),
        (raised(MemoryError()), 2, "this needs more memory than there is"),
        (raised(OSError(errno.ENOMEM, "Cannot allocate memory")), 2, "this needs more memory than there is"),
        (raised(OSError(errno.ENAMETOOLONG, "File name too long", "nnn")), 2, "can't use nnn: File name too"),
        (raised(PermissionError(errno.EACCES, "Permission denied", "x/y")), 2, "can't use x/y: Permission"),
        (raised(OSError(errno.ENOSPC, "No space left on device", "x/y")), 6, "can't use x/y: No space left"),
        (raised(KeyError("width")), 70, "internal error, a bug in pwoct-cost: KeyError: 'width'"),
        (raised(OSError(errno.EMFILE, "Too many open files")), 70, "internal error"),
        (raised(RecursionError("maximum recursion depth exceeded")), 70, "internal error"),
    ],
)
def test_every_ending(capsys: pytest.CaptureFixture[str], run: Any, code: int, said: str) -> None:
    assert exit_code(run) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.count("\n") == bool(said)
    assert "Traceback" not in captured.err


def test_an_internal_error_names_its_place_and_what_to_report(
    pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("one line\nand another")

    monkeypatch.setattr("costmodel.commands.explain.operator_of", broken)
    run = pwoct_cost("explain", "octave")
    assert (run.code, run.out) == (70, "")
    assert "ZeroDivisionError: one line (costmodel/commands/explain.py:" in run.err
    assert "please report this line with the command" in run.err
    assert "Traceback" not in run.err
    monkeypatch.setenv(DEBUG, "1")
    run = pwoct_cost("explain", "octave")
    assert run.code == 70
    assert "Traceback" in run.err


def test_no_message_passes_control_characters_on(pwoct_cost: Run) -> None:
    escape = "\x1b[31m\u202e\x9b"
    for words in (["--alpha", escape], [escape], ["verify", escape], ["--format", escape], [f"--{escape}"]):
        run = pwoct_cost(*words)
        assert run.code == 2
        assert r"\x1b[31m" in run.err
        assert not set(run.err) & set(escape[:1] + escape[-2:])


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
def test_a_closed_stream_is_opened_on_nothing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, name, None)
    with pytest.raises(SystemExit) as left:
        cli.main(["explain", "octave", "--format", "json"])
    assert left.value.code == (6 if name == "stdout" else 0)
    assert getattr(sys, name) is not None
