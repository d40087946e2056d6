"""Pareto fronts of networks, built stage by stage without enumerating the networks.

The cost of a network is the sum over its stem, stages and head, and a stage's cost depends on its own choice
and on a few of those before it: in a ResNet, on the alpha of the stage before. So among all partial networks
that agree in these, only those on their own Pareto front can be extended to a network on the front.
What the stages share (a tied beta, say) is part of the state, as the alpha is.

Where a quantity is maximised and has a budget too, more of it is no advantage before the last stage: it may
leave no room for the rest. There it has a twin that is minimised, so that only partial networks with equal
amounts of it are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from costmodel.grids.grid import LARGEST
from costmodel.search.front import Front, IntArray, Mask, pareto_front
from costmodel.search.stage_costs import Tables

CHUNK = 1 << 20  # sums held at a time


class State(NamedTuple):
    """What later stages depend on: what the last stages chose (of a ResNet, the last alpha), the label
    that all share, whether all are plain so far.
    """

    chosen: int
    label: int
    plain: bool


class Partial(NamedTuple):
    """Partial networks on a front.

    `points` (M, D): costs, negated where they are maximised; `number` (M,): how many partial networks cost
    exactly that; `picks` (M, stages so far): the choices of the first of them.
    """

    points: IntArray
    number: IntArray
    picks: IntArray


@dataclass(frozen=True)
class Problem:
    """Tables of `costmodel.search.stage_costs` to merge, and what restricts the choices.

    `after`: for each stage (A, N), the number of what later stages depend on, by the number before the stage
    and the choice. `label` (N,): of each choice; a network's labels agree. `plain` (N,): choices of which not
    all stages may be. `signs` (D,): -1 for what is maximised. `limits` (D,): the most of each cost.
    """

    tables: Tables
    after: tuple[IntArray, ...]
    label: IntArray
    plain: Mask
    signs: IntArray
    limits: IntArray

    @property
    def last(self) -> int:
        """The last stage."""
        return len(self.after) - 1


def after_alphas(alpha: IntArray, alphas: int, stages: int) -> tuple[IntArray, ...]:
    """Return `Problem.after` where each stage depends on the alpha (N,) of the one before it.

    After the last stage nothing depends on its alpha.
    """
    first, between = alpha[None, :], np.tile(alpha, (alphas, 1))
    return (first, *(between for _ in range(stages - 2)), np.zeros_like(between))


def merge(problem: Problem) -> Partial:
    """Return the front of the networks within the limits, in lexicographic order of their points."""
    dimensions = len(problem.signs)
    problem = _with_twins(problem)
    one = Partial(
        (problem.tables.constant * problem.signs)[None, :],
        np.ones(1, dtype=np.int64),
        np.empty((1, 0), dtype=np.int64),
    )
    states: Mapping[State, Partial] = {
        State(0, label, True): one for label in np.unique(problem.label).tolist()
    }
    for stage in range(len(problem.after)):
        kept = dimensions if stage == problem.last else len(problem.signs)
        states = _next_stage(problem, stage, states, kept)
    return join([partial for _, partial in sorted(states.items())], dimensions)


def join(partials: list[Partial], dimensions: int) -> Partial:
    """Return the front of several."""
    if not partials:
        nothing = np.empty((0, dimensions), dtype=np.int64)
        return Partial(nothing, nothing[:, 0], np.empty((0, 0), dtype=np.int64))
    points, number, picks = (np.concatenate(part) for part in zip(*partials, strict=True))
    front = pareto_front(points, number)
    return Partial(front.points, front.weight, picks[front.first])


def _with_twins(problem: Problem) -> Problem:
    """Return the problem with a minimised twin of each quantity that is maximised within a limit."""
    twins = np.flatnonzero((problem.signs < 0) & (problem.limits < LARGEST))
    columns = np.concatenate([np.arange(len(problem.signs)), twins])
    return replace(
        problem,
        tables=Tables(
            problem.tables.constant[columns], tuple(table[..., columns] for table in problem.tables.stages)
        ),
        signs=np.concatenate([problem.signs, np.ones(len(twins), dtype=np.int64)]),
        limits=problem.limits[columns],
    )


def _next_stage(
    problem: Problem, stage: int, states: Mapping[State, Partial], kept: int
) -> dict[State, Partial]:
    """Return the partial networks with one stage more; the first `kept` of their costs are compared."""
    reached: dict[State, Partial] = {}
    rest = _least_rest(problem, stage)
    blocks = {chosen: _blocks(problem, stage, chosen) for chosen in {state.chosen for state in states}}
    for state, partial in states.items():
        for choice, block in blocks[state.chosen].get(state.label, {}).items():
            plain = state.plain and choice.plain
            if plain and stage == problem.last:
                continue
            after = choice._replace(plain=plain)
            room = problem.limits - rest[choice.chosen]
            for extended in _extended(problem, partial, block, room):
                known = [reached[after]] if after in reached else []
                reached[after] = join([*known, extended._replace(points=extended.points[:, :kept])], kept)
    return reached


def _blocks(problem: Problem, stage: int, before: int) -> dict[int, dict[State, Front]]:
    """Return, for each label, the fronts of the choices, by the state that they lead to."""
    table = problem.tables.stages[stage][before] * problem.signs
    keys = np.stack([problem.after[stage][before], problem.label, problem.plain], axis=1)
    states, group = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(group))[:-1])
    fronts: dict[int, dict[State, Front]] = {}
    for (to, label, plain), rows in zip(states.tolist(), members, strict=True):
        front = pareto_front(table[rows])
        state = State(to, label, bool(plain))
        fronts.setdefault(label, {})[state] = front._replace(first=rows[front.first])
    return fronts


def _extended(problem: Problem, partial: Partial, block: Front, room: IntArray) -> Iterator[Partial]:
    """Yield all sums of a partial network and a choice that leave room for the remaining stages."""
    height = max(1, CHUNK // len(block.points))
    for start in range(0, len(partial.points), height):
        part = slice(start, start + height)
        sums = partial.points[part, None, :] + block.points[None, :, :]
        row, column = np.nonzero((sums * problem.signs <= room).all(axis=2))
        if len(row):
            yield Partial(
                sums[row, column],
                partial.number[part][row] * block.weight[column],
                np.column_stack([partial.picks[part][row], block.first[column]]),
            )


def _least_rest(problem: Problem, stage: int) -> IntArray:
    """Return the least that the later stages can cost (A, D), by what they depend on after this one."""
    states = int(problem.after[problem.last].max()) + 1
    rest = np.zeros((states, len(problem.limits)), dtype=np.int64)
    for later in range(problem.last, stage, -1):
        rest = (problem.tables.stages[later] + rest[problem.after[later]]).min(axis=1)
    return rest
