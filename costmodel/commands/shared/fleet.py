"""Progress of a study on a cluster: a live table, or one line per epoch."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from costmodel.commands.shared.errors import say
from costmodel.commands.shared.progress import summary
from costmodel.commands.shared.terminal import console
from costmodel.text import restated, visible

if TYPE_CHECKING:
    from rich.table import Table

    from pwoct.training.worker import News


class FleetLines:
    """One line per epoch of any run, on stderr."""

    def told(self, news: News) -> None:
        """Print a worker's report, except single steps."""
        if news.kind == "note":
            self.note(news.message)
        elif news.kind == "evaluated":
            self.note(f"{news.run}: {summary(dict(news.metrics), news.epochs)}")

    def note(self, message: str) -> None:
        """Pass a message on."""
        say(f"pwoct-cost: {message}")

    def close(self) -> None:
        """Do nothing."""


class FleetTable(FleetLines):
    """One row per run in training, updated with its worker's reports; ended runs leave a line."""

    def __init__(self, runs: int) -> None:
        from rich.live import Live

        self.runs, self.ended = runs, 0
        self.going: dict[str, News] = {}
        self.lock = threading.Lock()  # reports arrive in a thread of the cluster's client
        self.live = Live(self.table(), console=console(stderr=True), refresh_per_second=2, transient=True)
        self.live.start()

    def told(self, news: News) -> None:
        """Update the row of a run, or leave a line about an event."""
        with self.lock:
            if news.kind == "ended":
                self.going.pop(news.run, None)
                self.ended += 1
            elif news.kind != "note":
                self.going[news.run] = news
        super().told(news)
        self.live.update(self.table())

    def table(self) -> Table:
        """Return the state of all runs."""
        from rich.table import Table

        title = f"{self.ended} of {self.runs} runs ended, {len(self.going)} in training"
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        table.add_column("run", overflow="fold")
        for name in ("worker", "epoch", "done %", "loss"):
            table.add_column(name, justify="right", no_wrap=True)
        with self.lock:
            for run, news in self.going.items():
                loss = news.loss or news.metrics.get("train_loss", 0.0)
                place = f"{news.epoch}/{news.epochs}"
                worker = news.worker.rpartition("/")[2]
                table.add_row(visible(run), worker, place, f"{100 * news.done:.1f}", f"{loss:.4f}")
        return table

    def note(self, message: str) -> None:
        """Leave a message above the table."""
        self.live.console.print(visible(restated(f"pwoct-cost: {message}")), soft_wrap=True)

    def close(self) -> None:
        """Remove the table."""
        self.live.stop()


class Silence(FleetLines):
    """Prints nothing."""

    def note(self, message: str) -> None:
        """Do nothing."""


@contextmanager
def fleet(runs: int, quiet: bool) -> Iterator[FleetLines]:
    """Return the display for the runs of a cluster: none, or one that suits stderr."""
    if quiet:
        shown: FleetLines = Silence()
    elif sys.stderr.isatty() and not console(stderr=True).is_dumb_terminal:
        shown = FleetTable(runs)
    else:
        shown = FleetLines()
    try:
        yield shown
    finally:
        shown.close()
