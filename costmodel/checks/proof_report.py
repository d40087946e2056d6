"""The tables of proofs: theorems with method and verdict, the reasons of grids, what is not proved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from costmodel.report import Column, Table

if TYPE_CHECKING:
    from costmodel.checks.prove import Theorem

PROVED, REFUTED = "proved", "not proved"


def theorem_table(theorems: Sequence[Theorem]) -> Table:
    """Return a row a theorem."""
    rows = [
        {
            "theorem": theorem.claim.name,
            "for_all": theorem.claim.for_all,
            "method": theorem.claim.method,
            "runs": theorem.runs,
            "verdict": PROVED if theorem.holds else REFUTED,
        }
        for theorem in theorems
    ]
    columns = [
        Column("theorem", "formula = code for"),
        Column("for_all", "for all (each at least 2)"),
        Column("method", "method"),
        Column("runs", "runs", "count"),
        Column("verdict", "verdict"),
    ]
    title = "MACs, activation elements and parameters, layer by layer: traced code minus formula is zero"
    return Table("theorems", title, columns, rows)


def grid_table(theorems: Sequence[Theorem]) -> Table:
    """Return a row for each reason why numbers on a grid are enough."""
    reasons: dict[str, list[str]] = {}
    for theorem in theorems:
        if theorem.claim.grid:
            reasons.setdefault(theorem.claim.grid, []).append(theorem.claim.name)
    rows = [{"grid": grid, "theorems": "; ".join(names)} for grid, names in reasons.items()]
    columns = [Column("theorems", "proved on a grid"), Column("grid", "numbers, and why they are enough")]
    return Table("grids", "Where a quantity took numbers", columns, rows)


def failure_table(theorems: Sequence[Theorem]) -> Table:
    """Return a row for each thing that keeps a theorem from being proved."""
    rows = [
        {"theorem": theorem.claim.name, "failure": failure}
        for theorem in theorems
        for failure in theorem.failures
    ]
    columns = [Column("theorem", "theorem"), Column("failure", "not proved because")]
    return Table("failures", "Not proved", columns, rows)
