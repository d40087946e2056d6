"""The tables of proofs: theorems with domain and verdict, what is checked at points, and failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from costmodel.report import Column, Table

if TYPE_CHECKING:
    from costmodel.checks.prove import Theorem

PROVED, REFUTED = "proved", "not proved"
CHECKED, DIFFERS = "agrees", "differs"


def theorem_table(theorems: Sequence[Theorem]) -> Table:
    """Return one row per theorem that is proved for all sizes of its domain."""
    rows = [
        {
            "theorem": theorem.claim.name,
            "runs": len(theorem.runs),
            "conditions": sum(len(run.conditions) for run in theorem.runs),
            "instances": sum(len(run.instances) for run in theorem.runs),
            "verdict": PROVED if theorem.holds else REFUTED,
        }
        for theorem in theorems
        if theorem.claim.kind == "proved"
    ]
    columns = [
        Column("theorem", "formula = code for"),
        Column("runs", "runs", "count"),
        Column("conditions", "conditions decided", "count"),
        Column("instances", "instances", "count"),
        Column("verdict", "verdict"),
    ]
    title = (
        "MACs, activations, parameters of each layer; calls, traffic, work: traced code minus formula is zero"
    )
    return Table("theorems", title, columns, rows)


def domain_table(theorems: Sequence[Theorem]) -> Table:
    """Return one row per run: the exact domain on which it is a proof."""
    rows = [
        {"theorem": theorem.claim.name, "run": run.case.name, "domain": run.case.domain.text()}
        for theorem in theorems
        if theorem.claim.kind == "proved"
        for run in theorem.runs
    ]
    columns = [Column("theorem", "theorem"), Column("run", "run"), Column("domain", "domain: whole numbers")]
    return Table("domains", "Exact domains", columns, rows)


def checked_table(theorems: Sequence[Theorem]) -> Table:
    """Return one row per claim that is checked at points, not proved."""
    rows = [
        {
            "claim": theorem.claim.name,
            "points": theorem.claim.for_all,
            "numbers": sum(len(run.compared) for run in theorem.runs),
            "verdict": CHECKED if theorem.holds else DIFFERS,
        }
        for theorem in theorems
        if theorem.claim.kind == "checked"
    ]
    columns = [
        Column("claim", "not proved, checked"),
        Column("points", "at"),
        Column("numbers", "numbers", "count"),
        Column("verdict", "verdict"),
    ]
    return Table("checked", "Not proved for all sizes, but checked at points", columns, rows)


def failure_table(theorems: Sequence[Theorem]) -> Table:
    """Return one row per reason why a theorem is not proved."""
    rows = [
        {"theorem": theorem.claim.name, "failure": failure}
        for theorem in theorems
        for failure in theorem.failures
    ]
    columns = [Column("theorem", "theorem"), Column("failure", "not proved because")]
    return Table("failures", "Not proved", columns, rows)
