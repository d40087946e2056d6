"""`pwoct-cost runs`: all runs in a table, or their curves in a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.commands.shared.errors import CHECKPOINT, fail, say
from costmodel.commands.shared.plotting import check_plot
from costmodel.commands.shared.showing import Format, FormatOption, show
from costmodel.commands.shared.training import RunsOption, accuracy_columns, find_run, percent, reported
from costmodel.figures.curves import draw_curves
from costmodel.report import Column, Table, counted

if TYPE_CHECKING:
    from pwoct.training.record import RunFolder

app = typer.Typer(add_completion=False)


@app.command()
def runs(
    names: Annotated[list[str] | None, typer.Argument(help="Runs to show; all of them by itself.")] = None,
    runs: RunsOption = Path("runs"),
    plot: Annotated[str | None, typer.Option(help="Draw the curves into this .svg, .png or .pdf.")] = None,
    format: FormatOption = Format.table,
) -> None:
    """Show all runs: which network, which recipe, how far, how accurate after the last epoch.

    Exit code 5 where a file of a run is damaged: that run is named, and the others are shown.
    """
    with reported():
        check_plot(plot)
        chosen = [find_run(runs, name) for name in names] if names else all_runs(runs)
        rows, damages = read_rows(chosen)
        if plot is not None:
            draw_curves({run.name: run.history() for run, _ in rows}, Path(plot))
            say(f"pwoct-cost: wrote {plot}")
    show("runs", [runs_table([row for _, row in rows])], format)
    if damages:
        fail(f"{len(damages)} of {counted(len(chosen), 'run')} not shown: {'; '.join(damages)}", CHECKPOINT)


def all_runs(folder: Path) -> list[RunFolder]:
    """Return the runs in a folder by name."""
    from pwoct.training.record import RunFolder

    return [RunFolder(path.parent) for path in sorted(folder.glob("*/config.json"))]


def read_rows(runs: Sequence[RunFolder]) -> tuple[list[tuple[RunFolder, dict[str, Any]]], list[str]]:
    """Return the runs that can be read, with their rows, and what is wrong with the others."""
    from pwoct.training.record import DamagedError

    rows, damages = [], []
    for run in runs:
        try:
            rows.append((run, _row(run)))
        except DamagedError as error:
            damages.append(str(error))
    return rows, damages


def runs_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return the table of all runs."""
    columns = [
        Column("name", "run"),
        Column("model", "model"),
        Column("seed", "seed", "count"),
        Column("status", "status"),
        *accuracy_columns(),
    ]
    return Table("runs", "Runs", columns, rows)


def _row(run: RunFolder) -> dict[str, Any]:
    config, result, history = run.config(), run.result(), run.history()
    last = history[-1] if history else None
    spent = sum(line["seconds"] + line["evaluation_seconds"] for line in history) / 60
    return {
        "name": run.name,
        "model": config.model.name,
        "seed": config.seed,
        "status": "finished" if result else f"{len(history)}/{config.epochs}",
        "epoch": result.epoch if result else len(history),
        "accuracy": percent(result.accuracy if result else (last or {}).get("test_accuracy")),
        "minutes": result.minutes if result else spent,
    }
