"""The tables of the search over readings: the best, what must hold in them, and what every choice reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any

from costmodel.paper.axes import AXES, in_words
from costmodel.paper.counting import Counting, described, subject
from costmodel.paper.inventory import Build, inventory
from costmodel.paper.printed import Paper, Statement
from costmodel.paper.search import EITHER, Search, Together, best_pairs, search, together
from costmodel.paper.verdicts import rounded
from costmodel.report import Column, Table


@dataclass(frozen=True)
class Findings:
    """The searches of both quantities, and the best readings of both at once."""

    paper: Paper
    params: Search
    macs: Search
    together: Together


@cache
def find(paper: Paper) -> Findings:
    """Search all readings, which takes seconds; once for each paper."""
    params, macs = search(paper, "params"), search(paper, "macs")
    return Findings(paper, params, macs, together(params, macs))


def best_table(found: Findings) -> Table:
    """Return the best scores: of parameters, of MACs, and of both under increasingly strict conditions."""
    both = found.together
    rows = [
        _best_row("parameters", found.params.best, found.params),
        _best_row("MACs", found.macs.best, found.macs),
        {"what": "both: one network, each counted in its own way", "cells": both.own_way, "of": both.cells},
        {
            "what": "both: one network, the same shortcuts and head counted for both",
            "cells": both.same_layers,
            "of": both.cells,
        },
        {
            "what": "both: one network, the same convolutions, shortcuts and head counted for both",
            "cells": both.same_way,
            "of": both.cells,
        },
    ]
    columns = [
        Column("what", "quantity"),
        Column("cells", "cells matched", "count"),
        Column("of", "of", "count"),
        Column("ties", "readings with this score", "count"),
        Column("readings", "readings searched", "count"),
    ]
    return Table("best", "The best readings", columns, rows)


def _best_row(what: str, best: int, of: Search) -> dict[str, Any]:
    return {"what": what, "cells": best, "of": of.cells, "ties": of.count_best(), "readings": of.size}


def ranking_table(found: Findings, most: int = 6) -> Table:
    """Return how many readings match how many cells, from the best down."""
    both = zip(found.params.ranking(most), found.macs.ranking(most), strict=True)
    rows = [
        {
            "rank": rank,
            "params": params[0],
            "params_readings": params[1],
            "macs": macs[0],
            "macs_readings": macs[1],
        }
        for rank, (params, macs) in enumerate(both, start=1)
    ]
    columns = [
        Column("rank", "rank", "count"),
        Column("params", f"parameters, of {found.params.cells}", "count"),
        Column("params_readings", "readings", "count"),
        Column("macs", f"MACs, of {found.macs.cells}", "count"),
        Column("macs_readings", "readings", "count"),
    ]
    return Table("ranking", "How many cells readings match, from the best down", columns, rows)


def axis_table(found: Findings) -> Table:
    """Return for each choice the most cells that readings with it match: what a choice rules out."""
    searches = {"params": found.params, "macs": found.macs}
    rows = [
        {
            "axis": AXES[axis],
            "value": in_words(axis, value),
            **{
                name: one.best_with(**{axis: value}) if axis in one.axes else None
                for name, one in searches.items()
            },
        }
        for axis in AXES
        for value in _values(axis, searches.values())
    ]
    columns = [
        Column("axis", "choice"),
        Column("value", "value"),
        Column("params", f"parameters, of {found.params.cells}", "count"),
        Column("macs", f"MACs, of {found.macs.cells}", "count"),
    ]
    return Table("choices", "The most cells that a reading with a choice matches", columns, rows)


def _values(axis: str, searches: Iterable[Search]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(value for one in searches for value in one.axes.get(axis, ())))


def kernel_table(found: Findings) -> Table:
    """Return the most cells matched for each choice of the 1x1 convolutions that are counted."""
    octave = sum(row.alpha > 0 for row in found.paper.cells("params"))
    rows = [
        {
            "first": reduce,
            "second": expand,
            "params": found.params.best_with(reduce=reduce, expand=expand),
            "params_out": found.params.best_with(reduce=reduce, expand=expand, width_rule="out"),
            "macs": found.macs.best_with(reduce=reduce, expand=expand),
        }
        for reduce, expand in product(EITHER, EITHER)
    ]
    columns = [
        Column("first", "first 1x1 counted", "verdict"),
        Column("second", "second 1x1 counted", "verdict"),
        Column("params", f"parameters, of {found.params.cells}", "count"),
        Column("params_out", "with width c_out/beta", "count"),
        Column("macs", f"MACs, of {found.macs.cells}", "count"),
    ]
    title = f"Which 1x1 convolutions are counted: most cells matched ({octave} octave parameter cells)"
    return Table("kernels", title, columns, rows)


# The axes that the cells leave open.
TELLING = ("compress_first", "shortcut", "end_shortcut", "shortcuts", "head", "octave_bias")


@dataclass(frozen=True)
class Tie:
    """Readings of the parameters, best in both quantities, that give the same reductions."""

    reductions: tuple[str, ...]  # as computed, in the order of the claims
    claims: int  # how many of them are as printed
    readings: tuple[tuple[str, Build, Counting], ...]


def ties(found: Findings) -> list[Tie]:
    """Return the readings that are best in both quantities, by the reductions that they give; best first."""
    claims = [claim for claim in found.paper.claims if claim.kind == "fewer_params"]
    groups: dict[tuple[str, ...], list[tuple[str, Build, Counting]]] = {}
    for rounding, build, counting in best_pairs(found.params, found.macs):
        reductions = tuple(_reduction(found.paper, claim, build, counting) for claim in claims)
        groups.setdefault(reductions, []).append((rounding, build, counting))
    printed = [claim.printed for claim in claims]
    tied = [
        Tie(values, sum(a == b for a, b in zip(values, printed, strict=True)), tuple(readings))
        for values, readings in groups.items()
    ]
    return sorted(tied, key=lambda tie: (-tie.claims, tie.reductions))


def _reduction(paper: Paper, claim: Statement, build: Build, counting: Counting) -> str:
    of, against = (
        counting.of(inventory(subject(paper.by_key[key]), build).params)
        for key in (claim.of[0], claim.against[0])
    )
    return rounded(100 * (1 - Fraction(of, against)), claim.printed or "0.0")


def tie_table(found: Findings) -> Table:
    """Return what readings that are best in both quantities give for the reductions in the text."""
    claims = [claim for claim in found.paper.claims if claim.kind == "fewer_params"]
    tied = ties(found)
    rows = [
        {
            **{claim.id: value for claim, value in zip(claims, tie.reductions, strict=True)},
            "claims": tie.claims,
            "readings": len(tie.readings),
            "common": "; ".join(_common(tie)),
            "differ": "; ".join(_different(tie)),
        }
        for tie in tied
    ]
    columns = [
        *(Column(claim.id, f"printed {claim.printed}") for claim in claims),
        Column("claims", "as printed", "count"),
        Column("readings", "readings", "count"),
        Column("common", "what they have in common"),
        Column("differ", "what differs between them"),
    ]
    count = sum(len(tie.readings) for tie in tied)
    title = f"The {count} readings of the parameters that are best in both, by the text's reductions (%)"
    return Table("ties", title, columns, rows)


def _common(tie: Tie) -> Iterator[str]:
    """What sets the readings of a tie apart: axes that the cells leave open, with one value."""
    for axis, values in _values_by_axis(tie).items():
        if len(values) == 1 and axis in TELLING:
            yield f"{AXES[axis]}: {in_words(axis, values[0])}"


def _different(tie: Tie) -> Iterator[str]:
    for axis, values in _values_by_axis(tie).items():
        if len(values) > 1:
            yield f"{AXES[axis]}: {' or '.join(in_words(axis, value) for value in values)}"


def _values_by_axis(tie: Tie) -> dict[str, tuple[Any, ...]]:
    readings = [
        {"rounding": rounding, **described(build), **described(counting)}
        for rounding, build, counting in tie.readings
    ]
    axes = [axis for axis in AXES if axis != "stride"]  # parameters do not depend on it
    return {axis: tuple(dict.fromkeys(reading[axis] for reading in readings)) for axis in axes}
