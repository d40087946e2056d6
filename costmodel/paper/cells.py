"""The printed counts, cell by cell, beside what a reading and the network as built give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

from costmodel.convention import Cost
from costmodel.networks.closed_form import network_cost
from costmodel.operators.layer import Layer
from costmodel.operators.registry import layer_cost
from costmodel.paper.counting import PRINTED, Reading
from costmodel.paper.printed import EXPONENTS, Paper, PrintedRow
from costmodel.report import Column, Table

QUANTITIES: Mapping[str, str] = {"params": "Parameters", "macs": "MACs"}
NAMES: Mapping[str, str] = {"params": "parameters", "macs": "MACs"}  # within a sentence

# The layer of section 5.3, plain and as a bottleneck.
PLAIN, BOTTLENECK = "OctConv", "PwiseOctConv HH"
LAYERS: Mapping[str, Layer] = {PLAIN: Layer(), BOTTLENECK: Layer(paths=frozenset({"HH"}))}


class Count(NamedTuple):
    """What was counted of an instantiated network or layer."""

    params: int
    macs: int


@dataclass(frozen=True)
class Cell:
    """One printed count, and what there is to say of it."""

    row: PrintedRow
    quantity: str  # params or macs
    printed: str
    reading: int
    matches: bool
    with_pointwise: int
    built: int


@cache
def built_cost(row: PrintedRow) -> Cost:
    """Return what the network of a row costs as this project builds it."""
    net = row.network()
    return network_cost(net.backbone, net, net.backbone.n)


def cells(paper: Paper, reading: Reading = PRINTED) -> list[Cell]:
    """Return all printed counts, parameters first.

    >>> from costmodel.paper.printed import read_paper
    >>> found = cells(read_paper())
    >>> len(found), sum(cell.matches for cell in found)
    (40, 40)
    """
    built = {row.key: built_cost(row) for row in paper.rows}
    return [
        _cell(row, quantity, reading, built[row.key])
        for quantity in QUANTITIES
        for row in paper.cells(quantity)
    ]


def _cell(row: PrintedRow, quantity: str, reading: Reading, built: Cost) -> Cell:
    printed = row.printed(quantity)
    assert printed is not None
    return Cell(
        row,
        quantity,
        printed,
        reading.count(row, quantity),
        reading.matches(row, quantity),
        reading.with_pointwise().count(row, quantity),
        int(getattr(built, quantity)),
    )


def network_columns() -> list[Column]:
    """Return the columns that say which row of the paper is meant."""
    return [Column("row", "row"), Column("network", "network")]


def network_values(row: PrintedRow) -> dict[str, Any]:
    """Return the values of `network_columns`."""
    return {"row": row.key, "network": row.label}


def cell_table(found: list[Cell], quantity: str) -> Table:
    """Return one row per printed count; of MACs, the reading counts 1x1 convolutions already."""
    chosen = [cell for cell in found if cell.quantity == quantity]
    rows = [{**network_values(cell.row), **_values(cell)} for cell in chosen]
    columns = [
        *network_columns(),
        Column("printed", "paper"),
        Column("reading", "reading", "count"),
        Column("matches", "ok", "verdict"),
        *([Column("with_pointwise", "all 1x1", "count")] if quantity == "params" else []),
        Column("built", "as built", "count"),
    ]
    matching = sum(cell.matches for cell in chosen)
    title = (
        f"{QUANTITIES[quantity]} (printed in 10^{EXPONENTS[quantity]}): {matching} of {len(chosen)} printed "
        "cells follow from the reading"
    )
    return Table(quantity, title, columns, rows)


def verdict(found: Sequence[Cell], of: str) -> str:
    """Say in a sentence or two whether printed cells follow from the reading, and what they leave out.

    >>> from costmodel.paper.printed import read_paper
    >>> print(verdict([cell for cell in cells(read_paper()) if cell.row.key == "1.1"], "Row 1.1"))
    Row 1.1: all printed counts follow from the reading (parameters 1 of 1, MACs 1 of 1).
    """
    counts = []
    for quantity in QUANTITIES:
        chosen = [cell.matches for cell in found if cell.quantity == quantity]
        if chosen:
            counts.append(f"{NAMES[quantity]} {sum(chosen)} of {len(chosen)}")
    share = "all" if all(cell.matches for cell in found) else "not all"
    return f"{of}: {share} printed counts follow from the reading ({', '.join(counts)}).{_left_out(found)}"


def _left_out(found: Sequence[Cell]) -> str:
    """Say that printed parameters leave out the 1x1 convolutions of the bottlenecks, where there are any."""
    left = [cell for cell in found if cell.quantity == "params" and cell.with_pointwise != cell.reading]
    if not left:
        return ""
    most = max(left, key=lambda cell: Fraction(cell.with_pointwise, cell.reading))
    return (
        " The printed parameters leave out the 1x1 convolutions of the bottlenecks, which the MACs count:"
        f" with them, {most.row.label} has {most.with_pointwise:,} parameters, not {most.reading:,}."
    )


def described(cell: Cell) -> dict[str, Any]:
    """Return all that is known of a cell as plain values, for JSON."""
    row = cell.row
    return {
        "table": row.table,
        "row": row.row,
        "depth": row.depth,
        "kind": row.kind,
        "alpha": str(row.alpha),
        "paths": sorted(row.paths),
        "quantity": cell.quantity,
        "unit": 10 ** EXPONENTS[cell.quantity],
        **_values(cell),
    }


def _values(cell: Cell) -> dict[str, Any]:
    return {
        "printed": cell.printed,
        "reading": cell.reading,
        "matches": cell.matches,
        "with_pointwise": cell.with_pointwise,
        "built": cell.built,
    }


def counted_table(paper: Paper, counts: Mapping[str, Count]) -> Table:
    """Return one row per network: what was instantiated, and whether the formulas agree."""
    rows = [{**network_values(row), **_counted(counts[row.key], built_cost(row))} for row in paper.rows]
    title = "Counts of the instantiated networks, and whether `as built` is the same"
    return Table("instantiated", title, [*network_columns(), *COUNTED_COLUMNS], rows)


def layer_table(counts: Mapping[str, Count]) -> Table:
    """Return one row per layer of section 5.3: what was instantiated, and whether the formulas agree."""
    formulas = {name: layer_cost("pwise", layer) for name, layer in LAYERS.items()}
    rows = [{"layer": name, **_counted(count, formulas[name])} for name, count in counts.items()]
    title = "Counts of the instantiated layers of section 5.3, and whether the formulas give the same"
    return Table("instantiated_layers", title, [Column("layer", "layer"), *COUNTED_COLUMNS], rows)


COUNTED_COLUMNS = (
    Column("params", "parameters", "count"),
    Column("macs", "MACs", "count"),
    Column("equal", "equal", "verdict"),
)


def _counted(count: Count, formula: Cost) -> dict[str, Any]:
    return {**count._asdict(), "equal": count == (formula.params, formula.macs)}
