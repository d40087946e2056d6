"""Labels of points, where there is room for them: over no point and over no other label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

Place: TypeAlias = tuple[float, float]

# Offsets from the point in printer's points, with the alignment that leads away from it.
SIDES = (
    ((6, 5), "left", "bottom"),
    ((6, -5), "left", "top"),
    ((-6, 5), "right", "bottom"),
    ((-6, -5), "right", "top"),
)
RADIUS = 4.0  # of a marker, in printer's points


def label_points(
    figure: Figure, axes: Axes, labels: Sequence[tuple[Place, str]], others: Sequence[Place], most: int
) -> None:
    """Label at most `most` points, spread over all of them; one without room gives way to another.

    labels: points in the units of the axes, each with its text. others: more points that stay uncovered.
    What the axes hold, and their scales and limits, must be final.
    """
    figure.draw_without_rendering()  # sets the axes' place in the figure
    markers = [_marker(axes, place) for place in (*(place for place, _ in labels), *others)]
    taken = [*markers, *(text.get_window_extent() for text in axes.texts)]
    placed = 0
    for i in _spread(len(labels), most):
        if placed == most:
            return
        box = _try_sides(axes, *labels[i], taken)
        if box is not None:
            taken.append(box)
            placed += 1


def _spread(count: int, most: int) -> Iterator[int]:
    """Yield the positions that are spread from end to end, then those between them.

    >>> list(_spread(7, 3))
    [0, 3, 6, 1, 2, 4, 5]
    """
    first = range(count) if count <= most else [i * (count - 1) // max(1, most - 1) for i in range(most)]
    yield from first
    yield from (i for i in range(count) if i not in first)


def _marker(axes: Axes, place: Place) -> Bbox:
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform(place)
    half = RADIUS * axes.figure.dpi / 72
    return Bbox.from_extents(x - half, y - half, x + half, y + half)


def _try_sides(axes: Axes, place: Place, label: str, taken: Sequence[Bbox]) -> Bbox | None:
    """Write the label on the first side where it has room; return its box, or None without room."""
    style: Any = {"textcoords": "offset points", "fontsize": "x-small"}
    for away, across, along in SIDES:
        text = axes.annotate(label, place, xytext=away, ha=across, va=along, **style)
        box = text.get_window_extent()
        inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
        if inside and axes.bbox.y0 <= box.y0 and box.y1 <= axes.bbox.y1 and not box.count_overlaps(taken):
            return box
        text.remove()
    return None
