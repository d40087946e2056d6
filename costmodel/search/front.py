"""The exact Pareto front of points with integer coordinates, all of them to be minimised.

A point dominates another when it is nowhere larger and somewhere smaller. The front is found by divide and
conquer (Kung, Luccio and Preparata, 1975): sort the points, find the fronts of both halves, and drop from the
second what the first dominates, which is the same question with one coordinate less.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

IntArray: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

# Comparing every pair is faster than dividing, up to so many pairs.
FEW_PAIRS = 1 << 14
LEAF = 64
SAMPLE = 4096


class Front(NamedTuple):
    """Points of a front in lexicographic order.

    `points` (F, D); `first` (F,): for each point, the first row of the input that equals it; `weight` (F,):
    the total weight of the rows that equal it.
    """

    points: IntArray
    first: IntArray
    weight: IntArray


def pareto_front(points: IntArray, weights: IntArray | None = None) -> Front:
    """Return the Pareto front of points (N, D); a row weighs 1 or what `weights` (N,) says.

    >>> front = pareto_front(np.array([[2, 1], [1, 2], [2, 2], [1, 2]]))
    >>> front.points.tolist(), front.first.tolist(), front.weight.tolist()
    ([[1, 2], [2, 1]], [1, 0], [2, 1])
    """
    rows = np.flatnonzero(~_hopeless(points))
    order = rows[np.lexsort(points[rows].T[::-1])]
    weights = np.ones(len(points), dtype=np.int64) if weights is None else weights
    unique = _unique(points[order], order, weights[order])
    kept = _undominated(unique.points)
    return Front(unique.points[kept], unique.first[kept], unique.weight[kept])


def _unique(points: IntArray, order: IntArray, weights: IntArray) -> Front:
    """Merge equal rows, which stand beside each other; lexsort is stable, so the first is the first given."""
    if len(points) == 0:
        return Front(points, order, weights)
    new = np.concatenate([[True], (points[1:] != points[:-1]).any(axis=1)])
    starts = np.flatnonzero(new)
    return Front(points[starts], order[starts], np.add.reduceat(weights, starts))


def _hopeless(points: IntArray) -> Mask:
    """Return which points are dominated by a few good ones; not all that are dominated."""
    if len(points) <= 4 * SAMPLE:
        return np.zeros(len(points), dtype=np.bool_)
    # Points with a small sum of scaled coordinates dominate many others.
    scaled = (points - points.min(axis=0)) / np.maximum(np.ptp(points, axis=0), 1)
    best = np.argpartition(scaled.sum(axis=1), SAMPLE)[:SAMPLE]
    few = pareto_front(
        points[np.concatenate([best, np.arange(0, len(points), len(points) // SAMPLE)])]
    ).points
    dominated = weakly_dominated(few, points)
    dominated[dominated] = ~_members(few, points[dominated])
    return dominated


def _members(few: IntArray, points: IntArray) -> Mask:
    """Return which points are rows of `few`."""
    both = np.concatenate([few, points])
    _, label = np.unique(both, axis=0, return_inverse=True)
    known = np.zeros(label.max() + 1, dtype=np.bool_)
    known[label[: len(few)]] = True
    return known[label[len(few) :]]


def _undominated(points: IntArray) -> IntArray:
    """Return the rows of the front of distinct points in lexicographic order."""
    if points.shape[1] == 1:
        return np.arange(min(1, len(points)))
    if len(points) <= LEAF:
        return np.flatnonzero(~_dominated_in_leaf(points))
    middle = len(points) // 2
    first, second = _undominated(points[:middle]), middle + _undominated(points[middle:])
    # Nothing in the first half has a larger first coordinate, and no two points are equal.
    beaten = weakly_dominated(points[first, 1:], points[second, 1:])
    return np.concatenate([first, second[~beaten]])


def _dominated_in_leaf(points: IntArray) -> Mask:
    at_most = _at_most(points, points)
    np.fill_diagonal(at_most, False)
    return np.asarray(at_most.any(axis=0))


def _at_most(by: IntArray, points: IntArray) -> Mask:
    """Return for each pair (M, N) whether the first is nowhere larger."""
    return np.asarray((by[:, None, :] <= points[None, :, :]).all(axis=2))


def weakly_dominated(by: IntArray, points: IntArray) -> Mask:
    """Return which of the points (N, D) have a row of `by` (M, D) that is nowhere larger.

    >>> weakly_dominated(np.array([[1, 2]]), np.array([[1, 2], [0, 9]])).tolist()
    [True, False]
    """
    if len(by) == 0 or len(points) == 0:
        return np.zeros(len(points), dtype=np.bool_)
    dimensions = points.shape[1]
    found: Mask
    if dimensions == 1:
        found = points[:, 0] >= by[:, 0].min()
    elif dimensions == 2:
        found = _below_staircase(by, points)
    elif len(by) * len(points) <= FEW_PAIRS:
        found = np.asarray(_at_most(by, points).any(axis=0))
    else:
        found = _split_by_first(by, points)
    return found


def _below_staircase(by: IntArray, points: IntArray) -> Mask:
    """Two coordinates: the least second one among all rows whose first one is not larger."""
    order = np.argsort(by[:, 0], kind="stable")
    stairs = np.minimum.accumulate(by[order, 1])
    below = np.searchsorted(by[order, 0], points[:, 0], side="right")
    found: Mask = (below > 0) & (stairs[below - 1] <= points[:, 1])
    return found


def _split_by_first(by: IntArray, points: IntArray) -> Mask:
    """Three coordinates or more: halve by the first; between the halves it no longer matters."""
    firsts = np.concatenate([by[:, 0], points[:, 0]])
    least, most = firsts.min(), firsts.max()
    if least == most:
        return weakly_dominated(by[:, 1:], points[:, 1:])
    pivot = np.partition(firsts, len(firsts) // 2)[len(firsts) // 2]
    if pivot == most:
        pivot = firsts[firsts < most].max()
    low, low_points = by[:, 0] <= pivot, points[:, 0] <= pivot
    found = np.empty(len(points), dtype=np.bool_)
    found[low_points] = weakly_dominated(by[low], points[low_points])
    high_points = np.flatnonzero(~low_points)
    beaten = weakly_dominated(by[low][:, 1:], points[high_points, 1:])
    open_points = high_points[~beaten]
    found[high_points] = beaten
    found[open_points] = weakly_dominated(by[~low], points[open_points])
    return found
