"""Labels of points cover neither points nor each other, and stay within the axes."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

pytest.importorskip("matplotlib")

from costmodel.figures.labels import label_points
from costmodel.figures.style import new_figure

DENSE = [(1 + i / 10, 1 + (i * i % 17) / 20) for i in range(60)]
LINE = [(1.0 + i / 100, 2.0 + i / 100) for i in range(40)]
TWINS = [(1.0, 1.0), (1.0, 1.0), (2.0, 2.0)]  # they differ in a third quantity
APART = [(float(i), float(i * i)) for i in range(5)]


def labelled(points: list[tuple[float, float]], *, most: int = 6, others: Any = ()) -> tuple[Any, list[Any]]:
    figure = new_figure(7.0, 5.2)
    axes = figure.subplots()
    axes.scatter(*zip(*points, *others, strict=True), s=22)
    label_points(figure, axes, [(point, f"a long label, {point[0]}") for point in points], others, most)
    return axes, [text.get_window_extent() for text in axes.texts]


@pytest.mark.parametrize("points", [DENSE, LINE, TWINS, APART])
def test_labels_cover_nothing(points: list[tuple[float, float]]) -> None:
    axes, boxes = labelled(points)
    assert 1 <= len(boxes) <= 6
    assert not any(box.contains(*axes.transData.transform(point)) for box in boxes for point in points)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    for box in boxes:
        assert axes.bbox.x0 <= box.x0 < box.x1 <= axes.bbox.x1
        assert axes.bbox.y0 <= box.y0 < box.y1 <= axes.bbox.y1


def test_points_with_room_all_have_labels() -> None:
    axes, _ = labelled(APART)
    assert [text.xy for text in axes.texts] == APART


def test_labels_are_spread_from_end_to_end() -> None:
    axes, _ = labelled(LINE, most=2)
    assert [text.xy for text in axes.texts] == [LINE[0], LINE[-1]]


def test_other_points_stay_uncovered() -> None:
    others = [(0.1 + i / 20, 0.02 * j) for i in range(9) for j in range(-20, 20)]
    axes, boxes = labelled([(0.0, 0.0), (4.0, 0.0)], others=others)
    assert [text.xy for text in axes.texts] == [(4.0, 0.0)]
    assert not any(box.contains(*axes.transData.transform(point)) for box in boxes for point in others)


def test_without_points_there_are_no_labels() -> None:
    figure = new_figure(2, 2)
    axes = figure.subplots()
    label_points(figure, axes, [], [], 6)
    assert not axes.texts
