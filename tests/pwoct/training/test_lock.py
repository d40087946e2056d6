"""One process trains a run, on every system."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pwoct.training import lock
from pwoct.training.record import BusyError, RunError, RunFolder

ROOT = Path(__file__).parents[3]


class Msvcrt:
    """What Python has on Windows, as far as locks need it."""

    LK_NBLCK = 2

    def __init__(self, taken: bool) -> None:
        self.taken, self.asked = taken, 0

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        assert (mode, count) == (self.LK_NBLCK, 1)
        assert descriptor > 2
        self.asked += 1
        if self.taken:
            raise OSError(errno.EACCES, "Permission denied")


def test_a_lock_keeps_others_out_and_ends(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with (
        run.locked(),
        pytest.raises(BusyError, match="is being trained by another process"),
        RunFolder(run.path).locked(),
    ):
        pytest.fail("locked twice")
    with run.locked():
        pass


@pytest.mark.parametrize("taken", [True, False])
def test_windows_locks_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: bool) -> None:
    msvcrt: Any = Msvcrt(taken)
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", msvcrt)
    if taken:
        with pytest.raises(BusyError), RunFolder(tmp_path).locked():
            pytest.fail("locked though it is taken")
    else:
        with RunFolder(tmp_path).locked():
            pass
    assert msvcrt.asked == 1


def test_a_file_system_without_locks_is_an_error_and_no_other_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setitem(sys.modules, "fcntl", SimpleNamespace(flock=refuse, LOCK_EX=2, LOCK_NB=4))
    with pytest.raises(RunError, match="No locks available") as refused, RunFolder(tmp_path).locked():
        pytest.fail("locked")
    assert not isinstance(refused.value, BusyError)


def test_what_stands_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "a" / ".lock").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / ".lock").symlink_to(tmp_path / "file")
    for folder in ("file", "file/run", "a", "b"):
        with pytest.raises(RunError, match="cannot be used"), RunFolder(tmp_path / folder).locked():
            pytest.fail("locked")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_lock_leaves_what_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    path.write_text("kept")
    with lock.locked(path):
        pass
    assert path.read_text() == "kept"


def test_runs_are_read_and_trained_where_there_is_no_fcntl() -> None:
    """What does not need it passes where it is missing, in a process that has never seen it."""
    files = [f"tests/pwoct/training/test_{name}.py" for name in ("config", "text")]
    plugin = ["-p", "tests.pwoct.training.windows", "-p", "no:cacheprovider"]
    runs = "tests/commands/test_runs.py"
    slow = f"--deselect={runs}::test_a_run_is_exported_with_a_card"  # locks nothing
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", *plugin, *files, runs, slow],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
