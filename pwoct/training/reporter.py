"""The interface through which a run reports its progress."""

from typing import Any, Protocol

from pwoct.training.config import Config
from pwoct.training.progress import Progress


class Reporter(Protocol):
    """Receives the progress of a run. Every call is cheap to ignore."""

    def started(self, progress: Progress, config: Config) -> None:
        """A session begins, at the position of `progress`."""

    def stepped(self, progress: Progress) -> None:
        """A step was made."""

    def evaluated(self, metrics: dict[str, Any]) -> None:
        """An epoch ended with these metrics."""

    def note(self, message: str) -> None:
        """Something happened that the user should know."""


class Quiet:
    """Reports nothing."""

    def started(self, progress: Progress, config: Config) -> None:
        """Do nothing."""

    def stepped(self, progress: Progress) -> None:
        """Do nothing."""

    def evaluated(self, metrics: dict[str, Any]) -> None:
        """Do nothing."""

    def note(self, message: str) -> None:
        """Do nothing."""
