"""The search over readings: every way to build and to count, against every printed cell.

It is the search of `costmodel/readings.py`: networks are the ways to build a row's network, kinds what an
inventory has, and countings what a reading counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from costmodel.paper.counting import OCTAVE_BIASES, Counting, Reading, subject
from costmodel.paper.inventory import END_SHORTCUTS, KINDS, SHORTCUTS, STRIDES, Build, inventory
from costmodel.paper.printed import ROUNDINGS, Paper, figure
from costmodel.readings import IntArray, choices, every_count, printed, weights_of
from costmodel.rounding import WIDTH_RULES

Axes: TypeAlias = Mapping[str, Sequence[Any]]

EITHER = (True, False)
# Of the search's axes, some are how a network is built, the others what is counted.
BUILD_AXES: Axes = {
    "width_rule": tuple(WIDTH_RULES),
    "compress_first": EITHER,
    "compress_last": EITHER,
    "compress_change": EITHER,
    "shortcut": SHORTCUTS,
    "end_shortcut": END_SHORTCUTS,
}
KERNEL_AXES: Axes = {"reduce": EITHER, "expand": EITHER, "shortcuts": EITHER, "head": EITHER}
BIAS_AXES: Axes = {
    "stem_bias": EITHER,
    "plain_bias": EITHER,
    "octave_bias": OCTAVE_BIASES,
    "head_bias": EITHER,
    "bn": (0, 2, 4),
    "bn_inner": EITHER,
}


@dataclass(frozen=True)
class Search:
    """The readings of one quantity, and the cells each matches: `scores` (roundings, builds, countings)."""

    quantity: str
    builds: tuple[Build, ...]
    countings: tuple[Counting, ...]
    scores: IntArray
    cells: int

    @property
    def size(self) -> int:
        """The number of readings."""
        return int(self.scores.size)

    @property
    def best(self) -> int:
        """The most cells that a reading matches."""
        return int(self.scores.max())

    @cached_property
    def axes(self) -> Axes:
        """Every axis of the search with its values."""
        counting = {**KERNEL_AXES, **(BIAS_AXES if self.quantity == "params" else {})}
        build = {**BUILD_AXES, **({} if self.quantity == "params" else {"stride": STRIDES})}
        return {"rounding": ROUNDINGS, **build, **counting}

    def best_with(self, **fixed: Any) -> int:
        """Return the most cells that a reading with these values of axes matches.

        Raises ValueError if no reading has them.
        """
        where = self._where(**fixed)
        if not where.any():
            raise ValueError(f"no reading of {self.quantity} has {fixed}")
        return int(self.scores[where].max())

    def count_best(self) -> int:
        """Return how many readings match most cells."""
        return int((self.scores == self.best).sum())

    def ranking(self, most: int) -> list[tuple[int, int]]:
        """Return the highest scores, up to so many, each with how many readings have it."""
        scores, counts = np.unique(self.scores, return_counts=True)
        return list(zip(scores.tolist(), counts.tolist(), strict=True))[: -most - 1 : -1]

    def _where(self, **fixed: Any) -> npt.NDArray[np.bool_]:
        roundings = np.array([fixed.get("rounding", rounding) == rounding for rounding in ROUNDINGS])
        builds, countings = _mask(self.builds, fixed), _mask(self.countings, fixed)
        where: npt.NDArray[np.bool_] = roundings[:, None, None] & builds[:, None] & countings
        return where


def _mask(choices: Iterable[Any], fixed: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    return np.array(
        [all(getattr(choice, axis, value) == value for axis, value in fixed.items()) for choice in choices]
    )


def search(paper: Paper, quantity: str) -> Search:
    """Return how many printed cells of a quantity, params or macs, every reading matches."""
    is_params = quantity == "params"
    builds = tuple(choices(Build, BUILD_AXES if is_params else {**BUILD_AXES, "stride": STRIDES}))
    countings = tuple(choices(Counting, {**KERNEL_AXES, **BIAS_AXES} if is_params else KERNEL_AXES))
    weights = weights_of([counting.coefficients() for counting in countings], KINDS)
    rows = paper.cells(quantity)
    scores = np.zeros((len(ROUNDINGS), len(builds), len(countings)), dtype=np.int64)
    for row in rows:
        there = [getattr(inventory(subject(row), build), quantity) for build in builds]
        counts = every_count(there, KINDS, weights)
        digits = figure(row.printed(quantity) or "", quantity)
        for score, rounding in zip(scores, ROUNDINGS, strict=True):
            score += printed(counts, digits, rounding=rounding)
    return Search(quantity, builds, countings, scores, len(rows))


@dataclass(frozen=True)
class Together:
    """The best readings of both quantities at once: cells matched, and one that matches most of them."""

    cells: int
    own_way: int  # one network; parameters and MACs are each counted in their own way
    same_layers: int  # one network; the same shortcuts and head are counted for both
    same_way: int  # one network; the same convolutions, shortcuts and head are counted for both
    best: Reading


def together(params: Search, macs: Search) -> Together:
    """Return the best readings in which both quantities are counts of one network, rounded the same way."""
    own_way, best = best_sharing((), params, macs)
    same_layers, _ = best_sharing(("shortcuts", "head"), params, macs)
    same_way, _ = best_sharing(tuple(KERNEL_AXES), params, macs)
    return Together(params.cells + macs.cells, own_way, same_layers, same_way, best)


def best_sharing(shared: Sequence[str], params: Search, macs: Search) -> tuple[int, Reading]:
    """Return the most cells that a reading matches whose countings agree on some axes, and such a reading."""
    found: tuple[int, Reading] | None = None
    for values in product(*(KERNEL_AXES[axis] for axis in shared)):
        fixed = dict(zip(shared, values, strict=True))
        best_params, best_macs = (_by_network(one, fixed) for one in (params, macs))
        for (rounding, network), (score, _, counting) in best_params.items():
            other, build, macs_counting = best_macs[rounding, network]
            if found is None or score + other > found[0]:
                found = score + other, Reading(build, counting, macs_counting, rounding)
    assert found is not None
    return found


def best_pairs(params: Search, macs: Search) -> Iterator[tuple[str, Build, Counting]]:
    """Yield the best readings of the parameters whose network some best reading of the MACs has too."""
    best_macs = _by_network(macs, {})
    for r, b, c in np.argwhere(params.scores == params.best):
        build = params.builds[b]
        if best_macs[ROUNDINGS[r], _network(build)][0] == macs.best:
            yield ROUNDINGS[r], build, params.countings[c]


def _network(build: Build) -> tuple[Any, ...]:
    """A build without its stride rule, which parameters do not depend on."""
    return tuple(getattr(build, axis) for axis in BUILD_AXES)


def _by_network(one: Search, fixed: Mapping[str, Any]) -> dict[tuple[str, Any], tuple[int, Build, Counting]]:
    """The best counting of each network (the stride rule apart) and rounding."""
    columns = np.flatnonzero(_mask(one.countings, fixed))
    best: dict[tuple[str, Any], tuple[int, Build, Counting]] = {}
    for r, rounding in enumerate(ROUNDINGS):
        for b, build in enumerate(one.builds):
            scores = one.scores[r, b, columns]
            column = int(scores.argmax())
            key = rounding, _network(build)
            if key not in best or scores[column] > best[key][0]:
                best[key] = int(scores[column]), build, one.countings[columns[column]]
    return best
