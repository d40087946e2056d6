"""Millions of configurations: exact ratios, path sets, depths and widths, as integer arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from costmodel.networks.resnet import ResNetDesign, resnet
from costmodel.networks.stages import STAGES, path_set, paths_per_stage, per_stage
from costmodel.networks.wording import stage_words
from costmodel.operators.octave import PATHS
from costmodel.rounding import RatioLike, as_ratio
from costmodel.sizes import check_sizes, plain

IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
PathSet: TypeAlias = Iterable[str]

LARGEST = int(np.iinfo(np.int64).max)

# Every set of paths that may be bottlenecks, from none to all four; the index is the set's bit mask.
PATH_SUBSETS: tuple[tuple[str, ...], ...] = tuple(
    tuple(path for bit, path in enumerate(PATHS) if mask >> bit & 1) for mask in range(2 ** len(PATHS))
)


class Ratios(NamedTuple):
    """Exact ratios: integer numerators and positive denominators of equal shape."""

    numerator: IntArray
    denominator: IntArray

    def at(self, index: Any) -> Fraction:
        """Return one ratio."""
        return Fraction(int(self.numerator[index]), int(self.denominator[index]))

    def take(self, index: Any) -> Ratios:
        """Return some of the ratios."""
        return Ratios(self.numerator[index], self.denominator[index])


def ratios(values: Iterable[RatioLike | Sequence[RatioLike]]) -> Ratios:
    """Return ratios as arrays of shape (N,), or (N, 3) if some value is given per stage.

    Raises ValueError if a value is not a number, or does not fit into 64 bits exactly.

    >>> ratios(["1/4", 0.5]).denominator.tolist()
    [4, 2]
    """
    rows = _rows(values, lambda value: isinstance(value, str) or not isinstance(value, Sequence))
    exact = [[_fitting(as_ratio(value)) for value in row] for row in rows]
    numerators = [[ratio.numerator for ratio in row] for row in exact]
    return Ratios(_array(numerators), _array([[ratio.denominator for ratio in row] for row in exact]))


def path_masks(subsets: Iterable[PathSet | Sequence[PathSet]]) -> IntArray:
    """Return sets of paths as bit masks, HH 1, HL 2, LH 4, LL 8: of shape (N,) or (N, 3), as for `ratios`.

    Raises ValueError if a path is unknown.

    >>> path_masks([(), ("HL", "LL")]).tolist()
    [0, 10]
    """
    rows = _rows(map(_sets, subsets), lambda subset: all(isinstance(path, str) for path in subset))
    return _array([[sum(1 << PATHS.index(path) for path in path_set(s)) for s in row] for row in rows])


def _sets(subset: Any) -> tuple[Any, ...]:
    """Return a set of paths, or three of them, one per stage; a text may be either."""
    if not isinstance(subset, str):
        return tuple(subset)
    first, *others = paths_per_stage(subset)
    return tuple(first) if all(other == first for other in others) else (first, *others)


def _rows(values: Iterable[Any], is_one: Callable[[Any], bool]) -> list[tuple[Any, ...]]:
    rows = [(value,) if is_one(value) else per_stage(value, "a configuration") for value in values]
    columns = max(map(len, rows), default=1)
    return [row * columns if len(row) == 1 else row for row in rows]


def _array(rows: list[list[int]]) -> IntArray:
    columns = np.array(rows, dtype=np.int64).reshape(len(rows), len(rows[0]) if rows else 1)
    return columns[:, 0] if columns.shape[1] == 1 else columns


def _fitting(ratio: Fraction) -> Fraction:
    if max(abs(ratio.numerator), ratio.denominator) > LARGEST:
        raise ValueError(f"numerator and denominator must fit into 64 bits, got {ratio}")
    return ratio


@dataclass(frozen=True)
class Grid:
    """N configurations of a ResNet: depth and base width of shape (N,), alpha, beta and paths of shape (N,),
    or (N, 3) for one value per stage.

    Raises ValueError if `costmodel.networks.resnet.resnet` would; the message names the first wrong
    configuration.
    """

    alpha: Ratios
    beta: Ratios
    paths: IntArray
    depth: IntArray
    width: IntArray

    def __post_init__(self) -> None:
        _check_shapes(self)
        _check_ranges(self)
        _check_betas(self)

    def __len__(self) -> int:
        return len(self.depth)

    def network(self, i: int, **setting: Any) -> ResNetDesign:
        """Return configuration i as a network; further keyword arguments go to `resnet`."""
        return resnet(
            int(self.depth[i]),
            alpha=_each(self.alpha.numerator, i, self.alpha.at),
            beta=_each(self.beta.numerator, i, self.beta.at),
            paths=_each(self.paths, i, lambda index: PATH_SUBSETS[self.paths[index]]),
            width=int(self.width[i]),
            **setting,
        )

    def name(self, i: int) -> str:
        """Return configuration i in words, with the values of stages joined by +."""
        words = stage_words(self.network(i).stages)
        choices = f"alpha {words.alpha} beta {words.beta} paths {words.paths}"
        return f"resnet{self.depth[i]} width {self.width[i]} {choices}"


def grid(
    alphas: Iterable[RatioLike | Sequence[RatioLike]] = (0,),
    betas: Iterable[RatioLike | Sequence[RatioLike]] = (2,),
    path_subsets: Iterable[PathSet | Sequence[PathSet]] = ((),),
    depths: Iterable[int] = (56,),
    widths: Iterable[int] = (16,),
) -> Grid:
    """Return all combinations of alphas, betas, path sets, depths and widths; the last one varies fastest.

    An alpha, a beta or a set of paths is a single one for the network, or three, one per stage.

    >>> both = grid(alphas=["1/4", "1/2"], path_subsets=[(), ("HL", "LL")])
    >>> len(both), both.name(3)
    (4, 'resnet56 width 16 alpha 1/2 beta 2 paths HL,LL')
    """
    alpha, beta, paths = ratios(alphas), ratios(betas), path_masks(path_subsets)
    given = {"depth": list(map(plain, depths)), "width": list(map(plain, widths))}
    for name, sizes in given.items():
        check_sizes(**{name: tuple(sizes)})
    depth, width = (np.array(sizes, dtype=np.int64) for sizes in given.values())
    shape = tuple(len(values) for values in (alpha.numerator, beta.numerator, paths, depth, width))
    a, b, p, d, w = np.unravel_index(np.arange(np.prod(shape)), shape)
    return Grid(alpha.take(a), beta.take(b), paths[p], depth[d], width[w])


def _each(array: IntArray, i: int, read: Callable[[Any], Any]) -> Any:
    """Return one value of configuration i, or a tuple of three."""
    return read(i) if array.ndim == 1 else tuple(read((i, stage)) for stage in STAGES)


def _check_shapes(grid: Grid) -> None:
    count = (len(grid),)
    for name in ("depth", "width"):
        _check_shape(name, getattr(grid, name), [count])
    per_network_or_stage = [count, (*count, len(STAGES))]
    for name, array in (
        ("alpha", grid.alpha.numerator),
        ("alpha", grid.alpha.denominator),
        ("beta", grid.beta.numerator),
        ("beta", grid.beta.denominator),
        ("paths", grid.paths),
    ):
        _check_shape(name, array, per_network_or_stage)


def _check_shape(name: str, array: IntArray, shapes: list[tuple[int, ...]]) -> None:
    if array.shape not in shapes or array.dtype != np.int64:
        wanted = " or ".join(map(str, shapes))
        raise ValueError(f"{name} must be int64 of shape {wanted}, got {array.dtype} of shape {array.shape}")


def _check_ranges(grid: Grid) -> None:
    (p, q), (r, s) = grid.alpha, grid.beta
    _check(q > 0, "the denominator of alpha must be positive", q)
    _check(s > 0, "the denominator of beta must be positive", s)
    _check((p >= 0) & (p <= q), "alpha must be in [0, 1]", grid.alpha)
    _check(r >= s, "beta must be at least 1", grid.beta)
    _check(
        (grid.paths >= 0) & (grid.paths < len(PATH_SUBSETS)), "paths must be a mask from 0 to 15", grid.paths
    )
    depth = grid.depth
    _check((depth % 6 == 2) & (depth > 2), "depth must be 6n + 2 with n >= 1 (8, 14, 20, 26, ...)", depth)
    _check(grid.width > 0, "width must be at least 1", grid.width)
    _check_products(grid)


def _check_products(grid: Grid) -> None:
    """Check that the rounding rule's products, of doubled channels and parts of ratios, fit into 64 bits."""
    channels = 2 * largest(grid.width) * 2 ** STAGES[-1]
    parts = [part for ratio in (grid.alpha, grid.beta) for part in ratio]
    if channels * max(map(largest, parts)) > LARGEST:
        raise ValueError(
            f"ratios with parts up to {max(map(largest, parts))} and a width up to {largest(grid.width)} "
            "are too large for 64 bits"
        )


def _check_betas(grid: Grid) -> None:
    for stage in STAGES:
        channels = grid.width * 2**stage
        r, s = (column(part, stage) for part in grid.beta)
        fits = (column(grid.paths, stage) == 0) | (r <= channels * s)
        _check(fits, f"beta must be at most the output channels of stage {stage + 1}", Ratios(r, s))


def _check(holds: BoolArray, need: str, values: Ratios | IntArray) -> None:
    if holds.all():
        return
    index = tuple(int(k) for k in np.argwhere(~holds)[0])
    value = values.at(index) if isinstance(values, Ratios) else values[index]
    raise ValueError(f"{need}, got {value} (configuration {index[0]})")


def column(array: IntArray, stage: int) -> IntArray:
    """Return the values of a stage, of shape (N,)."""
    return array if array.ndim == 1 else array[:, stage]


def largest(array: IntArray) -> int:
    """Return the largest value as a Python integer, which cannot overflow; 0 for an empty array."""
    return int(array.max(initial=0))
