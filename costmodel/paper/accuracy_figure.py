"""The figure of `accuracies`: accuracy against parameters and against MACs, measured and printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from costmodel.figures.labels import label_points
from costmodel.figures.saving import save
from costmodel.figures.style import BLACK, BLUE, GREEN, ORANGE, PARAMETERS, SKY, VERMILION
from costmodel.paper.cells import built_cost
from costmodel.paper.figure import MILLION
from costmodel.paper.printed import Paper
from costmodel.paper.selection import FROZEN_FAMILY
from costmodel.paper.student import mean_interval
from costmodel.paper.study_results import RIVALS, StudyResults, Trained

QUANTITIES = {
    "params": "parameters, millions (1x1 convolutions included)",
    "macs": "MACs, millions (one 32x32 image)",
}
# Marker and colour of a network by its family; the paper's points are hollow.
STYLES = {
    "plain": ("s", BLACK),
    "Oct 0.25": ("o", BLUE),
    "Oct 0.75": ("^", SKY),
    "Pwise 0.25": ("D", VERMILION),
    "Pwise 0.75": ("v", ORANGE),
    FROZEN_FAMILY: ("P", GREEN),
}
PAPER_DEPTH = 56
MOST_NAMES = 8  # beside those of statement 5 and the plain network, which come first


@dataclass(frozen=True)
class _Point:
    """A network in the figure: its look, cost and accuracy, and half of its interval; None of the paper's."""

    family: str
    name: str
    params: float
    macs: float
    accuracy: float
    half: float | None
    is_compared: bool = False  # by statement 5, or the plain network

    def cost(self, quantity: str) -> float:
        return (self.params if quantity == "params" else self.macs) / MILLION

    @property
    def ends(self) -> tuple[float, float]:
        half = self.half or 0.0
        return self.accuracy - half, self.accuracy + half


def draw_accuracies(measured: StudyResults, paper: Paper, path: Path) -> None:
    """Draw the figure into a file, in the format that its name says.

    Raises ModuleNotFoundError without matplotlib, and ValueError for an unknown format.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    points = [*_measured(measured), *_printed(paper)]
    with mpl.rc_context(PARAMETERS):
        figure = Figure(figsize=(7.5, 5.0), layout="constrained")
        sides = figure.subplots(1, 2, sharey=True)
        for axes, (quantity, label) in zip(sides, QUANTITIES.items(), strict=True):
            for family, (marker, colour) in STYLES.items():
                alike = [one for one in points if one.family == family]
                _draw(axes, quantity, alike, marker, colour, family)
            axes.set(xscale="log", xlabel=label)
            axes.margins(x=0.1)
            axes.grid(visible=True, which="both", linewidth=0.3)
            _ticks(axes)
        sides[0].set_ylabel("test accuracy, %")
        _legend(figure, sides[0], measured)
        for axes, quantity in zip(sides, QUANTITIES, strict=True):
            _name_points(figure, axes, quantity, points)
        save(figure, path, description(measured))


def description(measured: StudyResults) -> str:
    """Return the figure in words: its measured accuracies with their intervals."""
    shown = [f"{one.name} {one.mean:.2f} ± {_half(one, measured):.2f}" for one in _trained(measured)]
    return f"Test accuracy against parameters and against MACs, % with 95 % intervals: {'; '.join(shown)}."


def _trained(measured: StudyResults) -> list[Trained]:
    return [one for one in (*measured.part_a.values(), *measured.part_b.values()) if one.values]


def _half(one: Trained, measured: StudyResults) -> float:
    return mean_interval(one.values, *measured.deviation).half if measured.deviation else 0.0


def _measured(measured: StudyResults) -> Iterator[_Point]:
    compared = [measured.part_a["1.1"], *(measured.part_a[key] for key in RIVALS), *measured.part_b.values()]
    for one in _trained(measured):
        half, is_compared = _half(one, measured), one in compared
        yield _Point(one.family, one.short_name, one.params, one.macs, one.mean, half, is_compared)


def _printed(paper: Paper) -> Iterator[_Point]:
    for row in paper.rows:
        if row.depth == PAPER_DEPTH:
            cost = built_cost(row)
            yield _Point(row.family, "", float(cost.params), float(cost.macs), float(row.accuracy), None)


def _draw(axes: Any, quantity: str, points: Sequence[_Point], marker: str, colour: str, family: str) -> None:
    ours = [one for one in points if one.half is not None]
    axes.errorbar(
        [one.cost(quantity) for one in ours],
        [one.accuracy for one in ours],
        yerr=[one.half for one in ours],
        linestyle="none",
        marker=marker,
        color=colour,
        markersize=4,
        capsize=2,
        linewidth=0.9,
        label=family,
    )
    papers = [one for one in points if one.half is None]
    axes.scatter(
        [one.cost(quantity) for one in papers],
        [one.accuracy for one in papers],
        s=18,
        marker=marker,
        facecolors="none",
        edgecolors=colour,
        linewidths=0.9,
    )


def _legend(figure: Any, axes: Any, measured: StudyResults) -> None:
    """Say which look is which network, and that the paper's points are hollow."""
    from matplotlib.lines import Line2D

    handles, labels = axes.get_legend_handles_labels()
    depths = " and ".join(map(str, sorted({one.depth for one in _trained(measured)})))
    whose = {f"measured (depth {depths})": "black", f"the paper's (depth {PAPER_DEPTH})": "none"}
    handles += [
        Line2D([], [], linestyle="none", marker="o", markersize=5, color=BLACK, markerfacecolor=filled)
        for filled in whose.values()
    ]
    figure.legend(handles, [*labels, *whose], loc="outside lower center", ncols=4, fontsize="small")


def _name_points(figure: Any, axes: Any, quantity: str, points: Sequence[_Point]) -> None:
    """Write the names of measured networks beside their points, where there is room."""
    ours = sorted((one for one in points if one.half is not None), key=lambda one: one.cost(quantity))
    others = [(one.cost(quantity), end) for one in points for end in one.ends]
    for is_compared in (True, False):
        chosen = [one for one in ours if one.is_compared == is_compared]
        labels = [((one.cost(quantity), one.accuracy), one.name) for one in chosen]
        label_points(figure, axes, labels, others, len(chosen) if is_compared else MOST_NAMES)


def _ticks(axes: Any) -> None:
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    low, high = axes.get_xlim()
    axes.set_xticks([tick for tick in (0.1, 0.2, 0.4, 0.8, 5, 10, 20, 40, 80, 160) if low <= tick <= high])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
