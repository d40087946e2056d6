"""A time limit for code that may never end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

GRACE = 5.0  # seconds within which the interpreter must notice that time is up
BAD_INPUT = 2


class TimeLimitError(ValueError):
    """The code did not finish in time."""


class OverError(BaseException):
    """Time is up; no `except Exception` in foreign code catches this."""


@contextmanager
def time_limit(seconds: float | None, doing: str, *, ends: bool = True) -> Iterator[None]:
    """Raise TimeLimitError if the block takes longer than the given number of seconds; None sets no limit.

    Code that never returns to the interpreter can't be interrupted: some seconds later the process ends with
    one line on stderr and exit code 2. The same holds on systems, and in threads, without signals. With
    `ends` false, the process is never ended.
    """
    if seconds is None:
        yield
        return
    message = f"{doing} takes longer than {seconds:g} s (--timeout)"
    watchdog = threading.Timer(seconds + GRACE, _end, [message])
    watchdog.daemon = True
    if ends:
        watchdog.start()
    try:
        with _alarm(seconds):
            yield
    except OverError:
        raise TimeLimitError(message) from None
    finally:
        watchdog.cancel()


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(_signal: int, _frame: FrameType | None) -> None:
        raise OverError

    before: Callable[..., Any] | int | None = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # each second: foreign code may swallow errors
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _end(message: str) -> None:
    print(f"pwoct-cost: error: {message}", file=sys.stderr, flush=True)
    os._exit(BAD_INPUT)
