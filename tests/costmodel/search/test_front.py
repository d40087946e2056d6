"""What the search for a front asks: which points are dominated, by comparing all with all."""

from __future__ import annotations

import numpy as np
import pytest

from costmodel.search import front
from costmodel.search.front import IntArray, pareto_front, weakly_dominated


def some(seed: int, count: int, dimensions: int) -> IntArray:
    """Points on a grid so coarse that many coordinates and some points are equal."""
    return np.random.default_rng(seed).integers(0, 5, (count, dimensions), dtype=np.int64)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
@pytest.mark.parametrize("few", [0, 1 << 14], ids=["halved", "all pairs"])
def test_dominated_points(monkeypatch: pytest.MonkeyPatch, dimensions: int, few: int) -> None:
    monkeypatch.setattr(front, "FEW_PAIRS", few)
    for seed, (by, points) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1), (1, 9), (9, 1), (2, 30), (30, 40)]):
        rows, asked = some(seed, by, dimensions), some(seed + 100, points, dimensions)
        found = weakly_dominated(rows, asked)
        assert found.dtype == np.bool_
        assert found.tolist() == [any((row <= point).all() for row in rows) for point in asked]


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_what_is_hopeless_is_dominated(monkeypatch: pytest.MonkeyPatch, dimensions: int) -> None:
    """A sample of good points rules most of many points out, and never one of the front."""
    monkeypatch.setattr(front, "SAMPLE", 8)
    points = np.random.default_rng(1).integers(0, 50, (400, dimensions), dtype=np.int64)
    hopeless = front._hopeless(points)
    dominated = [any((p <= q).all() and (p < q).any() for p in points) for q in points]
    assert hopeless.sum() > 200
    assert not (hopeless & ~np.array(dominated)).any()
    assert not front._hopeless(points[:32]).any()  # few points are not worth it
    on_front = {
        tuple(q) for q, is_dominated in zip(points.tolist(), dominated, strict=True) if not is_dominated
    }
    assert {tuple(q) for q in pareto_front(points).points.tolist()} == on_front


def test_a_front_keeps_the_first_of_equal_points_and_their_weight() -> None:
    points = np.array([[2, 1], [1, 2], [2, 2], [1, 2], [2, 1]], dtype=np.int64)
    found = pareto_front(points, np.array([1, 10, 100, 1000, 10000], dtype=np.int64))
    assert found.points.tolist() == [[1, 2], [2, 1]]
    assert found.first.tolist() == [1, 0]
    assert found.weight.tolist() == [1010, 10001]
    nothing = pareto_front(np.empty((0, 2), dtype=np.int64))
    assert [part.shape for part in nothing] == [(0, 2), (0,), (0,)]


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_a_front_of_halves_is_the_front(monkeypatch: pytest.MonkeyPatch, dimensions: int) -> None:
    """Points are halved until few are left; each half may rule points of the other out."""
    monkeypatch.setattr(front, "LEAF", 3)
    for seed in range(5):
        points = some(seed, 60, dimensions)
        rows = [tuple(row) for row in points.tolist()]
        best = {
            row for row in rows if not any(other != row and all(np.less_equal(other, row)) for other in rows)
        }
        found = pareto_front(points)
        assert [tuple(row) for row in found.points.tolist()] == sorted(best)
        assert found.first.tolist() == [rows.index(row) for row in sorted(best)]
        assert found.weight.tolist() == [rows.count(row) for row in sorted(best)]
        assert found.weight.dtype == np.int64


def test_what_is_hopeless_does_not_depend_on_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "SAMPLE", 8)
    points = np.random.default_rng(1).integers(0, 50, (400, 3), dtype=np.int64)
    other = points * [1, 1000, 7] + [0, 5000, -3]
    assert front._hopeless(other).tolist() == front._hopeless(points).tolist()
