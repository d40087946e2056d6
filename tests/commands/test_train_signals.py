"""Signals before, between and during runs."""

import os
import signal
import subprocess
import sys

import pytest
import typer

from costmodel.commands.shared.training import reported
from pwoct.training.distributed import LostRanksError
from pwoct.training.signals import SAVE, STOP, Signals


@pytest.mark.parametrize(
    ("run", "rank", "said"),
    [
        ("pwoct-cost", "0", "pwoct-cost: error: rank 1 is gone\n"),
        ("pwoct-cost", "1", ""),  # the first rank says it, or what started both
        ("torchrun's", "1", "pwoct-cost: error: rank 1 is gone\n"),
    ],
)
def test_a_lost_rank_is_one_line(
    run: str, rank: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", run), ("RANK", rank), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    with pytest.raises(typer.Exit) as left, reported():
        raise LostRanksError("rank 1 is gone")
    assert left.value.exit_code == 1
    assert capsys.readouterr().err == said


@pytest.fixture
def hangup():
    """SIGHUP as it is outside of nohup, which ignores it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangup")
def test_stops_are_noted_at_work_and_told_at_once_elsewhere():
    told = []
    with Signals(idle=told.append) as signals:
        for number in STOP:
            os.kill(os.getpid(), number)
        assert (told, signals.stop) == ([*STOP], 0)
        os.kill(os.getpid(), SAVE)  # kills nobody
        assert signals.save
        with signals.at_work():
            os.kill(os.getpid(), signal.SIGTERM)
        assert (told, signals.stop) == ([*STOP], signal.SIGTERM)


def test_a_hangup_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.stop == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangup")
def test_a_stop_between_runs_ends_with_its_code_and_one_line(tmp_path):
    """At the start, with nothing to save: the process sends itself the signal when data are read."""
    program = (
        "import os, signal, sys, cli, pwoct.training.train, pwoct.training.inputs as inputs\n"
        "def stop(*_):\n"
        "    os.kill(os.getpid(), signal.SIGUSR1)\n"
        "    os.kill(os.getpid(), getattr(signal, name))\n"
        "    print('went on')\n"
        "inputs.load_dataset = stop\n"
        "for name in sys.argv[1:]:\n"
        "    child = os.fork()  # of a process that has imported torch\n"
        "    if child == 0:\n"
        "        cli.main(['train', '--dataset', 'synthetic'])\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)\n"
    )
    codes = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
    ran = subprocess.run(
        [sys.executable, "-c", program, *codes], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert ran.stdout == "".join(f"{code}\n" for code in codes.values())
    assert ran.stderr == "".join(
        f"pwoct-cost: stopped by {name} while nothing was being trained\n" for name in codes
    )
    assert ran.returncode == 0
    assert list(tmp_path.iterdir()) == []
