"""The figure of a search: its Pareto front, plain networks for comparison, budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from costmodel.figures.labels import label_points
from costmodel.figures.style import (
    BLACK,
    BLUE,
    VERMILION,
    engineering,
    legend_below,
    light_grid,
    logarithmic,
    new_figure,
)
from costmodel.grids.quantities import heading_of, unit_of
from costmodel.networks.resnet import depth_of, resnet
from costmodel.operators.recorder import cost_of
from costmodel.report import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Document: TypeAlias = Mapping[str, Any]
Row: TypeAlias = Mapping[str, Any]

PLAIN_DEPTHS = (20, 32, 44, 56, 110)
WIDE = 4  # times the least value
MOST_NAMES = 6


def front_figure(document: Document) -> Figure:
    """Draw a Pareto front: parameters against MACs, a third quantity by colour, budgets as lines."""
    rows: Sequence[Row] = document["front"]
    figure = new_figure(7.0, 5.2)
    axes = figure.subplots()
    if len(document["quantities"]) == 2:
        _draw_steps(axes, rows, document["maximise"])
    else:
        _draw_colours(figure, axes, rows, document["quantities"][2])
    plain = _draw_plain(axes, document)
    _draw_budgets(axes, document["budgets"])
    light_grid(axes)
    _scale(axes)
    axes.set_xlabel(_axis("macs", document["maximise"]))
    axes.set_ylabel(_axis("params", document["maximise"]))
    axes.set_title(_title(document), fontsize="medium")
    legend_below(figure, axes)
    ordered = sorted(rows, key=lambda row: row["macs"])
    labels = [((row["macs"], row["params"]), _name(row)) for row in ordered]
    label_points(figure, axes, labels, plain, MOST_NAMES)
    return figure


def _title(document: Document) -> str:
    names: Sequence[str] = document["quantities"]
    more = f"; not shown: {', '.join(heading_of(name) for name in names[3:])}" if names[3:] else ""
    points = counted(len(document["front"]), "point")
    whose = ", ".join(document["space"]["model"])
    return f"{whose}: {points} of {counted(document['configurations'], 'configuration')}{more}"


def _axis(name: str, maximise: Sequence[str]) -> str:
    return unit_of(name) + (" (maximised)" if name in maximise else "")


def _draw_steps(axes: Axes, rows: Sequence[Row], maximise: Sequence[str]) -> None:
    """With two quantities a front is a staircase: nothing below and left of it is attainable."""
    ordered = sorted(rows, key=lambda row: row["macs"])
    x, y = [row["macs"] for row in ordered], [row["params"] for row in ordered]
    style: Any = {"color": BLUE, "marker": "o", "markersize": 4, "label": "Pareto-optimal"}
    if maximise:
        axes.plot(x, y, linestyle="none", **style)
    else:
        axes.step(x, y, where="post", **style)


def _draw_colours(figure: Figure, axes: Axes, rows: Sequence[Row], third: str) -> None:
    points = axes.scatter(
        [row["macs"] for row in rows],
        [row["params"] for row in rows],
        c=[row[third] for row in rows],
        cmap="cividis",
        s=22,
        edgecolors=BLACK,
        linewidths=0.3,
        label="Pareto-optimal",
    )
    figure.colorbar(points, ax=axes, label=unit_of(third), format=engineering())


def _name(row: Row) -> str:
    """Return a point's label: alpha, and the bottlenecks if there are any."""
    words = [f"α {row['alpha']}"] if "alpha" in row else []
    if row.get("paths", "none") != "none":
        words += [f"β {row['beta']}", str(row["paths"])]
    return ", ".join(words)


def _draw_plain(axes: Axes, document: Document) -> list[tuple[float, float]]:
    """Draw the alternatives, plain networks not far beyond the front or the budget; return their places."""
    rows, budgets = document["front"], document["budgets"]
    most = {
        name: budgets.get(name, 1.5 * max((row[name] for row in rows), default=0))
        for name in ("macs", "params")
    }
    networks = _plain_networks(document)
    near = [one for one in networks if one[1].macs <= most["macs"] and one[1].params <= most["params"]]
    points = [(depth, cost.macs, cost.params) for depth, cost in near or networks[:1]]
    if not points:
        return []
    style: Any = {"marker": "s", "s": 26, "facecolors": "none", "edgecolors": BLACK}
    axes.scatter([x for _, x, _ in points], [y for *_, y in points], label="plain, by depth", **style)
    for depth, macs, params in points:
        axes.annotate(str(depth), (macs, params), xytext=(5, 4), textcoords="offset points", fontsize="small")
    return [(macs, params) for _, macs, params in points]


def _scale(axes: Axes) -> None:
    """Make an axis logarithmic if its largest value is several times its smallest."""
    axes.xaxis.set_major_formatter(engineering())
    axes.yaxis.set_major_formatter(engineering())
    for name in ("x", "y"):
        low, high = getattr(axes.dataLim, f"interval{name}")
        if low > 0 and high > WIDE * low:
            logarithmic(axes, name)


def _plain_networks(document: Document) -> list[tuple[int, Any]]:
    asked = document.get("question", {})
    try:
        depths = {depth_of(name) for name in document["space"]["model"]}
    except ValueError:
        return []  # a converted network has no family of depths
    size = tuple(int(side) for side in str(asked.get("size", "32")).split("x"))
    widths = document["space"].get("width", [16])
    options: dict[str, Any] = {
        "width": int(widths[0]),
        "classes": int(asked.get("classes", 10)),
        "in_channels": int(asked.get("in_channels", 3)),
        "size": (size[0], size[-1]),
    }
    wanted = sorted({*PLAIN_DEPTHS, *depths})
    return [(depth, cost_of(resnet(depth, **options).folded())) for depth in wanted]


def _draw_budgets(axes: Axes, budgets: Mapping[str, int]) -> None:
    style: Any = {"color": VERMILION, "linewidth": 1.2}
    if "macs" in budgets:
        axes.axvline(budgets["macs"], linestyle="--", label=f"budget: {budgets['macs']:,} MACs", **style)
    if "params" in budgets:
        axes.axhline(
            budgets["params"], linestyle=":", label=f"budget: {budgets['params']:,} parameters", **style
        )
