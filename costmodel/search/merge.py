"""Pareto fronts of networks, built stage by stage without enumerating the networks.

The cost of a network is the sum over its stem, stages and head, and a stage's cost depends on its own choice
and the alpha of the stage before it. So among all partial networks that end in the same alpha, only those on
their own Pareto front can be extended to a network on the front. What the stages share (a tied beta, say) is
part of the state, as the alpha is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from costmodel.networks.stages import STAGES
from costmodel.search.front import Front, IntArray, Mask, pareto_front
from costmodel.search.stage_costs import Tables

CHUNK = 1 << 20  # sums held at a time


class State(NamedTuple):
    """What later stages depend on: the last alpha, the label all share, whether all are plain so far."""

    alpha: int
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

    `alpha` and `label` (N,): of each choice; a network's labels agree. `plain` (N,): choices of which not all
    three stages may be. `signs` (D,): -1 for what is to be large. `limits` (D,): the most of each cost.
    """

    tables: Tables
    alpha: IntArray
    label: IntArray
    plain: Mask
    signs: IntArray
    limits: IntArray


def merge(problem: Problem) -> Partial:
    """Return the front of the networks within the limits, in lexicographic order of their points."""
    dimensions = len(problem.signs)
    one = Partial(
        (problem.tables.constant * problem.signs)[None, :],
        np.ones(1, dtype=np.int64),
        np.empty((1, 0), dtype=np.int64),
    )
    states: Mapping[State, Partial] = {
        State(0, label, True): one for label in np.unique(problem.label).tolist()
    }
    for stage in STAGES:
        states = _next_stage(problem, stage, states)
    return join([partial for _, partial in sorted(states.items())], dimensions)


def join(partials: list[Partial], dimensions: int) -> Partial:
    """Return the front of several."""
    if not partials:
        nothing = np.empty((0, dimensions), dtype=np.int64)
        return Partial(nothing, nothing[:, 0], np.empty((0, len(STAGES)), dtype=np.int64))
    points, number, picks = (np.concatenate(part) for part in zip(*partials, strict=True))
    front = pareto_front(points, number)
    return Partial(front.points, front.weight, picks[front.first])


def _next_stage(problem: Problem, stage: int, states: Mapping[State, Partial]) -> dict[State, Partial]:
    reached: dict[State, Partial] = {}
    rest = _least_rest(problem, stage)
    blocks = {alpha: _blocks(problem, stage, alpha) for alpha in {state.alpha for state in states}}
    for state, partial in states.items():
        for choice, block in blocks[state.alpha].get(state.label, {}).items():
            plain = state.plain and choice.plain
            if plain and stage == STAGES[-1]:
                continue
            after = choice._replace(plain=plain)
            room = problem.limits - rest[choice.alpha]
            for extended in _extended(problem, partial, block, room):
                known = [reached[after]] if after in reached else []
                reached[after] = join([*known, extended], len(room))
    return reached


def _blocks(problem: Problem, stage: int, before: int) -> dict[int, dict[State, Front]]:
    """Return, for each label, the fronts of the choices, by the state that they lead to."""
    table = problem.tables.stages[stage][before] * problem.signs
    # After the last stage nothing depends on its alpha.
    alpha = np.zeros_like(problem.alpha) if stage == STAGES[-1] else problem.alpha
    keys = np.stack([alpha, problem.label, problem.plain], axis=1)
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
    """Return the least that the later stages can cost (A, D), by the alpha of this one."""
    alphas, dimensions = int(problem.alpha.max()) + 1, len(problem.limits)
    rest = np.zeros((alphas, dimensions), dtype=np.int64)
    for later in reversed(STAGES[stage + 1 :]):
        rest = (problem.tables.stages[later] + rest[problem.alpha]).min(axis=1)
    return rest
