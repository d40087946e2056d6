"""A converted network for search: what its layers cost, for all choices of its stages.

A stage is a group of layers with one alpha, beta and set of paths. A layer's sizes depend on the choice of
its own stage, and on the `StageState` of those that feed it: beta and paths change nothing but the layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import NamedTuple

import numpy as np

from costmodel.convention import Cost
from costmodel.grids.grid import LARGEST, PATH_SUBSETS, IntArray
from costmodel.operators.converted import ConvertedLayer
from costmodel.rounding import WIDTH_RULES, check_alpha, check_beta
from costmodel.search.space import MOST_CHOICES, TIED, constrained
from costmodel.sizes import check_choice


class StageState(NamedTuple):
    """What layers outside a stage depend on: its alpha, and whether it compresses HH at alpha 0.

    With alpha 0 and without a bottleneck on HH, a stage asks for nothing, and its layers count as plain.
    """

    alpha: Fraction
    compresses: bool = False


class StageChoice(NamedTuple):
    """What a stage chooses."""

    alpha: Fraction
    beta: Fraction
    paths: frozenset[str]

    @property
    def state(self) -> StageState:
        """The part of the choice that other stages depend on."""
        return StageState(self.alpha, self.alpha == 0 and "HH" in self.paths)


@dataclass(frozen=True)
class LayerForm:
    """An octave layer as some states make it, and which of its paths may be bottlenecks."""

    layer: ConvertedLayer
    compressible: frozenset[str]


@dataclass(frozen=True)
class StagedLayer:
    """A layer of a stage.

    `needs` are the stages on which it depends, in order, its own among them; `forms` has, for the states of
    these, what it becomes: None where it stays plain and costs `plain`.
    """

    name: str
    stage: int
    needs: tuple[int, ...]
    plain: Cost
    forms: Mapping[tuple[StageState, ...], LayerForm | None]


@dataclass(frozen=True)
class StagedNetwork:
    """A network by its stages: `stages` has their layers' names by title; `rest` is what no stage changes."""

    name: str
    stages: Mapping[str, tuple[str, ...]]
    layers: tuple[StagedLayer, ...]
    rest: Cost
    patterns: tuple[tuple[str, int], ...]  # name patterns with their stages; the last match applies


@dataclass(frozen=True)
class StagedSpace:
    """Alphas, betas and path sets of which each stage takes one; `tied` is what all stages share."""

    alphas: tuple[Fraction, ...]
    betas: tuple[Fraction, ...]
    path_sets: tuple[frozenset[str], ...]
    tied: frozenset[str] = frozenset(TIED)
    width_rule: str = "out"
    stages: int = field(default=1)

    def __post_init__(self) -> None:
        for name in ("alphas", "betas", "path_sets"):
            if not getattr(self, name):
                raise ValueError(f"a space needs at least one value of {name.replace('_', ' ')}")
        check_choice("width rule", self.width_rule, WIDTH_RULES)
        if self.size > LARGEST:
            raise ValueError(f"a space may have at most {LARGEST:,} configurations, got {self.size:,}")
        count = len(self.choices) * (1 if "alpha" in self.tied else len(self.alphas))
        if count > MOST_CHOICES:
            raise ValueError(
                f"a stage may have at most {MOST_CHOICES:,} choices times alphas before it, got {count:,}"
            )

    @cached_property
    def choices(self) -> tuple[StageChoice, ...]:
        """All that a stage may choose: path sets fastest, then betas, then alphas."""
        return tuple(StageChoice(a, b, p) for a in self.alphas for b in self.betas for p in self.path_sets)

    @cached_property
    def states(self) -> tuple[StageState, ...]:
        """All states that a stage may be in."""
        return tuple(dict.fromkeys(choice.state for choice in self.choices))

    @property
    def size(self) -> int:
        """The number of configurations."""
        counts = {"alpha": self.alphas, "beta": self.betas, "paths": self.path_sets}
        return prod(len(found) ** (1 if name in self.tied else self.stages) for name, found in counts.items())

    def labels(self) -> IntArray:
        """Return a number for each choice (N,); the choices of a network's stages must have the same one."""
        shared = [
            tuple(value for name, value in zip(TIED, choice, strict=True) if name in self.tied)
            for choice in self.choices
        ]
        numbers = {key: number for number, key in enumerate(dict.fromkeys(shared))}
        return np.array([numbers[key] for key in shared], dtype=np.int64)

    def fits(self, states: Sequence[StageState]) -> bool:
        """Whether stages of one configuration can be in these states."""
        return "alpha" not in self.tied or len({state.alpha for state in states}) <= 1


def staged_space(
    stages: int,
    alphas: Iterable[Fraction | float | str],
    betas: Iterable[Fraction | float | str],
    path_sets: Iterable[Iterable[str]] = PATH_SUBSETS,
    *,
    width_rule: str = "out",
    per_stage: bool = False,
    constraints: Iterable[str] = (),
) -> StagedSpace:
    """Return the space of a network with so many stages; duplicate values count once.

    Constraints are those of `costmodel.search.space.space`.

    Raises:
        ValueError: if a value is outside its range, a constraint is unknown, or nothing is left.
    """
    sets, tied = constrained(path_sets, constraints, per_stage=per_stage)
    return StagedSpace(
        tuple(dict.fromkeys(map(check_alpha, alphas))),
        tuple(dict.fromkeys(map(check_beta, betas))),
        sets,
        tied,
        width_rule,
        stages,
    )
