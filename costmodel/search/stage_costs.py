"""The cost of each choice of a stage, for each alpha of the stage before it; a network is a sum of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from costmodel.convention import Cost, dtype_bytes
from costmodel.grids.grid import Grid, IntArray
from costmodel.grids.quantities import (
    LATENCY,
    STRUCTURE,
    check_count,
    cost_quantities,
    grid_quantities,
    heading_of,
    named_quantity,
)
from costmodel.networks.resnet import resnet
from costmodel.networks.stages import STAGES
from costmodel.operators.recorder import cost_of
from costmodel.search.latency import Predictor, network_latency, outside_latency, stage_latencies
from costmodel.search.space import Space
from costmodel.sizes import pair
from costmodel.speed.roofline import Machine


@dataclass(frozen=True)
class Measures:
    """The quantities asked for, in the order of the coordinates; those in `maximise` are maximised.

    A latency needs a machine to predict it for. Raises ValueError if a quantity is unknown.
    """

    names: tuple[str, ...]
    maximise: frozenset[str] = frozenset()
    dtype: str = "float32"
    machine: Machine | None = None

    def __post_init__(self) -> None:
        dtype_bytes(self.dtype)
        for name in (*self.names, *self.maximise):
            if name in STRUCTURE:
                continue
            if name != LATENCY:
                named_quantity(name)
            elif self.machine is None:
                raise ValueError("a latency is predicted for a machine: name one, such as 25G,10G,5us")

    @property
    def signs(self) -> IntArray:
        """-1 for each quantity that is maximised, 1 for the others (D,)."""
        return np.array([-1 if name in self.maximise else 1 for name in self.names], dtype=np.int64)

    @property
    def costs(self) -> Measures:
        """The quantities that depend on the choice of alpha, beta and paths."""
        names = tuple(name for name in self.names if name not in STRUCTURE)
        return replace(self, names=names, maximise=self.maximise - set(STRUCTURE))

    def with_structure(self, points: IntArray, structure: Mapping[str, int]) -> IntArray:
        """Put width and depth, where they are asked for, between signed costs (F, D') of one structure."""
        for position, name in enumerate(self.names):
            if name in STRUCTURE:
                points = np.insert(points, position, structure[name] * self.signs[position], axis=1)
        return points

    @property
    def counted(self) -> tuple[str, ...]:
        """The quantities that are sums of counts."""
        return tuple(name for name in self.names if name != LATENCY)

    @property
    def predictor(self) -> Predictor | None:
        """What predicts the latency, if it is asked for."""
        if LATENCY not in self.names or self.machine is None:
            return None
        return Predictor(self.machine, self.dtype)

    def of(self, cost: Cost, latency: int | None = None) -> IntArray:
        """Return the quantities of a cost and its latency (D,). Raises ValueError if one exceeds 64 bits."""
        counts = cost_quantities(cost, self.counted, self.dtype)
        for name, count in counts.items():
            check_count(heading_of(name), count)
        return self.joined(np.array([*counts.values()], dtype=np.int64), latency)

    def joined(self, counts: IntArray, latency: IntArray | int | None) -> IntArray:
        """Put a latency (...) between the counted quantities (..., D - 1), where there is one."""
        if latency is None:
            return counts
        return np.insert(counts, self.names.index(LATENCY), latency, axis=-1)


class Tables(NamedTuple):
    """Costs by choice: `constant` (D,) of stem and head; for each stage (A, N, D), by the alpha before it.

    The first stage has no alpha before it: its table is (1, N, D).
    """

    constant: IntArray
    stages: tuple[IntArray, ...]


def tables(space: Space, depth: int, width_rule: str, measures: Measures) -> Tables:
    """Return the costs of all choices of all stages, for one depth and width rule.

    Raises ValueError if a network's count might exceed 64 bits, and where sizes would depend on more than
    the alpha before: a stage of alpha 1 has no high branch to keep an odd size.
    """
    _check_sizes(space)
    stages = [_stage_table(space, depth, width_rule, measures, stage) for stage in STAGES]
    outside = [op for op in resnet(min(depth, 8), **space.options).operators() if op.place.stage is None]
    latency, predictor = None, measures.predictor
    if predictor is not None:
        latency = outside_latency(predictor, depth, **space.options)
        predicted = stage_latencies(space, depth, width_rule, predictor)
        stages = [measures.joined(*both) for both in zip(stages, predicted, strict=True)]
    constant = measures.of(cost_of(outside), latency)
    check_count(f"of resnet{depth}", sum(int(table.max()) for table in (constant, *stages)))
    return Tables(constant, tuple(stages))


def network_costs(space: Space, depth: int, width_rule: str, measures: Measures) -> IntArray:
    """Return the costs (N, D) of the networks whose three stages all make the same choice."""
    choices = space.choices
    grid = _grid(space, depth, (choices.alpha,) * 3, choices.beta, (choices.paths,) * 3)
    costs = _quantities(space, grid, width_rule, measures, None)
    predictor = measures.predictor
    if predictor is None:
        return costs
    _check_sizes(space)
    stages = stage_latencies(space, depth, width_rule, predictor)
    each = np.arange(len(choices.alpha))
    latency = sum(
        (stage[choices.alpha, each] for stage in stages[1:]),
        stages[0][0] + outside_latency(predictor, depth, **space.options),
    )
    costs = measures.joined(costs, latency)
    costs[space.plain()] = plain_cost(space, depth, measures)
    return costs


def _check_sizes(space: Space) -> None:
    size = pair(space.options.get("size", 32))
    if 1 in space.alphas and any(side % 8 for side in size):
        raise ValueError(
            f"alpha 1 per stage or with a latency needs a size divisible by 8, got {size[0]}x{size[1]}"
        )


def plain_cost(space: Space, depth: int, measures: Measures) -> IntArray:
    """Return the cost of the plain network (D,).

    Under stride rules A and B it is not a sum of stages of alpha 0: octave layers pool, plain ones stride.
    """
    predictor = measures.predictor
    latency = None if predictor is None else network_latency(predictor, depth, **space.options)
    return measures.of(cost_of(resnet(depth, **space.options).folded()), latency)


def _stage_table(space: Space, depth: int, width_rule: str, measures: Measures, stage: int) -> IntArray:
    choices = space.choices
    count, before = len(choices.alpha), len(space.alphas) if stage else 1
    own, previous = np.tile(choices.alpha, before), np.repeat(np.arange(before), count)
    none = np.full(len(own), -1)
    alphas, paths = [none] * 3, [none] * 3
    alphas[stage], paths[stage] = own, np.tile(choices.paths, before)
    if stage:
        alphas[stage - 1] = previous
    grid = _grid(space, depth, alphas, np.tile(choices.beta, before), paths)
    return _quantities(space, grid, width_rule, measures, stage).reshape(before, count, -1)


def _grid(
    space: Space, depth: int, alpha: Sequence[IntArray], beta: IntArray, paths: Sequence[IntArray]
) -> Grid:
    """Return configurations by positions in the lists of the space; -1 is alpha 1/2, or no bottlenecks.

    Alpha 1/2 where the value does not matter keeps the network from being plain.
    """
    alphas, betas = space.ratios("alphas"), space.ratios("betas")
    rows, masks = np.stack(alpha, axis=1), np.append(space.masks(), 0)
    half = alphas._replace(
        numerator=np.append(alphas.numerator, 1), denominator=np.append(alphas.denominator, 2)
    )
    width = space.options.get("width", 16)
    count = len(beta)
    return Grid(
        half.take(rows),
        betas.take(beta),
        masks[np.stack(paths, axis=1)],
        np.full(count, depth),
        np.full(count, width),
    )


def _quantities(space: Space, grid: Grid, width_rule: str, measures: Measures, stage: int | None) -> IntArray:
    if not measures.counted:
        return np.empty((len(grid), 0), dtype=np.int64)
    options = {name: value for name, value in space.options.items() if name != "width"}
    values = grid_quantities(
        grid, measures.counted, measures.dtype, width_rule=width_rule, stage=stage, **options
    )
    return np.stack([values[name] for name in measures.counted], axis=1)
