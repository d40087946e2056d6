"""A space of configurations: what a stage may choose, and what the stages must share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from costmodel.grids.grid import LARGEST, PATH_SUBSETS, IntArray, Ratios, ratios
from costmodel.networks.resnet import ResNetDesign, resnet
from costmodel.networks.stages import path_set
from costmodel.operators.octave import PATHS
from costmodel.rounding import check_alpha, check_beta
from costmodel.sizes import check_choice, check_sizes

TIED = ("alpha", "beta", "paths")
CONSTRAINTS: tuple[str, ...] = (
    *(f"keep-{path.lower()}" for path in PATHS),
    *(f"same-{attribute}" for attribute in TIED),
)
MOST_CHOICES = 2_000_000  # of a stage, together with the alphas before it: what fits into memory


class StageChoices(NamedTuple):
    """What a stage may choose, one entry (N,) per choice: positions in the lists of the space."""

    alpha: IntArray
    beta: IntArray
    paths: IntArray


@dataclass(frozen=True)
class Space:
    """Depths, alphas, betas, path sets and width rules to combine; `tied` is what the three stages share.

    `options` are further ones of `costmodel.networks.resnet.resnet`: width, classes, in_channels, size,
    stride_rule, between. Where several `widths` are combined too, `at_width` gives the space of each. Made by
    `space`.
    """

    depths: tuple[int, ...]
    alphas: tuple[Fraction, ...]
    betas: tuple[Fraction, ...]
    path_sets: tuple[frozenset[str], ...]
    width_rules: tuple[str, ...] = ("out",)
    tied: frozenset[str] = frozenset(TIED)
    options: Mapping[str, Any] = field(default_factory=dict)
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("depths", "alphas", "betas", "path_sets", "width_rules"):
            if not getattr(self, name):
                raise ValueError(f"a space needs at least one value of {name.replace('_', ' ')}")
        if self.size > LARGEST:
            raise ValueError(f"a space may have at most {LARGEST:,} configurations, got {self.size:,}")
        per_stage = len(self.choices.alpha) * (1 if self.is_tied else len(self.alphas))
        if per_stage > MOST_CHOICES:
            raise ValueError(
                f"a stage may have at most {MOST_CHOICES:,} choices times alphas before it, got {per_stage:,}"
            )
        _check_networks(self)

    @property
    def width_list(self) -> tuple[int, ...]:
        """Every width of the first stage that the space combines."""
        return self.widths or (self.options.get("width", 16),)

    def at_width(self, width: int) -> Space:
        """Return the part of the space that has a width."""
        return replace(self, options={**self.options, "width": width}, widths=()) if self.widths else self

    @property
    def is_tied(self) -> bool:
        """Whether all three stages choose the same."""
        return self.tied == frozenset(TIED)

    @property
    def size(self) -> int:
        """The number of configurations."""
        values = {"alpha": self.alphas, "beta": self.betas, "paths": self.path_sets}
        of_stages = prod(len(values[name]) ** (1 if name in self.tied else 3) for name in TIED)
        return len(self.depths) * len(self.width_list) * len(self.width_rules) * of_stages

    @property
    def choices(self) -> StageChoices:
        """All that a stage may choose, path sets fastest, then betas, then alphas."""
        shape = (len(self.alphas), len(self.betas), len(self.path_sets))
        alpha, beta, paths = np.unravel_index(np.arange(prod(shape)), shape)
        return StageChoices(alpha, beta, paths)

    def labels(self) -> IntArray:
        """Return a number for each choice (N,); the choices of a network's stages must have the same one."""
        label = np.zeros(len(self.choices.alpha), dtype=np.int64)
        for name, count in zip(TIED, map(len, (self.alphas, self.betas, self.path_sets)), strict=True):
            if name in self.tied:
                label = label * count + getattr(self.choices, name)
        return label

    def masks(self) -> IntArray:
        """Return the bit mask of each path set, as `costmodel.grids.grid` has them."""
        ordered = [tuple(path for path in PATHS if path in paths) for paths in self.path_sets]
        return np.array([PATH_SUBSETS.index(paths) for paths in ordered], dtype=np.int64)

    def ratios(self, name: str) -> Ratios:
        """Return the alphas or the betas as arrays; raise ValueError where one does not fit into 64 bits."""
        return ratios(getattr(self, name))

    def plain(self) -> npt.NDArray[np.bool_]:
        """Return which choices (N,) make a network plain, where all its stages choose such."""
        zero = np.array([alpha == 0 for alpha in self.alphas])
        keeps = np.array(["HH" not in paths for paths in self.path_sets])
        plain: npt.NDArray[np.bool_] = zero[self.choices.alpha] & keeps[self.choices.paths]
        return plain

    def network(self, depth: int, width_rule: str, picks: Collection[int]) -> ResNetDesign:
        """Return the network in which the stages make these choices."""
        choices = self.choices
        return resnet(
            depth,
            alpha=[self.alphas[choices.alpha[pick]] for pick in picks],
            beta=[self.betas[choices.beta[pick]] for pick in picks],
            paths=[self.path_sets[choices.paths[pick]] for pick in picks],
            width_rule=width_rule,
            **self.options,
        )


def space(
    depths: Iterable[int] = (56,),
    alphas: Iterable[Fraction | float | str] = ("0", "1/4", "1/2", "3/4"),
    betas: Iterable[Fraction | float | str] = (2,),
    path_sets: Iterable[Iterable[str]] = PATH_SUBSETS,
    width_rules: Iterable[str] = ("out",),
    *,
    per_stage: bool = False,
    constraints: Iterable[str] = (),
    widths: Iterable[int] = (),
    **options: Any,
) -> Space:
    """Return a space; duplicate values count once.

    Constraints: `keep-hh` (and so on) for a path that is never a bottleneck; `same-alpha`, `same-beta`,
    `same-paths` for what all stages share, where they may differ. Raises ValueError if a value is outside
    its range, a constraint is unknown, or nothing is left.

    >>> space(alphas=[0, "1/4"], betas=[2, 4], per_stage=True, constraints=["keep-hh"]).size
    32768
    """
    sets, tied = constrained(path_sets, constraints, per_stage=per_stage)
    return Space(
        tuple(dict.fromkeys(depths)),
        tuple(dict.fromkeys(map(check_alpha, alphas))),
        tuple(dict.fromkeys(map(check_beta, betas))),
        sets,
        tuple(dict.fromkeys(width_rules)),
        tied,
        options,
        tuple(dict.fromkeys(widths)),
    )


def constrained(
    path_sets: Iterable[Iterable[str]], constraints: Iterable[str], *, per_stage: bool
) -> tuple[tuple[frozenset[str], ...], frozenset[str]]:
    """Return the path sets that constraints leave, and what all stages share.

    The simplest set comes first: of configurations that cost the same, the first is shown. Raises ValueError
    where a constraint is unknown.
    """
    names = tuple(constraints)
    for name in names:
        check_choice("constraint", name, CONSTRAINTS)
    kept = {name.removeprefix("keep-").upper() for name in names if name.startswith("keep-")}
    sets = (paths for paths in dict.fromkeys(map(path_set, path_sets)) if not paths & kept)
    tied = frozenset(name for name in TIED if not per_stage or f"same-{name}" in names)
    return tuple(sorted(sets, key=len)), tied


def _check_networks(space: Space) -> None:
    """Build the most demanding network of each depth and width rule: it raises what `resnet` raises."""
    for width in space.width_list:
        check_sizes(width=width)
    options = {**space.options, "width": min(space.width_list)}
    for rule in space.width_rules:
        for depth in space.depths:
            resnet(
                depth,
                alpha=max(space.alphas),
                beta=max(space.betas),
                paths=max(space.path_sets, key=len),
                width_rule=rule,
                **options,
            )
