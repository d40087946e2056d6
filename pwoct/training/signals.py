"""Requests from outside: stop, or save now."""

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

STOP = (signal.SIGINT, signal.SIGTERM)


class StoppedError(Exception):
    """A run was stopped by a signal, after its checkpoint was written."""

    def __init__(self, number: int, where: str) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name} {where}")
        self.number = number

    @property
    def exit_code(self) -> int:
        """What a shell expects: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number


class Signals:
    """While open, notes SIGINT and SIGTERM (stop) and SIGUSR1 (save) instead of acting on them.

    A second SIGINT acts at once, as a first one does elsewhere.
    """

    def __init__(self) -> None:
        self.stop = 0
        self.save = False
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> Self:
        for number in (*STOP, signal.SIGUSR1):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self.save = True
        elif number == self.stop == signal.SIGINT:
            signal.default_int_handler(number, frame)
        else:
            self.stop = number
