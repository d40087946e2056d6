"""A roofline plot: attained MACs per second against intensity, below the machine's ceilings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from costmodel.figures.saving import save
from costmodel.figures.style import legend_below, light_grid, new_figure, series
from costmodel.speed.roofline import Machine


class RooflinePoint(NamedTuple):
    """A point of the plot: label, MACs per byte, MACs per second."""

    label: str
    intensity: float
    macs_per_second: float


def draw_roofline(points: Sequence[RooflinePoint], machine: Machine, dtype: str, path: Path) -> None:
    """Write the plot to a file whose extension gives its format.

    Raises:
        ImportError: if matplotlib is missing.
        ValueError: if there is nothing to draw, the extension names no format, or the file cannot be written.
    """
    if not points:
        raise ValueError("a roofline plot needs at least one point")
    figure = new_figure(7, 4.8)
    axes = figure.subplots()
    peak = machine.macs_per_second[dtype]
    ends = [min(p.intensity for p in points) / 2, max(2 * peak / machine.bytes_per_second, 1.0)]
    ends[1] = max(ends[1], 2 * max(p.intensity for p in points))
    ridge = peak / machine.bytes_per_second
    corners = sorted({*ends, ridge})
    axes.plot(
        corners, [min(peak, x * machine.bytes_per_second) / 1e9 for x in corners], color="black", label="roof"
    )
    for label, look in zip(dict.fromkeys(p.label for p in points), series(), strict=False):
        own = [p for p in points if p.label == label]
        axes.scatter(
            [p.intensity for p in own],
            [p.macs_per_second / 1e9 for p in own],
            label=label,
            color=look["color"],
            marker=look["marker"],
        )
    axes.set(xscale="log", yscale="log", xlabel="MACs per byte", ylabel=f"10⁹ MACs per second ({dtype})")
    axes.set_title("Networks under this machine's roof", fontsize="medium")
    light_grid(axes)
    legend_below(figure, axes, columns=2)
    save(
        figure,
        path,
        "MACs per second against MACs per byte, on logarithmic axes, below the roof of the machine.",
    )
