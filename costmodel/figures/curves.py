"""The curves of runs: training loss and accuracy against epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from costmodel.figures.saving import save


def draw_curves(histories: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Draw the training loss and the accuracy of each epoch, from the metrics of each run by its name."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    for name, history in histories.items():
        epochs = [line["epoch"] for line in history]
        loss.plot(epochs, [line["train_loss"] for line in history], label=name)
        accuracy.plot(epochs, [100 * _accuracy(line) for line in history], label=name)
    loss.set(xlabel="epoch", ylabel="training loss")
    accuracy.set(xlabel="epoch", ylabel="accuracy %, on test or held-out images")
    accuracy.legend(fontsize="small")
    save(figure, path)


def _accuracy(metrics: Mapping[str, Any]) -> float:
    return float(metrics["test_accuracy"] if "test_accuracy" in metrics else metrics["validation_accuracy"])
