"""Figures of results: cost against alpha, Pareto fronts, a network layer by layer.

A figure is drawn from the JSON that a command wrote, so that a stored result can be drawn again. Lines differ
in marker and dash, bars in hatching, and colours in lightness: figures can be read in greyscale. matplotlib,
the extra `plot`, is imported inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from costmodel.grids.quantities import heading_of, short, unit_of
from costmodel.networks.wording import joined, path_text
from costmodel.operators.octave import PATHS
from costmodel.report import counted
from costmodel.rounding import as_ratio
from costmodel.text import parse_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Document: TypeAlias = Mapping[str, Any]
Row: TypeAlias = Mapping[str, Any]


# The colours of Okabe and Ito, distinct for all kinds of colour vision; here from dark to light.
BLACK, BLUE, VERMILION, ORANGE, SKY = "#000000", "#0072B2", "#D55E00", "#E69F00", "#56B4E9"

# A sweep has one panel per choice among HH and LL, with one line per choice among HL and LH.
LINES: Mapping[tuple[str, ...], Mapping[str, Any]] = {
    (): {"color": BLACK, "linestyle": "-", "marker": "o"},
    ("HL",): {"color": BLUE, "linestyle": "--", "marker": "s"},
    ("LH",): {"color": VERMILION, "linestyle": "-.", "marker": "^"},
    ("HL", "LH"): {"color": ORANGE, "linestyle": ":", "marker": "D"},
}
PANELS: tuple[tuple[str, ...], ...] = ((), ("LL",), ("HH",), ("HH", "LL"))

# The parts of a network, by the prefixes of their layers' names.
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


def sweep_figure(document: Document) -> Figure:
    """Draw cost against alpha: one row of panels per quantity and beta, one line per set of paths."""
    rows: Sequence[Row] = document["sweep"]
    kinds = [panel for panel in PANELS if any(_panel(row) == panel for row in rows)]
    betas = list(dict.fromkeys(row["beta"] for row in rows if row["beta"] is not None)) or [None]
    lines = [(name, beta) for name in document["quantities"] for beta in betas]
    figure = _figure(2.4 * len(kinds) + 1.2, 2.6 * len(lines) + 0.6)
    axes = figure.subplots(len(lines), len(kinds), sharex=True, sharey="row", squeeze=False)
    for line, (name, beta) in enumerate(lines):
        of_beta = [row for row in rows if row["beta"] in (beta, None)]
        for column, panel in enumerate(kinds):
            _draw_sweep(axes[line, column], [row for row in of_beta if _panel(row) == panel], name)
        axes[line, 0].set_ylim(0, 1.08 * max(row[name] for row in of_beta))
        axes[line, 0].set_ylabel(unit_of(name) + ("" if len(betas) == 1 else f", beta {beta}"))
    for column, panel in enumerate(kinds):
        axes[0, column].set_title(f"… {_among(panel, ('HH', 'LL'))}", fontsize="medium")
        axes[-1, column].set_xlabel("alpha (share of low-frequency channels)", fontsize="small")
    beta = f", beta {betas[0]}" if betas != [None] and len(betas) == 1 else ""
    figure.suptitle(f"{document['model']}{beta}: bottlenecks on …")
    handles = {
        label: handle
        for panel_axes in axes.flat
        for handle, label in zip(*panel_axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles,
        title="… and on",
        loc="outside lower center",
        ncols=len(LINES),
        handlelength=4,
        frameon=False,
    )
    return figure


def front_figure(document: Document) -> Figure:
    """Draw a Pareto front: parameters against MACs, a third quantity by colour, budgets as lines."""
    names: Sequence[str] = document["quantities"]
    rows: Sequence[Row] = document["front"]
    figure = _figure(7.0, 4.8)
    axes = figure.subplots()
    macs, params = ([row[name] for row in rows] for name in ("macs", "params"))
    if len(names) == 2:
        _draw_steps(axes, macs, params, document["maximise"])
    else:
        third = unit_of(names[2])
        points = axes.scatter(
            macs,
            params,
            c=[row[names[2]] for row in rows],
            cmap="cividis",
            s=22,
            edgecolors=BLACK,
            linewidths=0.3,
        )
        figure.colorbar(points, ax=axes, label=third, format=_engineering())
    _draw_budgets(axes, document["budgets"])
    axes.set_xlabel(_axis("macs", document["maximise"]))
    axes.set_ylabel(_axis("params", document["maximise"]))
    more = f"; not shown: {', '.join(heading_of(name) for name in names[3:])}" if names[3:] else ""
    axes.set_title(
        f"{counted(len(rows), 'point')} of {counted(document['configurations'], 'configuration')}{more}",
        fontsize="medium",
    )
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")
    return figure


def layers_figure(document: Document) -> Figure:
    """Draw parameters and MACs of each convolution and linear layer as bars."""
    work = next(key for key in document["layers"][0] if key in ("macs", "flops"))
    rows = [row for row in document["layers"] if row["layer"] != "sum" and row["activations"]]
    figure = _figure(max(6.0, min(0.16 * len(rows) + 2, 16)), 6.0)
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


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _engineering() -> Any:
    from matplotlib.ticker import FuncFormatter

    # A tick label shows its exact value, with all its digits.
    return FuncFormatter(lambda value, _: short(value, digits=6))


def _plain_axes(axes: Axes, grid: Literal["both", "y"] = "both") -> None:
    axes.yaxis.set_major_formatter(_engineering())
    axes.grid(visible=True, axis=grid, color="0.85", linewidth=0.6)
    axes.set_axisbelow(True)


def _paths_of(row: Row) -> tuple[str, ...]:
    named = {"all": PATHS, "none": ()}
    return tuple(named.get(row["paths"], row["paths"].split(",")))


def _panel(row: Row) -> tuple[str, ...]:
    return tuple(path for path in _paths_of(row) if path in ("HH", "LL"))


def _among(paths: Sequence[str], two: tuple[str, str]) -> str:
    return " and ".join(paths) or f"neither {two[0]} nor {two[1]}"


def _draw_sweep(axes: Axes, rows: Sequence[Row], name: str) -> None:
    for exchange, style in LINES.items():
        own = [row for row in rows if tuple(p for p in _paths_of(row) if p in ("HL", "LH")) == exchange]
        if own:
            alphas = [float(as_ratio(row["alpha"])) for row in own]
            label = _among(exchange, ("HL", "LH"))
            axes.plot(alphas, [row[name] for row in own], label=label, markersize=4, linewidth=1.4, **style)
    _plain_axes(axes)


def _draw_steps(axes: Axes, macs: Sequence[int], params: Sequence[int], maximise: Sequence[str]) -> None:
    """With two quantities a front is a staircase: nothing below and left of it is attainable."""
    order = sorted(range(len(macs)), key=macs.__getitem__)
    x, y = [macs[i] for i in order], [params[i] for i in order]
    if maximise:
        axes.plot(x, y, color=BLUE, marker="o", markersize=4, linestyle="none")
    else:
        axes.step(x, y, where="post", color=BLUE, marker="o", markersize=4)


def _draw_budgets(axes: Axes, budgets: Mapping[str, int]) -> None:
    _plain_axes(axes)
    axes.xaxis.set_major_formatter(_engineering())
    style: Any = {"color": VERMILION, "linewidth": 1.2}
    if "macs" in budgets:
        axes.axvline(budgets["macs"], linestyle="--", label=f"budget: {budgets['macs']:,} MACs", **style)
    if "params" in budgets:
        axes.axhline(
            budgets["params"], linestyle=":", label=f"budget: {budgets['params']:,} parameters", **style
        )


def _axis(name: str, maximise: Sequence[str]) -> str:
    return unit_of(name) + (" (to be large)" if name in maximise else "")


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
    _plain_axes(axes, grid="y")
    axes.margins(x=0.01)


def _first_of_each_part(rows: Sequence[Row]) -> list[int]:
    layers = [row["layer"] for row in rows]
    return [next(i for i, layer in enumerate(layers) if layer.startswith(start)) for start in BARS]
