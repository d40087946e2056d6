"""Requests from outside: stop, or save now."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

# Those that the system supports: Windows has neither SIGHUP nor SIGUSR1.
STOP = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
SAVE = getattr(signal, "SIGUSR1", None)


class StoppedError(Exception):
    """A run was stopped by a signal, after its checkpoint was written."""

    def __init__(self, number: int, where: str) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name} {where}")
        self.number = number

    @property
    def exit_code(self) -> int:
        """The exit code that a shell expects: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.number


class Signals:
    """While open, records SIGINT, SIGTERM and SIGHUP (stop) and SIGUSR1 (save) instead of acting on them.

    A second SIGINT acts at once, as a first one does elsewhere. A SIGHUP that is ignored, as under nohup,
    stays ignored. Outside the main thread nothing is recorded, since Python handles signals only there.

    Args:
        idle: Called with the number of a stop signal that arrives while nothing is `at_work`.
    """

    def __init__(self, idle: Callable[[int], object] | None = None) -> None:
        self.stop = 0
        self.save = False
        self._idle, self._at_work = idle, False
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in STOP if SAVE is None else (*STOP, SAVE):
                if signal.getsignal(number) != signal.SIG_IGN or number in STOP[:2]:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Record stops even if `idle` is given: there is something to save."""
        self._at_work = True
        try:
            yield
        finally:
            self._at_work = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == SAVE:
            self.save = True
        elif self._idle is not None and not self._at_work:
            self._idle(number)
        elif number == self.stop == signal.SIGINT:
            signal.default_int_handler(number, frame)
        else:
            self.stop = number
