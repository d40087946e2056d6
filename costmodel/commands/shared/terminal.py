"""The terminal: its width, and progress displays."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from costmodel.commands.shared.errors import say

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")
USUAL_WIDTH = 80


def console(*, stderr: bool = False) -> Console:
    """Return a console without markup; if the terminal claims a width of 0, it has the default width."""
    from rich.console import Console

    found = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if found.width < 1:
        found.width = USUAL_WIDTH
    return found


@contextmanager
def at_work(doing: str) -> Iterator[None]:
    """Show a spinner with the elapsed time on a terminal; write nothing elsewhere."""
    if not sys.stderr.isatty():
        yield
        return
    out = console(stderr=True)
    if out.is_dumb_terminal:  # it cannot update a line
        say(f"pwoct-cost: {doing}")
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    # The spinner's characters are ASCII, which every terminal can show.
    columns = SpinnerColumn("line"), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=out, transient=True, refresh_per_second=4) as shown:
        shown.add_task(doing, total=None)
        yield


def followed(items: Iterable[T], doing: str, total: int) -> Iterator[T]:
    """Yield the items, and show on a terminal the number done."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.progress import track

    yield from track(items, doing, total, console=console(stderr=True), transient=True)
