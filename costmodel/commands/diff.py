"""`pwoct-cost diff`: two configurations, or two runs, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand

from costmodel.commands.shared.errors import bad_input
from costmodel.commands.shared.limits import check_listed
from costmodel.commands.shared.network import (
    InputOption,
    InputsOption,
    TimeoutOption,
    is_own,
    traced_within,
)
from costmodel.commands.shared.options import NETWORK_WORDS, read_network
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.reading import joined, listed
from costmodel.commands.shared.showing import Format, FormatOption, show, warn_about
from costmodel.commands.shared.training import RunsOption, formula_network, reported
from costmodel.commands.shared.vocabulary import fold, option
from costmodel.networks.resnet import ResNetDesign
from costmodel.networks.wording import options_of
from costmodel.report import Column, Table

if TYPE_CHECKING:
    from costmodel.tables.measured import Measured
    from costmodel.tracing.calls import Trace
    from pwoct.training.record import Result, RunFolder

app = typer.Typer(add_completion=False)


class Side(NamedTuple):
    """One side of a comparison: a network, and the run that it comes from, if any."""

    network: ResNetDesign
    run: RunFolder | None = None


class NetworksAsArguments(TyperCommand):
    """A command whose arguments may begin with an option of a network: '--model resnet20 --alpha 1/4'."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Distinguish such arguments from options by the spaces in them."""
        return super().parse_args(ctx, [f"pwoct-cost {arg}" if _is_network(arg) else arg for arg in args])


def _is_network(argument: str) -> bool:
    first, _, rest = argument.partition(" ")
    return bool(rest) and fold(first.partition("=")[0].removeprefix("--")) in NETWORK_WORDS


@app.command(cls=NetworksAsArguments)
def diff(
    ctx: typer.Context,
    a: Annotated[str, typer.Argument(help="A network, 'resnet56 --alpha 1/4 --paths HL', or a run.")],
    b: Annotated[str, typer.Argument(help="What to compare with it.")],
    quantity: Annotated[list[str] | None, option("quantity")] = None,
    dtype: Annotated[str, option("dtype")] = "float32",
    unit: Annotated[str, option("unit")] = "mac",
    count: Annotated[str | None, option("count")] = None,
    input: InputOption = None,
    inputs: InputsOption = None,
    timeout: TimeoutOption = None,
    all: Annotated[bool, option("unchanged")] = False,
    runs: RunsOption = Path("runs"),
    format: FormatOption = Format.table,
) -> None:
    """Show the differences between two networks, layer by layer; for two runs also settings and results.

    A network is a line that `pwoct-cost search` prints, or a model with the calculator's options, in quotes.
    A run is given by its name in --runs, or by its folder. Your own networks are compared on the same inputs.
    """
    if is_own(a) or is_own(b):
        with bad_input():
            why = "cannot be used with networks of your own"
            question = Question.of(ctx).without(why, ("quantity", "dtype"))
            own = [traced_within(timeout, name, input, inputs) for name in (a, b)]
            _diff_own(own, (count, unit), format, question, unchanged=all)
        return
    with bad_input():
        Question.of(ctx).without("needs networks of your own", ("input", "inputs", "timeout"))
        from costmodel.tables.diff import LEGEND
        from costmodel.tables.measured import Measured

        measured = Measured.read(listed(quantity or ["params,macs"]), dtype, unit, count)
        sides = _side(a, runs), _side(b, runs)
        for side in sides:
            check_listed(side.network)
        tables = _tables(sides, measured, unchanged=all, narrowed=format is Format.table)
    for side in sides:
        warn_about([side.network])
    options = {name: options_of(side.network) for name, side in zip("ab", sides, strict=True)}
    question = Question.of(ctx, quantity=joined(measured.names))
    intro = [f"{name.upper()}: {text}" for name, text in options.items()]
    show("diff", tables, format, options | question.said(), intro, [f"Paths: {LEGEND}."])


def _diff_own(
    sides: Sequence[tuple[str, Trace]],
    total: tuple[str | None, str],
    format: Format,
    question: Question,
    *,
    unchanged: bool,
) -> None:
    """Compare two external networks, or one with a built-in one, on the same inputs."""
    from costmodel.tables.traced_diff import traced_diff_table, traced_totals_table
    from costmodel.tables.traced_total import parse_total

    counting = parse_total(*total)
    (name_a, a), (name_b, b) = sides
    tables = [
        traced_diff_table(a, b, counting, unchanged=unchanged),
        traced_totals_table(a, b, counting),
    ]
    said = {"a": name_a, "b": name_b} | question.said()
    show("diff", tables, format, said, [f"A: {name_a}", f"B: {name_b}"])


def _tables(sides: tuple[Side, Side], measured: Measured, *, unchanged: bool, narrowed: bool) -> list[Table]:
    """Return the differences, the totals, and for two runs the differences between their settings."""
    from costmodel.tables.diff import diff_table, narrow, totals_table

    a, b = sides
    differences = diff_table(a.network, b.network, measured, unchanged=unchanged)
    tables = [narrow(differences) if narrowed else differences, totals_table(differences, measured)]
    if a.run is not None and b.run is not None:
        with reported():
            tables.append(_runs_table(a.run, b.run))
    return tables


def _side(text: str, runs: Path) -> Side:
    for path in (runs / text, Path(text)):
        if text and (path / "config.json").is_file():
            from pwoct.training.record import RunFolder

            run = RunFolder(path)
            with reported():
                return Side(_built_in(run), run)
    if not text.lower().startswith(("resnet", "--", "pwoct-cost")):
        raise ValueError(
            f"{text or 'nothing'} is neither a network, such as 'resnet56 --alpha 1/4', nor a run"
        )
    return Side(read_network(text))


def _built_in(run: RunFolder) -> ResNetDesign:
    """Return the network of a run. Raises ValueError if it is not built in."""
    config = run.config()
    if config.model.is_own:
        raise ValueError(
            f"{run.name} is a run of {config.model.name}: diff compares runs of built-in networks, and "
            "networks of your own by their names"
        )
    return formula_network(config)


def _runs_table(a: RunFolder, b: RunFolder) -> Table:
    rows = [{"what": what, "a": x, "b": y} for what, x, y in (*_settings(a, b), *_results(a, b))]
    return Table(
        "runs",
        "Settings that differ, and results",
        [Column("what", ""), Column("a", "A", "any"), Column("b", "B", "any")],
        rows,
    )


def _settings(a: RunFolder, b: RunFolder) -> Iterator[tuple[str, Any, Any]]:
    from pwoct.training.config import flatten

    before, after = flatten(a.config()), flatten(b.config())
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            yield key, _text(before.get(key)), _text(after.get(key))


def _text(value: Any) -> str | None:
    """Return a setting in full, so that different values never look equal through rounding."""
    return None if value is None else str(value)


def _results(a: RunFolder, b: RunFolder) -> Iterator[tuple[str, Any, Any]]:
    results = [run.result() for run in (a, b)]
    values = [{} if result is None else _figures(result) for result in results]
    for what in ("accuracy", "loss", "epoch", "minutes"):
        first, second = (figures.get(what, "not finished") for figures in values)
        yield what, first, second


def _figures(result: Result) -> dict[str, Any]:
    """Return the results of a run; accuracies are in per cent, as everywhere."""
    return {
        "accuracy": 100 * result.accuracy,
        "loss": result.loss,
        "epoch": result.epoch,
        "minutes": result.minutes,
    }
