"""The exact Pareto front of the configurations of a converted network, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from costmodel.grids.grid import LARGEST, IntArray
from costmodel.grids.quantities import heading_of
from costmodel.networks.wording import joined, path_text
from costmodel.search.merge import Problem, merge
from costmodel.search.search import ALWAYS, NothingFitsError, limit_of, nearest_of, spread
from costmodel.search.stage_costs import Measures
from costmodel.search.staged import StageChoice, StagedNetwork, StagedSpace
from costmodel.search.staged_costs import staged_tables

COUNTED = ("params", "macs", "activations", "flops")  # what is known of any converted network


@dataclass(frozen=True)
class StagedFound:
    """The front. `points` (F, D) are its costs in lexicographic order; `count` (F,) says how many
    configurations cost exactly that; `picks` (F, stages) are the choices of the first of them.
    """

    network: StagedNetwork
    space: StagedSpace
    measures: Measures
    points: IntArray
    count: IntArray
    picks: IntArray

    def __len__(self) -> int:
        return len(self.points)

    def choices(self, i: int) -> list[StageChoice]:
        """Return the choices of the stages in one point."""
        return [self.space.choices[pick] for pick in self.picks[i].tolist()]

    def costs(self, i: int) -> dict[str, int]:
        """Return the costs of one point, by name."""
        return dict(zip(self.measures.names, self.points[i].tolist(), strict=True))

    def spread(self, most: int) -> list[int]:
        """Return at most `most` positions, evenly spread over the front, including its ends."""
        return spread(len(self), most)


def search_staged(
    network: StagedNetwork,
    space: StagedSpace,
    budgets: Mapping[str, Fraction | int] | None = None,
    *,
    minimise: Sequence[str] = (),
    maximise: Sequence[str] = (),
) -> StagedFound:
    """Return the exact Pareto front of the configurations within the budgets (the most of each quantity).

    Coordinates are parameters, MACs, whatever has a budget, and what is to be minimised or maximised besides.

    Raises:
        NothingFitsError: if nothing is within the budgets; the message names the nearest configuration.
        ValueError: if a quantity is unknown, or not defined for a converted network.
    """
    both = set(minimise) & set(maximise)
    if both:
        raise ValueError(f"cannot both minimise and maximise {', '.join(sorted(both))}")
    names = tuple(dict.fromkeys((*ALWAYS, *(budgets or {}), *minimise, *maximise)))
    for name in names:
        heading_of(name)
        if name not in COUNTED:
            raise ValueError(f"a converted network has only {', '.join(COUNTED)}, got {name}")
    limits = {name: limit_of(name, budget) for name, budget in (budgets or {}).items()}
    found = _front(network, space, Measures(names, frozenset(maximise)), limits)
    if len(found) == 0:
        measures = Measures(tuple(limits))
        raise NothingFitsError(_nearest(_front(network, space, measures, {}), limits))
    return found


def _front(
    network: StagedNetwork, space: StagedSpace, measures: Measures, limits: Mapping[str, int]
) -> StagedFound:
    most = np.array([limits.get(name, LARGEST) for name in measures.names], dtype=np.int64)
    tables, after = staged_tables(network, space, measures)
    plain = np.zeros(len(space.choices), dtype=np.bool_)
    found = merge(Problem(tables, after, space.labels(), plain, measures.signs, most))
    return StagedFound(network, space, measures, found.points * measures.signs, found.number, found.picks)


def _nearest(front: StagedFound, limits: Mapping[str, int]) -> str:
    position, missed = nearest_of([front.costs(i) for i in range(len(front))], limits)
    return f"no configuration fits: the nearest is {in_words(front.choices(position))}, with {missed}"


def in_words(choices: Sequence[StageChoice]) -> str:
    """Return the choices of the stages as options.

    >>> in_words([StageChoice(Fraction(1, 4), Fraction(2), frozenset({"LL"}))] * 2)
    '--alpha 1/4 --beta 2 --paths LL'
    """
    alpha, beta, paths = words_of(choices)
    return f"--alpha {alpha}" + (f" --beta {beta} --paths {paths}" if beta else "")


def words_of(choices: Sequence[StageChoice]) -> tuple[str, str | None, str]:
    """Return alpha, beta (None where nothing is compressed) and paths: one value, or one per stage."""
    compressed = any(choice.paths for choice in choices)
    return (
        joined(choice.alpha for choice in choices),
        joined(choice.beta for choice in choices) if compressed else None,
        joined(path_text(choice.paths) for choice in choices),
    )
