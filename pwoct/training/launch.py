"""Starts the ranks of a training run on this machine, forwards signals to them, and ends with them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from pwoct.training.signals import SAVE, STOP

POLL = 0.1  # seconds between two checks of the ranks
RUN_ID = "pwoct-cost"  # set for ranks that were started here; `torchrun` sets its own
NOTICE = 20.0  # seconds in which ranks should notice on their own that one of them is gone
PATIENCE = 120.0  # seconds that they then have for writing a checkpoint


class KilledRankError(Exception):
    """A rank was killed by a signal that was not sent to all of them."""


def launch(command: Sequence[str], ranks: int) -> int:
    """Run a command as several ranks, and return the exit code of the first that failed; 0 if none did.

    SIGINT, SIGTERM, SIGHUP and SIGUSR1 go to all ranks. If a rank fails, the others lose their connection
    and end; those that do not end get a SIGTERM. If this process is killed, Linux notifies the ranks (see
    `joined`).

    Raises:
        KilledRankError: if the first rank was killed, and so could not report why the training ended.
    """
    processes: list[subprocess.Popen[bytes]] = []
    try:
        with _passed_on(processes):
            # In a session of its own, a rank receives a Ctrl-C only once: from here.
            processes.extend(
                subprocess.Popen(command, env=environment, start_new_session=True)
                for environment in environments(ranks, os.environ)
            )
            failed = _wait(processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    first = processes[0].returncode
    if first < 0:
        raise KilledRankError(
            f"rank {failed} of {ranks} {_ended(processes[failed].returncode)}; the others ended"
        )
    return first or max(abs(process.returncode) for process in processes)


def _ended(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def environments(ranks: int, around: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the environment of each rank: the variables of `torchrun`, and the rank's share of the cores."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threads = around.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // ranks)))
    shared = {
        **around,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(ranks),
        "OMP_NUM_THREADS": threads,
        "TORCHELASTIC_RUN_ID": RUN_ID,
    }
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(ranks)]


def started_by_launch() -> bool:
    """Return whether this process is a rank that `launch` started."""
    return os.environ.get("TORCHELASTIC_RUN_ID") == RUN_ID


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait until all ranks have ended, or should have; return the first one that failed, or 0."""
    failed, since, told = 0, float("inf"), False
    while (waited := time.monotonic() - since) < NOTICE + PATIENCE:
        codes = [process.poll() for process in processes]
        if any(codes) and since == float("inf"):
            failed, since = next(rank for rank, code in enumerate(codes) if code), time.monotonic()
        if None not in codes:
            break
        if waited > NOTICE and not told:
            told = True
            _send(processes, signal.SIGTERM)
        time.sleep(POLL)
    return failed


def _send(processes: Sequence[subprocess.Popen[bytes]], number: int) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(number)


@contextmanager
def _passed_on(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Forward this process's signals to all ranks."""

    def send(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as of every signal handler
        _send(processes, number)

    numbers = STOP if SAVE is None else (*STOP, SAVE)
    before = {
        number: signal.signal(number, send)
        for number in numbers
        # SIGHUP stays ignored under nohup. A shell's background job ignores SIGINT, but may be sent one.
        if number in STOP[:2] or signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
