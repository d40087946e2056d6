"""The exact Pareto front of a space of configurations under budgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product

import numpy as np

from costmodel.grids.grid import LARGEST
from costmodel.grids.quantities import STRUCTURE, heading_of
from costmodel.networks.resnet import ResNetDesign
from costmodel.networks.stages import STAGES
from costmodel.networks.wording import options_of
from costmodel.search.front import IntArray, pareto_front
from costmodel.search.merge import Partial, Problem, after_alphas, join, merge
from costmodel.search.space import Space
from costmodel.search.stage_costs import Measures, network_costs, plain_cost, tables
from costmodel.speed.roofline import Machine

ALWAYS = ("params", "macs")  # every front has these coordinates


@dataclass(frozen=True)
class FrontPoint:
    """A point of a front: its costs by name, one network with these costs, and how many have them."""

    costs: Mapping[str, int]
    network: ResNetDesign
    count: int


@dataclass(frozen=True)
class Found:
    """The front of a space. `points` (F, D) are its costs in lexicographic order (what is maximised comes
    largest first); `count` (F,) says how many configurations cost exactly that.
    """

    space: Space
    measures: Measures
    points: IntArray
    count: IntArray
    picks: IntArray  # (F, 6): positions of width, depth and width rule, and the choices of the stages

    def __len__(self) -> int:
        return len(self.points)

    def point(self, i: int) -> FrontPoint:
        """Return one point; of the configurations that cost the same, the first in the order of the space."""
        width, depth, rule, *picks = self.picks[i].tolist()
        space = self.space.at_width(self.space.width_list[width])
        network = space.network(space.depths[depth], space.width_rules[rule], picks)
        costs = dict(zip(self.measures.names, self.points[i].tolist(), strict=True))
        return FrontPoint(costs, network, int(self.count[i]))

    def spread(self, most: int) -> list[int]:
        """Return at most `most` positions, evenly spread over the front, including its ends.

        Raises ValueError if it is not at least 1.
        """
        return spread(len(self), most)


def spread(count: int, most: int) -> list[int]:
    """Return at most `most` of `count` positions, evenly spread, including the ends.

    Raises ValueError if it is not at least 1.
    """
    if most < 1:
        raise ValueError(f"at least 1 row must be shown, got {most}")
    return [int(position) for position in np.linspace(0, count - 1, min(most, count)).round()]


class NothingFitsError(ValueError):
    """No configuration is within the budgets; the message names the nearest one and its excess."""


def search(
    space: Space,
    budgets: Mapping[str, Fraction | int] | None = None,
    *,
    minimise: Sequence[str] = (),
    maximise: Sequence[str] = (),
    dtype: str = "float32",
    machine: Machine | None = None,
) -> Found:
    """Return the exact Pareto front of the configurations within the budgets (the most of each quantity).

    Coordinates are parameters, MACs, whatever has a budget, and what is to be minimised or maximised besides:
    also the width and the depth of the networks. A latency, in nanoseconds, is predicted for a machine and
    the dtype. Raises NothingFitsError if nothing fits, and ValueError where a quantity is unknown.

    >>> from costmodel.search.space import space
    >>> found = search(space(alphas=[0, "1/4"]), {"macs": 40_000_000})
    >>> found.point(0).costs, options_of(found.point(0).network)
    ({'params': 409482, 'macs': 36473472}, '--model resnet56 --alpha 1/4 --beta 2 --paths all')
    """
    limits = {name: limit_of(name, budget) for name, budget in (budgets or {}).items()}
    both = set(minimise) & set(maximise)
    if both:
        raise ValueError(f"cannot both minimise and maximise {', '.join(sorted(both))}")
    names = tuple(dict.fromkeys((*ALWAYS, *limits, *minimise, *maximise)))
    measures = Measures(names, frozenset(maximise), dtype, machine)
    found = _front(space, measures, limits)
    if len(found) == 0:
        raise NothingFitsError(_nearest(space, replace(measures, names=tuple(limits)), limits))
    return found


def limit_of(name: str, budget: Fraction | int) -> int:
    """Return the most of a quantity: counts are whole, so it is the budget, rounded down.

    Raises ValueError if the quantity is unknown or has no budget, or the budget is not positive.
    """
    heading_of(name)  # refuses unknown names
    if name in STRUCTURE:
        raise ValueError(f"a space lists its values of {name}: it has no budget")
    if budget <= 0:
        raise ValueError(f"a budget must be positive, got {budget} for {name}")
    return min(int(budget), LARGEST)


def _front(space: Space, measures: Measures, limits: Mapping[str, int]) -> Found:
    most = np.array([limits.get(name, LARGEST) for name in measures.names], dtype=np.int64)
    partial = join(list(_fronts(space, measures, most)), len(most))
    return Found(space, measures, partial.points * measures.signs, partial.number, partial.picks)


def _fronts(space: Space, measures: Measures, most: IntArray) -> Iterator[Partial]:
    """Yield the front of each width, depth and width rule; its picks begin with the positions of these.

    In each of these fronts width and depth are constant: they enter it only when all are joined.
    """
    front = _tied_front if space.is_tied else _merged_front
    costs = measures.costs
    budgets = most[[name not in STRUCTURE for name in measures.names]]
    for i, width in enumerate(space.width_list):
        part = space.at_width(width)
        for (j, depth), (k, rule) in product(enumerate(part.depths), enumerate(part.width_rules)):
            partial = front(part, depth, rule, costs, budgets)
            if len(partial.points):
                where = np.tile([i, j, k], (len(partial.points), 1))
                points = measures.with_structure(partial.points, {"width": width, "depth": depth})
                yield partial._replace(points=points, picks=np.column_stack([where, partial.picks]))


def _tied_front(space: Space, depth: int, rule: str, measures: Measures, most: IntArray) -> Partial:
    costs = network_costs(space, depth, rule, measures)
    fitting = np.flatnonzero((costs <= most).all(axis=1))
    front = pareto_front(costs[fitting] * measures.signs)
    return Partial(front.points, front.weight, np.repeat(fitting[front.first][:, None], 3, axis=1))


def _merged_front(space: Space, depth: int, rule: str, measures: Measures, most: IntArray) -> Partial:
    # Room for the rest must not overflow, and nothing costs more than LARGEST.
    problem = Problem(
        tables(space, depth, rule, measures),
        after_alphas(space.choices.alpha, len(space.alphas), len(STAGES)),
        space.labels(),
        space.plain(),
        measures.signs,
        most,
    )
    fronts = [merge(problem), *_plain_front(space, depth, measures, most)]
    return join([front for front in fronts if len(front.points)], len(most))


def _plain_front(space: Space, depth: int, measures: Measures, most: IntArray) -> Iterator[Partial]:
    """Yield the plain network, if it is in the space and fits; merging leaves it out."""
    costs, plain = plain_cost(space, depth, measures), np.flatnonzero(space.plain())
    if len(plain) == 0 or (costs > most).any():
        return
    _, sizes = np.unique(space.labels()[plain], return_counts=True)
    count = np.array([sum(int(size) ** 3 for size in sizes)], dtype=np.int64)
    yield Partial((costs * measures.signs)[None, :], count, np.full((1, 3), plain[0]))


def _nearest(space: Space, budgeted: Measures, limits: Mapping[str, int]) -> str:
    """Describe the configuration whose largest relative excess over a budget is smallest.

    One such is on the front of the budgeted quantities, since whatever dominates it is no farther.
    """
    front = _front(space, replace(budgeted, maximise=frozenset()), {})
    named = [dict(zip(budgeted.names, costs, strict=True)) for costs in front.points.tolist()]
    position, missed = nearest_of(named, limits)
    return f"no configuration fits: the nearest is {options_of(front.point(position).network)}, with {missed}"


def nearest_of(points: Sequence[Mapping[str, int]], limits: Mapping[str, int]) -> tuple[int, str]:
    """Return the point whose largest relative excess over a budget is smallest, and this excess in words."""
    position = min(range(len(points)), key=lambda i: _excess(points[i], limits))
    costs = points[position]
    missed = [
        f"{heading_of(name)} {costs[name]:,}: {_over(costs[name], limit)}"
        for name, limit in limits.items()
        if costs[name] > limit
    ]
    return position, ", ".join(missed)


def _excess(costs: Mapping[str, int], limits: Mapping[str, int]) -> Fraction:
    return max(Fraction(costs[name], max(1, limit)) for name, limit in limits.items())


def _over(cost: int, limit: int) -> str:
    share = f" ({100 * (cost - limit) / limit:.1f} %)" if limit else ""
    return f"{cost - limit:,} over the budget of {limit:,}{share}"
