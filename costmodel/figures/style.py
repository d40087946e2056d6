"""The style of every figure: colours, series, axes, fonts.

Lines differ in colour, marker and dash, bars in hatching, colours in lightness: figures can be read in
greyscale.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, cycle
from typing import TYPE_CHECKING, Any, Literal

from costmodel.grids.quantities import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The colours of Okabe and Ito, distinct for all kinds of colour vision; here from dark to light.
BLACK, BLUE, VERMILION, GREEN, ORANGE, SKY = "#000000", "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9"
GREY = "#c8c8c8"
COLOURS = (BLUE, VERMILION, BLACK, GREEN, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))

# Text stays text in SVG, fonts are TrueType in PDF (many publishers reject Type 3), and files are
# reproducible.
PARAMETERS: Any = {  # matplotlib types the keys one by one
    "svg.hashsalt": "pwoct-cost",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.size": 9,
}


def series() -> Iterator[dict[str, Any]]:
    """Yield line styles endlessly; the numbers of their parts are coprime, so combinations repeat late.

    >>> looks = series()
    >>> drawn = [tuple(map(str, next(looks).values())) for _ in range(200)]
    >>> len(set(drawn))
    200
    """
    looks = zip(cycle(COLOURS), cycle(MARKERS), cycle(DASHES), count(), strict=False)
    for colour, marker, dash, _ in looks:
        yield {"color": colour, "marker": marker, "linestyle": dash}


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a width and height in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def engineering() -> Any:
    """Return a formatter of ticks such as 147.5k: the exact value, with all its digits."""
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: short(value, digits=6))


def plain_axes(axes: Axes, grid: Literal["both", "y"] = "both") -> None:
    """Give axes a light grid below the data, and counts on the vertical axis."""
    axes.yaxis.set_major_formatter(engineering())
    light_grid(axes, grid)


def light_grid(axes: Axes, grid: Literal["both", "y"] = "both") -> None:
    """Give axes a light grid below the data."""
    axes.grid(visible=True, axis=grid, color="0.85", linewidth=0.6)
    axes.set_axisbelow(True)


def logarithmic(axes: Axes, name: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, with ticks such as 1, 2, 5, 10."""
    from matplotlib.ticker import LogLocator, NullFormatter

    getattr(axes, f"set_{name}scale")("log")
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(engineering())
    axis.set_minor_formatter(NullFormatter())


def legend_below(figure: Figure, axes: Axes, columns: int = 3, **options: Any) -> None:
    """Put the legend of axes below the figure, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, fontsize="small", frameon=False, **options
    )
