"""`pwoct-cost plot`: a figure from a result in JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from costmodel.commands.shared.errors import bad_input
from costmodel.commands.shared.plotting import check_plot, draw_result
from costmodel.commands.shared.vocabulary import option
from costmodel.text import decode, read_text

app = typer.Typer(add_completion=False)


@app.command()
def plot(
    result: Annotated[
        str, typer.Argument(help="JSON of search, sweep or the calculator with --per-layer; - is stdin.")
    ],
    output: Annotated[str, option("figure")],
) -> None:
    """Draw a result: Pareto front, cost against alpha, or a network layer by layer.

    For example: pwoct-cost sweep --format json | pwoct-cost plot - -o sweep.svg
    """
    with bad_input():
        check_plot(output)
        draw_result(_read(result), output)


def _read(result: str) -> str:
    if result != "-":
        return read_text(Path(result))
    buffer = getattr(sys.stdin, "buffer", None)  # a test may put a text in its place
    try:
        return sys.stdin.read() if buffer is None else decode(buffer.read())
    except ValueError as error:
        raise ValueError(f"stdin cannot be read: {error}") from None
