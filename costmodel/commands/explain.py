"""`pwoct-cost explain`: an operator's derivation, formulas and sources."""

from __future__ import annotations

from typing import Annotated

import typer

from costmodel.commands.shared.errors import bad_input
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format, FormatOption, show
from costmodel.operators.registry import OperatorEntry, operators
from costmodel.operators.registry import operator as operator_of
from costmodel.report import Column, Table

app = typer.Typer(add_completion=False)

SHOWN = ("params", "macs", "macs_training", "activations", "element_ops", "elements_read", "elements_written")


@app.command()
def explain(
    ctx: typer.Context,
    operator: Annotated[str, typer.Argument(help=f"One of {', '.join(operators())}.")],
    format: FormatOption = Format.table,
) -> None:
    """Explain an operator: how its cost is derived, the formulas, and where they come from."""
    with bad_input():
        name = operator.lower() if operator.lower() in operators() else operator
        chosen = operator_of(name)
    payload = {"operator": name, "derivation": chosen.derivation, "sources": chosen.sources}
    intro = [chosen.title, "", " ".join(chosen.derivation), ""]
    notes = [f"Source: {source}." for source in chosen.sources]
    show(
        "explain", [formulas(chosen)], format, payload | Question.of(ctx, operator=name).said(), intro, notes
    )


def formulas(chosen: OperatorEntry) -> Table:
    """Return one row for each quantity of each part that is not 0."""
    rows = [
        {"part": part, "quantity": quantity.replace("_", " "), "formula": cost.formula(quantity)}
        for part, cost in chosen.formulas().items()
        for quantity in SHOWN
        if getattr(cost, quantity) != 0
    ]
    columns = [
        Column("part", "part"),
        Column("quantity", "quantity"),
        Column("formula", "formula", "formula"),
    ]
    return Table("formulas", "Formulas", columns, rows)
