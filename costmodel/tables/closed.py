"""The closed form of a traced network as tables and as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from costmodel.convention import Cost
from costmodel.report import Column, Table
from costmodel.tables import expressions
from costmodel.tracing.form import ClosedForm

# Quantities that are written as formulas; training and bytes hold under other conditions.
QUANTITIES: Mapping[str, str] = {
    "params": "parameters",
    "macs": "MACs",
    "activations": "activations",
    "element_ops": "element operations",
}

MOST_CONDITIONS = 4  # in a title; further ones are counted


def formulas(cost: Cost) -> dict[str, Any]:
    """Return the formulas of a cost by quantity."""
    return {name: getattr(cost, name) for name in QUANTITIES}


def symbols_of(form: ClosedForm) -> list[str]:
    """Return the names of the symbols, in the given order."""
    return [symbol.name for symbol in form.domain.least]


def formula_table(form: ClosedForm) -> Table:
    """Return one row per quantity of the whole network."""
    rows = [
        {"quantity": QUANTITIES[name], "formula": expressions.text(formula), **_machine(formula)}
        for name, formula in formulas(form.total).items()
    ]
    columns = [Column("quantity", "quantity"), Column("formula", "formula", "formula"), *_MACHINE]
    title = f"Closed form, {form.status}: {form.domain.summary(MOST_CONDITIONS)}"
    return Table("formulas", title, columns, rows)


def unlisted(form: ClosedForm) -> list[str]:
    """Return where all conditions of the domain are listed, if the title of the formulas leaves some out."""
    count = len(form.domain.conditions)
    return [f"--format json lists all {count} conditions of the domain."] if count > MOST_CONDITIONS else []


def layers_table(form: ClosedForm) -> Table:
    """Return one row per layer with MACs."""
    rows = [
        {"name": name or "(model)", "macs": expressions.text(cost.macs), **_machine(cost.macs)}
        for name, cost in form.per_layer.items()
        if cost.macs != 0
    ]
    columns = [Column("name", "layer"), Column("macs", "MACs", "formula"), *_MACHINE]
    return Table("layers", "Layer by layer", columns, rows)


_MACHINE = [Column(key, key, on_terminal=False, for_readers=False) for key in ("latex", "srepr")]


def _machine(formula: Any) -> dict[str, str]:
    return {"latex": expressions.latex(formula), "srepr": sp.srepr(sp.sympify(formula))}


def specialised_table(form: ClosedForm) -> Table:
    """Return one row per size that the code fixes."""
    rows = [{"size": size, "why": why} for size, why in form.specialised.items()]
    return Table(
        "specialised", "Sizes that the code fixes", [Column("size", "size"), Column("why", "where")], rows
    )


def code(form: ClosedForm, language: str) -> str:
    """Return the formulas in one of `expressions.LANGUAGES` other than json."""
    domain = form.domain.text.removeprefix("for ")
    if form.status.startswith("interpolated"):
        domain = f"{domain}; {form.status}"
    return expressions.written(language, formulas(form.total), symbols_of(form), domain)
