"""What follows for a user: which alpha, beta, paths and width rule cost least at equal parameters.

Parameters and MACs are those of the network as built, with all convolutions. They say nothing of accuracy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from costmodel.grids.evaluate import evaluate
from costmodel.grids.grid import PATH_SUBSETS, grid
from costmodel.networks.resnet import resnet
from costmodel.networks.wording import path_text
from costmodel.operators.octave import PATHS
from costmodel.operators.recorder import cost_of
from costmodel.paper.cells import built_cost
from costmodel.paper.printed import Paper
from costmodel.report import Column, Table, change
from costmodel.rounding import WIDTH_RULES
from costmodel.search.front import pareto_front

DEPTH = 56
ALPHAS = tuple(Fraction(i, 16) for i in range(16))
BETAS = tuple(map(Fraction, ("1", "4/3", "3/2", "2", "8/3", "3", "4", "6", "8")))
PLAIN_DEPTHS = (20, 32, 44, 56)
EDGE_ROWS = 16
TOLERANCE = Fraction(2, 100)


class PricedChoice(NamedTuple):
    """A configuration of ResNet-56, what it costs, and the paths on which its bottleneck saves nothing."""

    params: int
    macs: int
    alpha: Fraction
    beta: Fraction
    paths: tuple[str, ...]
    width_rule: str
    idle: tuple[str, ...]


@dataclass(frozen=True)
class Choices:
    """All configurations, and two subsets of them in the order of their parameters.

    `front`: none has fewer parameters and fewer MACs. `edge`: of those in which every bottleneck saves, none
    has more parameters and fewer MACs; so these cost least for their parameters.
    """

    all: tuple[PricedChoice, ...]
    front: tuple[PricedChoice, ...]
    edge: tuple[PricedChoice, ...]

    def cheapest(self, params: int, alpha: Fraction | None = None) -> PricedChoice:
        """Return the configuration with the fewest MACs among those of equal parameters, at any or one alpha.

        Equal means: no more, and at most 2 % fewer. Every bottleneck saves. Raises ValueError if none is.
        """
        least = params * (1 - TOLERANCE)
        equal = [
            choice
            for choice in self.all
            if least <= choice.params <= params and alpha in (None, choice.alpha) and not choice.idle
        ]
        if not equal:
            raise ValueError(f"no configuration has between {1 - TOLERANCE} of {params:,} parameters and all")
        return min(equal, key=lambda choice: (choice.macs, choice.params))


def choices() -> Choices:
    """Return the grid of configurations with its exact Pareto front and its edge."""
    found = tuple(choice for rule in WIDTH_RULES for choice in _choices(rule))
    counts = np.array([(choice.params, choice.macs) for choice in found], dtype=np.int64)
    saving = np.flatnonzero([not choice.idle for choice in found])
    front, edge = pareto_front(counts).first, saving[pareto_front(counts[saving] * np.array([-1, 1])).first]
    return Choices(found, tuple(found[i] for i in front), tuple(found[i] for i in reversed(edge)))


def _choices(rule: str) -> Iterator[PricedChoice]:
    """The configurations of one width rule; bottlenecks only on paths that exist, no beta without one."""
    counts = evaluate(grid(ALPHAS, BETAS, PATH_SUBSETS), width_rule=rule)
    shape = len(ALPHAS), len(BETAS), len(PATH_SUBSETS)
    params, macs = (counts[name].reshape(shape) for name in ("params", "macs"))
    for a, b, p in product(*map(range, shape)):
        paths = PATH_SUBSETS[p]
        if not _exists(ALPHAS[a], paths) or (not paths and (b or rule != "out")):
            continue
        idle = tuple(path for path in paths if params[a, b, 1 << PATHS.index(path)] >= params[a, b, 0])
        yield PricedChoice(int(params[a, b, p]), int(macs[a, b, p]), ALPHAS[a], BETAS[b], paths, rule, idle)


def _exists(alpha: Fraction, paths: tuple[str, ...]) -> bool:
    return alpha > 0 or set(paths) <= {"HH"}


class NetworkPoint(NamedTuple):
    """A network with its name and true place; `printed` is what the paper says of its parameters."""

    name: str
    params: int
    macs: int
    alpha: Fraction | None = None
    printed: int | None = None


def plain_points() -> tuple[NetworkPoint, ...]:
    """Return the plain ResNets.

    >>> plain_points()[0]
    NetworkPoint(name='ResNet-20', params=272282, macs=40813184, alpha=None, printed=None)
    """
    costs = {depth: cost_of(resnet(depth).operators()) for depth in PLAIN_DEPTHS}
    return tuple(
        NetworkPoint(f"ResNet-{depth}", int(cost.params), int(cost.macs)) for depth, cost in costs.items()
    )


def paper_points(paper: Paper) -> tuple[NetworkPoint, ...]:
    """Return the paper's networks of the grid's depth with bottlenecks, at their true place."""
    rows = [row for row in paper.rows if row.depth == DEPTH and row.paths]
    return tuple(
        NetworkPoint(
            f"{row.path_text}, {float(row.alpha):g}",
            int(cost.params),
            int(cost.macs),
            row.alpha,
            round(Fraction(row.params) * 10**6),
        )
        for row in rows
        for cost in [built_cost(row)]
    )


def budget_table(paper: Paper, found: Choices) -> Table:
    """Return for each plain network and each of the paper's what costs least at as many parameters."""
    points = (*plain_points(), *paper_points(paper))
    rows = [_budget_row(point, found) for point in points]
    columns = [
        Column("network", "network"),
        Column("params", "its parameters", "count"),
        Column("macs", "its MACs", "count"),
        *_choice_columns(),
        Column("macs_vs_network", "change in MACs", "percent"),
    ]
    title = f"Fewest MACs at equal parameters: PwiseOct-ResNet-{DEPTH} (counts only)"
    return Table("equal_params", title, columns, rows)


def same_alpha_table(paper: Paper, found: Choices) -> Table:
    """Return for each of the paper's networks what costs least at as many parameters and the same alpha."""
    rows = [_budget_row(point, found, point.alpha) for point in paper_points(paper)]
    title = f"Fewest MACs at equal parameters and the same alpha: PwiseOct-ResNet-{DEPTH} (counts only)"
    return replace(budget_table(paper, found), name="equal_params_and_alpha", title=title, rows=rows)


def _budget_row(point: NetworkPoint, found: Choices, alpha: Fraction | None = None) -> dict[str, Any]:
    best = found.cheapest(point.params, alpha)
    return {
        "network": point.name,
        "params": point.params,
        "macs": point.macs,
        **_described(best),
        "macs_vs_network": change(best.macs, point.macs),
    }


def _choice_columns() -> list[Column]:
    return [
        Column("alpha", "alpha"),
        Column("beta", "beta"),
        Column("paths", "bottlenecks"),
        Column("width_rule", "width"),
        Column("choice_params", "parameters", "count"),
        Column("choice_macs", "MACs", "count"),
    ]


def _described(choice: PricedChoice) -> dict[str, Any]:
    has_bottlenecks = bool(choice.paths)
    return {
        "alpha": str(choice.alpha),
        "beta": str(choice.beta) if has_bottlenecks else None,
        "paths": path_text(choice.paths) if choice.paths else None,
        "width_rule": choice.width_rule if has_bottlenecks else None,
        "choice_params": choice.params,
        "choice_macs": choice.macs,
    }


def front_table(found: Choices) -> Table:
    """Return the Pareto front of parameters and MACs."""
    title = f"Pareto front: no other of {len(found.all):,} configurations has fewer parameters and fewer MACs"
    return Table("front", title, _choice_columns(), list(map(_described, found.front)))


def edge_table(found: Choices, most: int | None = EDGE_ROWS) -> Table:
    """Return the configurations that cost least for their parameters, or evenly chosen ones of them."""
    count = len(found.edge)
    shown = np.linspace(0, count - 1, min(count, most or count)).round().astype(int)
    rows = [_described(found.edge[i]) for i in shown]
    title = f"Fewest MACs with at least this many parameters: {len(rows)} of {count} configurations"
    return Table("edge", title, _choice_columns(), rows)


def idle_table(found: Choices) -> Table:
    """Return for each path how often a bottleneck on it saves no parameters of the whole network."""
    rows = [
        {
            "path": path,
            "configurations": sum(path in choice.paths for choice in found.all),
            "idle": sum(path in choice.idle for choice in found.all),
        }
        for path in PATHS
    ]
    columns = [
        Column("path", "path"),
        Column("configurations", "with a bottleneck", "count"),
        Column("idle", "saves nothing", "count"),
    ]
    return Table("idle", "Bottlenecks that save no parameters of the whole network", columns, rows)
