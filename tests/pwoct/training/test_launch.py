"""Ranks as processes: their environment, how the end of one ends the others, how signals are passed on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from pwoct.training import launch as module
from pwoct.training.launch import KilledRankError, environments, launch

# What a rank does, by its number; it leaves a file when it is ready, and one when it is told to stop.
RANK = """
import os, signal, sys, time
from pathlib import Path
rank, here = int(os.environ["RANK"]), Path(sys.argv[1])
def stop(number, frame):
    (here / f"stopped{rank}").write_text(str(number))
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in sys.argv else stop)
signal.signal(signal.SIGINT, stop)
(here / f"ready{rank}").write_text(str(os.getpid()))
while not all((here / f"ready{r}").exists() for r in range(int(os.environ["WORLD_SIZE"]))):
    time.sleep(0.01)
"""


def command(here: Path, then: str, *more: str) -> list[str]:
    return [sys.executable, "-c", RANK + textwrap.dedent(then), str(here), *more]


def test_a_rank_finds_what_torchrun_sets() -> None:
    first, second = environments(2, {"HOME": "/h", "OMP_NUM_THREADS": "3"})
    assert (first["RANK"], second["RANK"]) == ("0", "1")
    assert (first["LOCAL_RANK"], second["LOCAL_RANK"]) == ("0", "1")
    assert first["MASTER_PORT"] == second["MASTER_PORT"]
    assert (second["WORLD_SIZE"], second["MASTER_ADDR"]) == ("2", "127.0.0.1")
    assert (second["HOME"], second["OMP_NUM_THREADS"]) == ("/h", "3")


@pytest.mark.parametrize(("cores", "ranks", "threads"), [(8, 2, "4"), (2, 4, "1"), (7, 2, "3")])
def test_cores_are_shared(monkeypatch: pytest.MonkeyPatch, cores: int, ranks: int, threads: str) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert environments(ranks, {})[0]["OMP_NUM_THREADS"] == threads


def test_all_end_well(tmp_path: Path) -> None:
    assert launch(command(tmp_path, "sys.exit(0)"), 3) == 0
    assert len(list(tmp_path.glob("ready*"))) == 3


@pytest.mark.parametrize("failing", [0, 1])
def test_one_that_fails_stops_the_others(
    tmp_path: Path, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NOTICE", 0.1)
    then = f"""
    if rank == {failing}:
        sys.exit(5)
    time.sleep(60)
    """
    assert launch(command(tmp_path, then), 2) == (5 if failing == 0 else 143)
    assert (tmp_path / f"stopped{1 - failing}").read_text() == str(int(signal.SIGTERM))


def test_one_that_does_not_stop_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NOTICE", 0.1)
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    then = """
    if rank == 1:
        sys.exit(5)
    time.sleep(60)
    """
    with pytest.raises(KilledRankError, match=r"^rank 1 of 2 ended with exit code 5; the others ended$"):
        launch(command(tmp_path, then, "deaf"), 2)


def test_those_that_notice_by_themselves_get_no_signal(tmp_path: Path) -> None:
    then = """
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.5)
    sys.exit(1)
    """
    assert launch(command(tmp_path, then), 2) == 1
    assert list(tmp_path.glob("stopped*")) == []


def test_a_killed_first_rank_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NOTICE", 0.1)
    then = """
    if rank == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
    """
    with pytest.raises(KilledRankError, match="rank 0 of 2 was killed by SIGKILL; the others ended"):
        launch(command(tmp_path, then), 2)
    assert (tmp_path / "stopped1").exists()


@pytest.mark.parametrize("before", ["SIG_DFL", "SIG_IGN"])  # a shell's background job ignores SIGINT
def test_a_signal_reaches_every_rank_once(tmp_path: Path, before: str) -> None:
    starter = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.{before})
from pwoct.training.launch import launch
sys.exit(launch({command(tmp_path, "time.sleep(60)")!r}, 2))
"""
    with subprocess.Popen([sys.executable, "-c", starter], cwd=Path(__file__).parents[3]) as process:
        try:
            for _ in range(6000):
                if len(list(tmp_path.glob("ready*"))) == 2:
                    break
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 128 + signal.SIGINT
        finally:
            process.kill()
    assert {path.name for path in tmp_path.glob("stopped*")} == {"stopped0", "stopped1"}
