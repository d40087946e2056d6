"""The figure of `choices`: parameters against MACs, the Pareto front, plain networks, the paper's points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from costmodel.figures.saving import save
from costmodel.figures.style import BLACK, BLUE, GREY, PARAMETERS, VERMILION
from costmodel.paper.choices import DEPTH, Choices, NetworkPoint

MILLION = 1e6
DESCRIPTION = (
    "Configurations, their Pareto front, the paper's networks and plain ResNets, on logarithmic axes."
)
# The paper's networks that have a name beside them, and how far from the point, in printer's points.
NAMED = {
    "all, 0.25": ("all paths, 0.25", (8, -11)),
    "all, 0.75": ("all paths, 0.75", (5, -37)),
    "HL,LH,LL, 0.25": ("all but HH, 0.25", (6, -26)),
}


def draw_choices(
    found: Choices, plain: tuple[NetworkPoint, ...], paper: tuple[NetworkPoint, ...], path: Path
) -> None:
    """Draw the figure into a file, in the format that its name says.

    Raises ModuleNotFoundError without matplotlib, and ValueError for an unknown format.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(PARAMETERS):
        figure = Figure(figsize=(7.5, 5.2), layout="constrained")
        axes = figure.add_subplot()
        _grid(axes, found)
        _fronts(axes, found)
        _paper(axes, paper)
        _plain(axes, plain)
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="MACs, millions (one 32x32 image)",
            ylabel="parameters, millions (1x1 convolutions included)",
            title=f"ResNet-{DEPTH} with OctConv and bottlenecks: parameters against MACs",
        )
        _ticks(axes)
        axes.legend(loc="lower right", framealpha=0.95)
        save(figure, path, DESCRIPTION)


def _grid(axes: Any, found: Choices) -> None:
    for idle, colour, marker, label in (
        (False, GREY, ".", "configurations"),
        (True, VERMILION, "x", "some bottleneck saves nothing"),
    ):
        chosen = [choice for choice in found.all if bool(choice.idle) == idle]
        axes.scatter(
            [choice.macs / MILLION for choice in chosen],
            [choice.params / MILLION for choice in chosen],
            s=6 if idle else 4,
            c=colour,
            marker=marker,
            linewidths=0.6,
            label=label,
            rasterized=True,
        )


def _fronts(axes: Any, found: Choices) -> None:
    edge = [(choice.macs / MILLION, choice.params / MILLION) for choice in found.edge]
    # "post": up to so many parameters, no configuration costs less than the next point of the edge
    axes.step(
        *zip(*edge, strict=True),
        where="post",
        color=BLACK,
        linewidth=1.1,
        label="fewest MACs at so many parameters",
    )
    front = [(choice.macs / MILLION, choice.params / MILLION) for choice in found.front]
    axes.scatter(*zip(*front, strict=True), c=BLACK, marker="D", s=14, zorder=4, label="Pareto front")


def _paper(axes: Any, paper: tuple[NetworkPoint, ...]) -> None:
    for point in paper:
        places = [(point.printed or 0) / MILLION, point.params / MILLION]
        axes.plot([point.macs / MILLION] * 2, places, color=BLUE, linewidth=0.9, zorder=3)
    style = {"edgecolors": BLUE, "zorder": 4, "linewidths": 1.0, "s": 26}
    for name, colour, attribute in (
        ("paper's networks, printed parameters", "white", "printed"),
        ("the same, all convolutions counted", BLUE, "params"),
    ):
        params = [getattr(point, attribute) / MILLION for point in paper]
        macs = [point.macs / MILLION for point in paper]
        axes.scatter(macs, params, facecolors=colour, label=name, **style)
    for point in paper:
        if point.name in NAMED:
            _annotate(axes, point, *NAMED[point.name], color=BLUE)


def _annotate(axes: Any, point: NetworkPoint, text: str, away: tuple[int, int], **style: Any) -> None:
    place = (point.macs / MILLION, point.params / MILLION)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
    side = "left" if away[0] > 0 else "right"
    axes.annotate(text, place, xytext=away, textcoords="offset points", ha=side, bbox=box, zorder=3, **style)


def _plain(axes: Any, plain: tuple[NetworkPoint, ...]) -> None:
    axes.scatter(
        [point.macs / MILLION for point in plain],
        [point.params / MILLION for point in plain],
        s=42,
        c=BLACK,
        marker="s",
        zorder=5,
        label="plain ResNet-20, 32, 44, 56",
    )
    for point in plain:
        _annotate(axes, point, point.name.removeprefix("ResNet-"), (8, -4), weight="bold")


def _ticks(axes: Any) -> None:
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    axes.set_xticks([5, 10, 20, 40, 80, 160])
    axes.set_yticks([0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
