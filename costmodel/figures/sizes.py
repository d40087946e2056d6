"""The figure of a network's cost against the size of its input, from its closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from costmodel.figures.style import COLOURS, light_grid, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sizes_figure(
    title: str, symbol: str, sizes: Sequence[int], counts: Mapping[str, Sequence[int]]
) -> Figure:
    """Draw a panel for each quantity against the sizes for which the formula holds."""
    figure = new_figure(7.0, 2.4 * len(counts) + 0.8)
    panels = figure.subplots(len(counts), 1, sharex=True, squeeze=False)[:, 0]
    for axes, colour, (name, values) in zip(panels, COLOURS, counts.items(), strict=False):
        axes.plot(sizes, values, color=colour, marker="o", markersize=2.5, linewidth=1)
        axes.set_ylabel(name)
        axes.set_ylim(bottom=0)
        light_grid(axes)
    panels[-1].set_xlabel(symbol)
    figure.suptitle(title, fontsize="medium")
    return figure
