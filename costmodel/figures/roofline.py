"""A roofline plot: attained MACs per second against intensity, below the machine's ceilings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from costmodel.figures.saving import save
from costmodel.figures.style import legend_below, light_grid, logarithmic, new_figure, series
from costmodel.speed.roofline import Machine


class RooflinePoint(NamedTuple):
    """A point of the plot: label, MACs per byte, MACs per second."""

    label: str
    intensity: float
    macs_per_second: float


def draw_roofline(
    points: Sequence[RooflinePoint], machine: Machine, dtype: str, title: str, path: Path
) -> None:
    """Write the plot to a file whose extension gives its format; the title says which networks these are.

    Raises:
        ImportError: if matplotlib is missing.
        ValueError: if there is nothing to draw, the extension names no format, or the file cannot be written.
    """
    if not points:
        raise ValueError("a roofline plot needs at least one point")
    figure = new_figure(7, 4.8)
    axes = figure.subplots()
    axes.plot(*_roof(machine, dtype, [p.intensity for p in points]), color="black", label="roof")
    for label, look in zip(dict.fromkeys(p.label for p in points), series(), strict=False):
        own = [p for p in points if p.label == label]
        axes.scatter(
            [p.intensity for p in own],
            [p.macs_per_second / 1e9 for p in own],
            label=label,
            color=look["color"],
            marker=look["marker"],
        )
    logarithmic(axes, "x")
    logarithmic(axes, "y")
    axes.set(xlabel="MACs per byte, forward", ylabel=f"10⁹ MACs per second ({dtype})")
    axes.set_title(f"{title}, under this machine's roof", fontsize="medium")
    light_grid(axes)
    legend_below(figure, axes, columns=2)
    save(
        figure,
        path,
        "MACs per second against MACs per byte, on logarithmic axes, below the roof of the machine.",
    )


def _roof(machine: Machine, dtype: str, intensities: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the corners of the roof: it rises with memory traffic up to the ridge, and is flat beyond it."""
    peak, traffic = machine.macs_per_second[dtype], machine.bytes_per_second
    ridge = peak / traffic
    corners = [min(ridge, *intensities) / 2, ridge, max(ridge, *intensities) * 2]
    return corners, [min(peak, x * traffic) / 1e9 for x in corners]
