"""The figure of `accuracies`: accuracy against parameters and against MACs, measured and printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from costmodel.figures.saving import save
from costmodel.figures.style import BLACK, BLUE, PARAMETERS, VERMILION
from costmodel.paper.cells import built_cost
from costmodel.paper.figure import MILLION
from costmodel.paper.printed import Paper
from costmodel.paper.protocol import DEPTH, StudyResults, Trained
from costmodel.paper.student import mean_interval, pooled

QUANTITIES = {
    "params": "parameters, millions (1x1 convolutions included)",
    "macs": "MACs, millions (one 32x32 image)",
}
STYLES = {"plain": ("s", BLACK), "Oct": ("o", BLUE), "Pwise": ("D", VERMILION)}  # by kind of network
PAPER_DEPTH = 56


def draw_accuracies(measured: StudyResults, paper: Paper, path: Path) -> None:
    """Draw the figure into a file, in the format that its name says.

    Raises ModuleNotFoundError without matplotlib, and ValueError for an unknown format.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(PARAMETERS):
        figure = Figure(figsize=(7.5, 4.4), layout="constrained")
        sides = figure.subplots(1, 2, sharey=True)
        for axes, (quantity, label) in zip(sides, QUANTITIES.items(), strict=True):
            for kind, networks in _groups(measured).items():
                _measured(axes, quantity, networks, kind)
                _printed(axes, quantity, paper, kind)
            axes.set(xscale="log", xlabel=label)
            axes.grid(visible=True, which="both", linewidth=0.3)
            _ticks(axes)
        sides[0].set_ylabel("test accuracy, %")
        figure.legend(*sides[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        save(
            figure,
            path,
            "Accuracy against parameters and against MACs, with 95 % intervals where there are several runs.",
        )


def _groups(measured: StudyResults) -> dict[str, list[Trained]]:
    a = measured.part_a
    groups = {"plain": [a["1.1"], *measured.part_b.values()], "Oct": [a["1.2"], a["1.4"]]}
    known = {one.name for group in groups.values() for one in group}
    return groups | {"Pwise": [one for one in a.values() if one.name not in known]}


def _measured(axes: Any, quantity: str, networks: Sequence[Trained], kind: str) -> None:
    marker, colour = STYLES[kind]
    trained = [one for one in networks if one.values]
    axes.errorbar(
        [getattr(one, quantity) / MILLION for one in trained],
        [sum(one.values) / len(one.values) for one in trained],
        yerr=[_half(one) for one in trained],
        linestyle="none",
        marker=marker,
        color=colour,
        markersize=4,
        capsize=2,
        linewidth=0.9,
        label=f"{kind}, measured (depth {DEPTH})" if kind != "plain" else "plain, measured",
    )


def _half(one: Trained) -> float:
    """Half of the 95 % interval of a mean; 0 for a single run, which has none."""
    own = pooled([one.values])
    return mean_interval(one.values, own[0]).half if own else 0.0


def _printed(axes: Any, quantity: str, paper: Paper, kind: str) -> None:
    marker, colour = STYLES[kind]
    rows = [row for row in paper.rows if row.depth == PAPER_DEPTH and row.kind == kind]
    axes.scatter(
        [getattr(built_cost(row), quantity) / MILLION for row in rows],
        [float(row.accuracy) for row in rows],
        s=18,
        marker=marker,
        facecolors="none",
        edgecolors=colour,
        linewidths=0.9,
        label=f"{kind}, the paper's (depth {PAPER_DEPTH})",
    )


def _ticks(axes: Any) -> None:
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    low, high = axes.get_xlim()
    axes.set_xticks([tick for tick in (0.1, 0.2, 0.4, 0.8, 5, 10, 20, 40, 80, 160) if low <= tick <= high])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
