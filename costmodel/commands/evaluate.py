"""`pwoct-cost evaluate`: the accuracy of a trained network on the test set, and its cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.commands.shared.datasets import open_dataset
from costmodel.commands.shared.own_training import config_cost
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format, FormatOption, show
from costmodel.commands.shared.terminal import at_work
from costmodel.commands.shared.training import DataOption, RunsOption, find_run, percent, reported
from costmodel.commands.shared.vocabulary import option
from costmodel.report import Column, Table

if TYPE_CHECKING:
    from torch import nn

    from pwoct.training.config import Config
    from pwoct.training.evaluation import Score

app = typer.Typer(add_completion=False)


@app.command()
def evaluate(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(help="A run's name in --runs or its beginning, or its folder.")],
    data: DataOption = None,
    weights: Annotated[Path | None, option("weights")] = None,
    runs: RunsOption = Path("runs"),
    plan: Annotated[str | None, option("evaluation-plan")] = None,
    format: FormatOption = Format.table,
) -> None:
    """Evaluate a run: accuracy, accuracy per class, confusion matrix, and cost compared with the formulas."""
    with reported():
        from pwoct.training.examine import examine

        folder = find_run(runs, run)
        config = folder.config()
        images = open_dataset(config.data, data)
        with at_work(f"evaluating {folder.name}"):
            model, score = examine(folder, images, weights, plan)
    payload = {
        "run": folder.name,
        "accuracy": percent(score.accuracy),
        "correct": score.correct,
        "images": score.images,
        "loss": score.loss,
        **Question.of(ctx).said(),
    }
    headline = (
        f"{folder.name}: {100 * score.accuracy:.2f} % of {score.images:,} test images"
        f" ({score.correct:,}), loss {score.loss:.4f}"
    )
    tables = [
        class_table(score, images.classes),
        confusion_table(score, images.classes),
        cost_table(model, config, *images.test.pixels.shape[1:]),
    ]
    show("evaluate", tables, format, payload, [headline, ""])


def class_table(score: Score, classes: tuple[str, ...]) -> Table:
    """Return one row per class: the number of its images, and the fraction classified correctly."""
    rows = [
        {"class": name, "images": int(score.confusion[k].sum()), "accuracy": percent(score.per_class[k])}
        for k, name in enumerate(classes)
    ]
    columns = [Column("class", "class"), Column("images", "images", "count")]
    return Table("classes", "By class", [*columns, Column("accuracy", "correct %", "ratio")], rows)


def confusion_table(score: Score, classes: tuple[str, ...]) -> Table:
    """Return the confusion matrix: one row per true class, one column per predicted class."""
    rows = [
        {"class": name, **{str(k): int(count) for k, count in enumerate(score.confusion[row])}}
        for row, name in enumerate(classes)
    ]
    columns = [
        Column("class", "true \\ predicted"),
        *(Column(str(k), str(k), "count") for k in range(len(classes))),
    ]
    numbered = [{**row, "class": f"{k} {row['class']}"} for k, row in enumerate(rows)]
    return Table("confusion", "Confusion matrix", columns, numbered)


def cost_table(model: nn.Module, config: Config, h: int, w: int, c: int) -> Table:
    """Return parameters and MACs, counted on the network and computed by the formulas."""
    import torch

    from costmodel.checks.measure import total_macs

    cost = config_cost(config, (h, w, c))
    counted = total_macs(model, [torch.zeros(1, c, h, w)])
    parameters = sum(parameter.numel() for parameter in model.parameters())
    rows = [
        {
            "what": "parameters",
            "network": parameters,
            "formula": cost.params,
            "agrees": parameters == cost.params,
        },
        {"what": "MACs per image", "network": counted, "formula": cost.macs, "agrees": counted == cost.macs},
    ]
    columns = [
        Column("what", "cost"),
        Column("network", "network", "count"),
        Column("formula", "formula", "count"),
        Column("agrees", "agree", "verdict"),
    ]
    return Table("cost", "Cost", columns, rows)
