"""The curves of runs: training loss and accuracy against epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from costmodel.figures.saving import save
from costmodel.figures.style import legend_below, light_grid, new_figure, series
from costmodel.report import counted


def draw_curves(histories: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Draw the training loss and the accuracy of each epoch, from the metrics of each run by its name.

    Raises ValueError if no run has finished an epoch, or the file cannot be written.
    """
    from matplotlib.ticker import MaxNLocator

    drawn = {name: history for name, history in histories.items() if history}
    if not drawn:
        got = f"{counted(len(histories), 'run')} without one" if histories else "no run"
        raise ValueError(f"curves need a run with a finished epoch, got {got}")
    figure = new_figure(10, 4.2 + 0.2 * len(drawn) / 2)
    loss, accuracy = figure.subplots(1, 2)
    for (name, history), look in zip(drawn.items(), series(), strict=False):
        epochs = [line["epoch"] for line in history]
        style = {**look, "markersize": 3, "linewidth": 1.2}
        loss.plot(epochs, [line["train_loss"] for line in history], label=name, **style)
        accuracy.plot(epochs, [100 * _accuracy(line) for line in history], label=name, **style)
    loss.set(xlabel="epoch", ylabel="training loss")
    accuracy.set(xlabel="epoch", ylabel="accuracy %, on test or held-out images")
    for axes in (loss, accuracy):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        light_grid(axes)
    figure.suptitle(f"Training of {counted(len(drawn), 'run')}", fontsize="medium")
    legend_below(figure, loss, columns=2)
    save(figure, path, f"Loss and accuracy against epochs: {', '.join(drawn)}.")


def _accuracy(metrics: Mapping[str, Any]) -> float:
    return float(metrics["test_accuracy"] if "test_accuracy" in metrics else metrics["validation_accuracy"])
