"""A Pareto front as a table and as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from costmodel.grids.quantities import heading_of
from costmodel.networks.wording import joined, options_of, path_text
from costmodel.report import Column, Table, counted
from costmodel.search.search import Found, FrontPoint
from costmodel.search.space import TIED
from costmodel.search.stage_costs import Measures


def front_table(found: Found, positions: Sequence[int]) -> Table:
    """Return some points of a front, one row each, with their places on it and the options that cost them."""
    rows = [_row(position + 1, found.point(position)) for position in positions]
    title = f"Pareto front: {counted(len(found), 'point')} of {counted(found.space.size, 'configuration')}"
    return Table("front", title, _columns(found), rows)


def describe_search(found: Found, budgets: Mapping[str, Fraction]) -> dict[str, Any]:
    """Return what was asked, as plain values for JSON."""
    space = found.space
    return {
        **searched(space.size, len(found), found.measures, budgets),
        "dtype": found.measures.dtype,
        "space": {
            "model": [f"resnet{depth}" for depth in space.depths],
            "alpha": [str(alpha) for alpha in space.alphas],
            "beta": [str(beta) for beta in space.betas],
            "paths": [path_text(paths) for paths in space.path_sets],
            "width_rule": list(space.width_rules),
            "width": list(space.width_list),
            "same_in_all_stages": [name for name in TIED if name in space.tied],
        },
    }


def searched(
    configurations: int, points: int, measures: Measures, budgets: Mapping[str, Fraction]
) -> dict[str, Any]:
    """Return what every search says of itself: how much it searched and found, and for what."""
    return {
        "configurations": configurations,
        "points": points,
        "quantities": list(measures.names),
        "maximise": sorted(measures.maximise),
        "budgets": {name: int(budget) for name, budget in budgets.items()},
    }


def _columns(found: Found) -> list[Column]:
    space, names = found.space, found.measures.names
    # Width and depth are columns already where they are quantities.
    several_widths = len(space.width_list) > 1 and "width" not in names
    return [
        Column("position", "#", "count"),
        *(Column(name, heading_of(name), "count") for name in names),
        Column("configurations", "equal", "count"),
        *([Column("model", "model")] if len(space.depths) > 1 else []),
        *([Column("width", "width", "count")] if several_widths else []),
        Column("alpha", "alpha"),
        Column("beta", "beta"),
        Column("paths", "paths"),
        *([Column("width_rule", "width rule")] if len(space.width_rules) > 1 else []),
        Column("options", "options", on_terminal=False),
    ]


def _row(position: int, point: FrontPoint) -> dict[str, Any]:
    net = point.network
    return {
        "position": position,
        "width": net.backbone.width,
        **point.costs,
        "configurations": point.count,
        "model": f"resnet{net.backbone.depth}",
        "alpha": joined(stage.alpha for stage in net.stages),
        "beta": joined(stage.beta for stage in net.stages) if net.is_compressed else None,
        "paths": joined(path_text(stage.paths) for stage in net.stages),
        "width_rule": net.width_rule,
        "options": options_of(net),
    }
