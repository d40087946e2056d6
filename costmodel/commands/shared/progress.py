"""Progress of a training run: a live line on a terminal, plain lines elsewhere, TensorBoard."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from costmodel.commands.shared.errors import say
from costmodel.commands.shared.terminal import console
from costmodel.text import restated, visible

if TYPE_CHECKING:
    from pwoct.training.config import Config
    from pwoct.training.progress import Progress

EVERY = 0.25  # seconds between two readings of the loss, for each of which a GPU must finish its work


def summary(metrics: dict[str, Any], epochs: int) -> str:
    """Return an epoch in one line.

    >>> summary({"epoch": 3, "train_loss": 0.5, "train_accuracy": 0.8, "test_accuracy": 0.75,
    ...          "images_per_second": 1234.0, "seconds": 40.0, "evaluation_seconds": 2.0}, 24)
    'epoch 3/24: loss 0.5000, train 80.00 %, test 75.00 %, 1,234 images/s, 42 s'
    """
    which = "test" if "test_accuracy" in metrics else "validation"
    seconds = metrics["seconds"] + metrics["evaluation_seconds"]
    return (
        f"epoch {metrics['epoch']}/{epochs}: loss {metrics['train_loss']:.4f},"
        f" train {100 * metrics['train_accuracy']:.2f} %, {which} {100 * metrics[f'{which}_accuracy']:.2f} %,"
        f" {metrics['images_per_second']:,.0f} images/s, {seconds:.0f} s"
    )


class Lines:
    """One line per epoch, on stderr."""

    epochs = 0

    def started(self, progress: Progress, config: Config) -> None:  # noqa: ARG002 - the protocol gives it
        """Remember the number of epochs."""
        self.epochs = config.epochs

    def stepped(self, progress: Progress) -> None:
        """Print nothing."""

    def evaluated(self, metrics: dict[str, Any]) -> None:
        """Print the metrics of the epoch."""
        say(summary(metrics, self.epochs))

    def note(self, message: str) -> None:
        """Pass a message on."""
        say(f"pwoct-cost: {message}")

    def close(self) -> None:
        """Do nothing."""


class Live(Lines):
    """A line that is updated while an epoch runs, and a permanent line for each epoch."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[status]}"),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console(stderr=True),
        )
        self.looked_at = 0.0

    def started(self, progress: Progress, config: Config) -> None:
        """Begin at the position of a resumed run."""
        super().started(progress, config)
        total = config.epochs * progress.steps_per_epoch
        self.task = self.bar.add_task("", total=total, completed=progress.steps, status="")
        self.bar.start()

    def stepped(self, progress: Progress) -> None:
        """Update the line, a few times a second."""
        if (now := time.monotonic()) - self.looked_at < EVERY:
            return
        self.looked_at = now
        status = (
            f"loss {progress.loss:.4f}  train {100 * progress.accuracy:.2f} %"
            f"  {progress.images / max(progress.seconds, 1e-9):,.0f} images/s"
        )
        place = f"epoch {progress.epoch + 1}/{self.epochs}"
        self.bar.update(self.task, completed=progress.steps, description=place, status=status)

    def evaluated(self, metrics: dict[str, Any]) -> None:
        """Print the permanent line of the epoch."""
        self.bar.console.print(summary(metrics, self.epochs))

    def note(self, message: str) -> None:
        """Pass a message on, above the line."""
        self.bar.console.print(visible(restated(f"pwoct-cost: {message}")), soft_wrap=True)

    def close(self) -> None:
        """Remove the line."""
        self.bar.stop()


class Board:
    """Forwards everything to another reporter, and epochs to TensorBoard too."""

    def __init__(self, inner: Lines, writer: Any) -> None:
        self.inner, self.writer = inner, writer

    def started(self, progress: Progress, config: Config) -> None:
        """Forward the call."""
        self.inner.started(progress, config)

    def stepped(self, progress: Progress) -> None:
        """Forward the call."""
        self.inner.stepped(progress)

    def evaluated(self, metrics: dict[str, Any]) -> None:
        """Write every number of the epoch."""
        self.inner.evaluated(metrics)
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, metrics["step"])

    def note(self, message: str) -> None:
        """Forward the call."""
        self.inner.note(message)

    def close(self) -> None:
        """Flush and close the files."""
        self.writer.close()
        self.inner.close()
