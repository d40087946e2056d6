"""`pwoct-cost data`: downloads and checks CIFAR-10."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from costmodel.commands.shared.errors import say
from costmodel.commands.shared.terminal import console
from costmodel.commands.shared.training import reported
from costmodel.commands.shared.vocabulary import option
from costmodel.text import visible

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Download and check CIFAR-10.")


@app.command(short_help="Download CIFAR-10, and check it by SHA-256.")
def fetch(
    to: Annotated[Path | None, option("to")] = None,
) -> None:
    """Download the binary version of CIFAR-10 (162 MiB), unless it is there, and check it by SHA-256."""
    with reported():
        from pwoct.training.download import default_folder, fetch

        print(fetch(to or default_folder(), progress=_Bar()))


@app.command()
def check(
    where: Annotated[
        Path | None, typer.Argument(help="Folder with the batches of CIFAR-10, or their archive; or --data.")
    ] = None,
    data: Annotated[Path | None, option("cifar10")] = None,
) -> None:
    """Check every file of CIFAR-10 by SHA-1."""
    with reported():
        from pwoct.training.data import load_cifar10

        if (where is None) == (data is None):
            given = "none" if where is None else f"{where} and --data {data}"
            raise ValueError(f"one folder or archive of CIFAR-10 is needed, got {given}")
        where = where or data
        assert where is not None
        found = load_cifar10(where)
    counts = f"{len(found.train):,} images to train on and {len(found.test):,} to test on"
    print(f"{visible(str(where))}: CIFAR-10, {counts}")


class _Bar:
    """A progress bar with pooch's interface: set `total`, then `update`, `reset`, `close`."""

    total = 0

    def __init__(self) -> None:
        self.bar: Any = None

    def update(self, size: int) -> None:
        """Count `size` more bytes."""
        if self.bar is None:
            self._open()
        self.bar.update(self.task, advance=size)

    def reset(self) -> None:
        """Do nothing: the last update follows."""

    def close(self) -> None:
        """Leave the bar in its final state."""
        if self.bar is not None:
            self.bar.stop()
        say("pwoct-cost: fetched")

    def _open(self) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

        self.bar = Progress(
            BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=console(stderr=True)
        )
        self.task = self.bar.add_task("", total=self.total)
        self.bar.start()
