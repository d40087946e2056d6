"""Figures of results: cost against alpha, Pareto fronts, a network layer by layer.

A figure is drawn from a command's JSON output, so that a stored result can be drawn again. matplotlib,
the extra `plot`, is imported inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from costmodel.figures.front import front_figure
from costmodel.figures.style import BLACK, BLUE, ORANGE, SKY, VERMILION, new_figure, plain_axes
from costmodel.grids.quantities import unit_of
from costmodel.networks.wording import joined, path_text
from costmodel.operators.octave import PATHS
from costmodel.rounding import as_ratio
from costmodel.text import parse_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Document: TypeAlias = Mapping[str, Any]
Row: TypeAlias = Mapping[str, Any]


# A sweep has one panel per choice among HH and LL, with one line per choice among HL and LH.
LINES: Mapping[tuple[str, ...], Mapping[str, Any]] = {
    (): {"color": BLACK, "linestyle": "-", "marker": "o"},
    ("HL",): {"color": BLUE, "linestyle": "--", "marker": "s"},
    ("LH",): {"color": VERMILION, "linestyle": "-.", "marker": "^"},
    ("HL", "LH"): {"color": ORANGE, "linestyle": ":", "marker": "D"},
}
PANELS: tuple[tuple[str, ...], ...] = ((), ("LL",), ("HH",), ("HH", "LL"))

# The parts of a network, by the prefix of their layers' names.
BARS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "stem": ("stem", {"color": BLACK}),
    "stages.0": ("stage 1", {"color": BLUE, "hatch": ""}),
    "stages.1": ("stage 2", {"color": ORANGE, "hatch": "////"}),
    "stages.2": ("stage 3", {"color": SKY, "hatch": "...."}),
    "fc": ("linear layer", {"color": VERMILION, "hatch": "xxxx"}),
}
MOST_NAMED_BARS = 70  # more names would be illegible


def read(text: str) -> Document:
    """Parse a result from its JSON, or raise ValueError."""
    try:
        document = parse_json(text)
    except ValueError as error:
        raise ValueError(f"a result must be JSON (--format json): {error}") from None
    if not isinstance(document, dict):
        raise ValueError("a result must be a JSON object, as --format json writes it")
    return document


def figure_of(document: Document) -> Figure:
    """Return the figure of a result, in the JSON of `search`, `sweep` or the calculator.

    Raises ValueError if it contains nothing to draw.
    """
    command = str(document.get("command", "nothing known"))
    if command == "calculator" and "layers" not in document:
        raise ValueError("the calculator's result has no layers to draw: run it with --per-layer")
    if command not in FIGURES:
        raise ValueError(f"results of {', '.join(FIGURES)} in JSON can be drawn, got one of {command}")
    try:
        return FIGURES[command](document)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"the result of {command} is not complete: {error!r}") from None


NARROW = 3  # panels: beside fewer, a title in one line would be cut off


def sweep_figure(document: Document) -> Figure:
    """Draw cost against alpha: one row of panels per quantity and beta, one line per set of paths."""
    rows: Sequence[Row] = document["sweep"]
    kinds = [panel for panel in PANELS if any(_panel(row) == panel for row in rows)]
    betas = list(dict.fromkeys(row["beta"] for row in rows if row["beta"] is not None)) or [None]
    lines = [(name, beta) for name in document["quantities"] for beta in betas]
    figure = new_figure(2.4 * len(kinds) + 1.2, 2.6 * len(lines) + 1.2)
    axes = figure.subplots(len(lines), len(kinds), sharex=True, sharey="row", squeeze=False)
    for line, (name, beta) in enumerate(lines):
        of_beta = [row for row in rows if row["beta"] in (beta, None)]
        for column, panel in enumerate(kinds):
            _draw_sweep(axes[line, column], [row for row in of_beta if _panel(row) == panel], name)
        axes[line, 0].set_ylim(0, 1.08 * max(row[name] for row in of_beta))
        axes[line, 0].set_ylabel(unit_of(name) + ("" if len(betas) == 1 else f", beta {beta}"))
    for last in axes[-1]:
        last.set_xlabel("alpha (share of low-frequency channels)", fontsize="small")
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.22)}
        last.legend(title="bottlenecks on", fontsize="small", frameon=False, handlelength=4, **place)
    beta = f", beta {betas[0]}" if betas != [None] and len(betas) == 1 else ""
    new_line = "\n" if len(kinds) < NARROW else " "
    figure.suptitle(
        f"{document['model']}{beta}: cost against alpha,{new_line}by the paths that have bottlenecks"
    )
    return figure


def layers_figure(document: Document) -> Figure:
    """Draw parameters and MACs of each convolution and linear layer as bars."""
    work = next(key for key in document["layers"][0] if key in ("macs", "flops"))
    rows = [row for row in document["layers"] if row["activations"]]
    figure = new_figure(max(6.0, min(0.16 * len(rows) + 2, 16)), 6.0)
    upper, lower = figure.subplots(2, 1, sharex=True)
    for axes, key, label in (
        (upper, "params", "parameters"),
        (lower, work, "MACs" if work == "macs" else "FLOPs"),
    ):
        _draw_bars(axes, rows, key)
        axes.set_ylabel(label)
    figure.legend(
        *upper.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=len(BARS),
        fontsize="small",
        frameon=False,
    )
    lower.set_xlabel("convolutions and linear layers, in the order in which they run")
    named = range(len(rows)) if len(rows) <= MOST_NAMED_BARS else _first_of_each_part(rows)
    lower.set_xticks(list(named), [rows[i]["layer"] for i in named], rotation=90, fontsize="x-small")
    figure.suptitle(_network(document), fontsize="medium")
    return figure


FIGURES: Mapping[str, Callable[[Document], Figure]] = {
    "search": front_figure,
    "sweep": sweep_figure,
    "calculator": layers_figure,
}


def _paths_of(row: Row) -> tuple[str, ...]:
    named = {"all": PATHS, "none": ()}
    return tuple(named.get(row["paths"], row["paths"].split(",")))


def _panel(row: Row) -> tuple[str, ...]:
    return tuple(path for path in _paths_of(row) if path in ("HH", "LL"))


def _draw_sweep(axes: Axes, rows: Sequence[Row], name: str) -> None:
    for exchange, style in LINES.items():
        own = [row for row in rows if tuple(p for p in _paths_of(row) if p in ("HL", "LH")) == exchange]
        if own:
            alphas = [float(as_ratio(row["alpha"])) for row in own]
            label = path_text(_paths_of(own[0]))
            axes.plot(alphas, [row[name] for row in own], label=label, markersize=4, linewidth=1.4, **style)
    plain_axes(axes)


def _network(document: Document) -> str:
    """The calculator's network in words."""
    words = [document["model"]]
    if set(document["alpha"]) != {"0"}:
        words.append(f"alpha {joined(document['alpha'])}")
    if any(document["paths"]):
        paths = joined(map(path_text, document["paths"]))
        words += [f"beta {joined(document['beta'])}", f"bottlenecks on {paths}"]
    return ", ".join(words)


def _draw_bars(axes: Axes, rows: Sequence[Row], key: str) -> None:
    for start, (label, style) in BARS.items():
        own = [i for i, row in enumerate(rows) if row["layer"].startswith(start)]
        heights = [rows[i][key] for i in own]
        axes.bar(own, heights, label=label, edgecolor="black", linewidth=0.4, **style)
    plain_axes(axes, grid="y")
    axes.margins(x=0.01)


def _first_of_each_part(rows: Sequence[Row]) -> list[int]:
    layers = [row["layer"] for row in rows]
    return [next(i for i, layer in enumerate(layers) if layer.startswith(start)) for start in BARS]
