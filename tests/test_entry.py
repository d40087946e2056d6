"""Where the process begins: found by its place, and ended by Ctrl-C without a word."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from costmodel import __main__ as entry


def started(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder that stands first on Python's path."""
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[1])])
    return subprocess.run(
        [sys.executable, "-m", "costmodel", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_another_module_named_cli_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "cli.py").write_text("raise SystemExit('not this one')\n")
    done = started("explain", "pointwise", "--format", "csv", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("part,quantity,formula,command_line\n")


@pytest.mark.parametrize("name", ["cli:net"])
def test_a_network_in_a_module_named_cli_is_verified(tmp_path: Path, name: str) -> None:
    (tmp_path / "cli.py").write_text("from torch import nn\ndef net():\n    return nn.Conv2d(3, 4, 3)\n")
    # The folder of this project stands first, as in an environment where it is installed for editing.
    begin = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})"
    done = subprocess.run(
        [
            *(sys.executable, "-c", f"{begin}; from costmodel.__main__ import main; main()"),
            *("verify", name, "--input", "1,3,8,8", "--format", "json"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "agrees"


def test_ctrl_c_during_an_import_ends_at_once_and_without_a_word(tmp_path: Path) -> None:
    swallowed = (
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept BaseException:\n    pass\n"
    )
    (tmp_path / "mine.py").write_text(swallowed)
    done = started("verify", "mine:net", "--input", "1,3,8,8", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_ctrl_c_elsewhere_is_an_exception_that_can_be_cleaned_up_after() -> None:
    with pytest.raises(KeyboardInterrupt):
        entry.interrupt(signal.SIGINT, sys._getframe())


def test_an_import_anywhere_around_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    scope = {"interrupt": entry.interrupt, "sys": sys}
    code = compile("def f(): interrupt(2, sys._getframe())\nf()", entry.IMPORTING, "exec")
    with pytest.raises(KeyboardInterrupt):  # os._exit, replaced here, does not return
        exec(code, scope)
    assert left
    assert set(left) == {130}


def test_ctrl_c_that_cannot_be_raised_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    monkeypatch.setattr(sys, "__unraisablehook__", left.append)

    class Unraisable:
        exc_value: BaseException = KeyboardInterrupt()

    entry._unraisable(Unraisable())  # type: ignore[arg-type]
    assert left[0] == 130


def test_a_warning_of_a_library_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    entry.command_line().show_warning(UserWarning("first\n\x1b[31msecond"), UserWarning, "/place/file.py", 3)
    assert capsys.readouterr().err == "pwoct-cost: warning: first \\x1b[31msecond\n"
