"""`pwoct-cost diff`: two configurations, or two runs, layer by layer."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from costmodel.commands.shared import reading
from costmodel.commands.shared.errors import bad_input
from costmodel.commands.shared.showing import Format, FormatOption, show, warn_rounding
from costmodel.commands.shared.space_options import QUANTITIES
from costmodel.commands.shared.training import RunsOption, formula_network, reported
from costmodel.networks.resnet import ResNetDesign, named
from costmodel.networks.wording import options_of
from costmodel.report import Column, Table
from costmodel.rounding import check_alpha, check_beta

if TYPE_CHECKING:
    from pwoct.training.record import RunFolder

app = typer.Typer(add_completion=False)

# How the options of a network are read.
READERS: dict[str, Any] = {
    "alpha": lambda text: reading.per_stage(text, check_alpha),
    "beta": lambda text: reading.per_stage(text, check_beta),
    "paths": lambda text: reading.per_stage(text, reading.path_names),
    "size": lambda text: reading.sides(text, "size"),
    "width": lambda text: _whole(text, "width"),
    "classes": lambda text: _whole(text, "classes"),
    "width-rule": str,
    "stride-rule": str,
    "between": str,
}


class Side(NamedTuple):
    """One side of a comparison: a network, and the run that it comes from, if any."""

    network: ResNetDesign
    run: RunFolder | None = None


@app.command()
def diff(
    a: Annotated[str, typer.Argument(help="A network, 'resnet56 --alpha 1/4 --paths HL', or a run.")],
    b: Annotated[str, typer.Argument(help="What to compare with it.")],
    quantity: Annotated[
        list[str] | None,
        typer.Option(help=f"{QUANTITIES}; one or more, joined by commas. Default: params,macs."),
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Show the layers that are the same, too.")] = False,
    runs: RunsOption = Path("runs"),
    format: FormatOption = Format.table,
) -> None:
    """Show what differs between two networks, layer by layer, and for two runs also settings and results.

    A network is what `pwoct-cost search` prints, or a model and the calculator's options in one argument.
    A run is its name in --runs, or its folder.
    """
    with bad_input():
        from costmodel.tables.diff import LEGEND, diff_table, narrow

        sides = [_side(text, runs) for text in (a, b)]
        for side in sides:
            warn_rounding([side.network])
        tables = [
            diff_table(
                sides[0].network, sides[1].network, reading.listed(quantity or ["params,macs"]), unchanged=all
            )
        ]
        if sides[0].run is not None and sides[1].run is not None:
            with reported():
                tables.append(_runs_table(sides[0].run, sides[1].run))
        options = {name: options_of(side.network) for name, side in zip("ab", sides, strict=True)}
        intro = [f"{name.upper()}: {text}" for name, text in options.items()]
        if format is Format.table:
            tables[0] = narrow(tables[0])
        show("diff", tables, format, options, intro, [f"Paths: {LEGEND}."])


def read_network(text: str) -> ResNetDesign:
    """Read a network: a model, resnet56 unless given, and options of the calculator.

    Raises ValueError where an option is unknown, is given twice or has no value.

    >>> read_network("resnet20 --alpha 1/4 --paths HL,LL").stages[0].alpha
    Fraction(1, 4)
    """
    words = [word for part in shlex.split(text) for word in part.split("=", 1)]
    if words[:1] == ["pwoct-cost"]:
        words = words[1:]
    if words and not words[0].startswith("--"):
        words = ["--model", *words]
    if len(words) % 2 or any(not word.startswith("--") for word in words[::2]):
        raise ValueError(f"a network is a model and options with a value each, got {text}")
    values: dict[str, str] = {}
    for option, value in zip(words[::2], words[1::2], strict=True):
        name = option.removeprefix("--")
        if name not in READERS and name != "model":
            raise ValueError(f"a network has the options {', '.join(READERS)}, got {option}")
        if name in values:
            raise ValueError(f"{option} is given twice: {text}")
        values[name] = value
    model = values.pop("model", "resnet56")
    return named(model, **{name.replace("-", "_"): READERS[name](value) for name, value in values.items()})


def _whole(text: str, name: str) -> int:
    if not re.fullmatch(r"0*[1-9]\d{0,8}", text, re.ASCII):
        raise ValueError(f"{name} must be a positive whole number, got {text}")
    return int(text)


def _side(text: str, runs: Path) -> Side:
    for path in (runs / text, Path(text)):
        if text and (path / "config.json").is_file():
            from pwoct.training.record import RunFolder

            run = RunFolder(path)
            with reported():
                return Side(formula_network(run.config()), run)
    if not text.startswith(("resnet", "--", "pwoct-cost")):
        raise ValueError(
            f"{text or 'nothing'} is neither a network, such as 'resnet56 --alpha 1/4', nor a run"
        )
    return Side(read_network(text))


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
    """A setting in full: two that differ must not look the same by rounding."""
    return None if value is None else str(value)


def _results(a: RunFolder, b: RunFolder) -> Iterator[tuple[str, Any, Any]]:
    results = [run.result() for run in (a, b)]
    for what in ("accuracy", "loss", "epoch", "minutes"):
        first, second = ("not finished" if result is None else getattr(result, what) for result in results)
        yield what, first, second
