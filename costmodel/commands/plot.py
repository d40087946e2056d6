"""`pwoct-cost plot`: a figure from a result in JSON, or of a network's cost against the size of its input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.commands.shared.errors import bad_input, say
from costmodel.commands.shared.network import (
    InputOption,
    InputsOption,
    NetworkOnInputs,
    TimeoutOption,
    asked,
    closed_form_of,
    is_own,
    say_uncovered,
    within,
)
from costmodel.commands.shared.options import given_model
from costmodel.commands.shared.plotting import check_plot, draw_result
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.vocabulary import option
from costmodel.text import decode, read_text

if TYPE_CHECKING:
    from costmodel.tracing.form import ClosedForm

app = typer.Typer(add_completion=False)

SQUARE = "_,_,s,s"  # square images
MOST_POINTS = 200
HELP = "JSON of search, sweep or the calculator with --per-layer; - is stdin. Or a network of your own."


@app.command()
def plot(
    ctx: typer.Context,
    result: Annotated[str | None, typer.Argument(metavar="RESULT|MODEL", help=HELP)] = None,
    named_model: Annotated[str | None, option("any-model")] = None,
    *,
    output: Annotated[str, option("figure")],
    input: InputOption = None,
    inputs: InputsOption = None,
    symbols: Annotated[list[str] | None, option("symbols")] = None,
    timeout: TimeoutOption = None,
) -> None:
    """Draw a result: Pareto front, cost against alpha, or a network layer by layer.

    For example: pwoct-cost sweep --format json | pwoct-cost plot - -o sweep.svg

    For your own network: MACs and activations against one input size (default: square images).
    """
    with bad_input():
        check_plot(output)
        given = given_model(result, named_model)
        if given is None:
            raise ValueError("which result or network? Give a file of JSON, - for stdin, or net.py:Net()")
        if named_model is not None or is_own(given):
            with within(timeout, given):
                _draw_sizes(asked(given, input, inputs), symbols or [SQUARE], output)
            return
        why = "needs a network of your own"
        Question.of(ctx).without(why, ("input", "inputs", "symbols", "timeout"))
        draw_result(_read(given), output)


def _draw_sizes(found: NetworkOnInputs, symbols: list[str], output: str) -> None:
    """Draw the cost of a network against the one size that is a symbol, up to four times the given one."""
    from costmodel.figures.saving import save
    from costmodel.figures.sizes import sizes_figure

    form = closed_form_of(found, symbols)
    say_uncovered(form)
    names = [*form.domain.fixed, *(symbol.name for symbol in form.domain.least)]
    if len(names) != 1:
        raise ValueError(f"cost is drawn against one size; {' '.join(symbols)} has {', '.join(names)}")
    sizes = list(_sizes(form))
    if len(sizes) < 2:
        raise ValueError(f"there is one size only: the formula holds {form.domain.text}")
    counts = {
        heading: [int(form.value(quantity, **{names[0]: size})) for size in sizes]
        for quantity, heading in (("macs", "MACs"), ("activations", "activations"))
    }
    title = f"{found.network.name.text}\n{form.status}, {form.domain.text}"
    save(sizes_figure(title, names[0], sizes, counts), Path(output))
    say(f"{output} written")


def _sizes(form: ClosedForm) -> Iterator[int]:
    """Return the sizes of the domain up to four times the given one, every one or evenly spaced ones."""
    if form.domain.fixed:
        yield from form.domain.fixed.values()
        return
    ((symbol, least),) = form.domain.least.items()
    most = min(form.domain.most.get(symbol, 10**9), 4 * max(form.given.get(symbol.name, least), 8))
    held = [size for size in range(least, most + 1) if form.domain.holds({symbol.name: size})]
    yield from held[:: -(-len(held) // MOST_POINTS) or 1]


def _read(result: str) -> str:
    if result != "-":
        return read_text(Path(result))
    buffer = getattr(sys.stdin, "buffer", None)  # a test may replace it by a text stream
    try:
        return sys.stdin.read() if buffer is None else decode(buffer.read())
    except ValueError as error:
        raise ValueError(f"stdin cannot be read: {error}") from None
