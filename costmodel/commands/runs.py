"""`pwoct-cost runs`: a table of all runs, a figure of their curves; records of runs, and their check."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.commands.shared.errors import CHECKPOINT, check_folder, fail, say
from costmodel.commands.shared.plotting import check_plot
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format, FormatOption, show
from costmodel.commands.shared.training import (
    RunsOption,
    accuracy_columns,
    fail_at_contradictions,
    find_run,
    percent,
    reported,
)
from costmodel.commands.shared.vocabulary import option
from costmodel.figures.curves import draw_curves
from costmodel.report import Column, Table, counted

if TYPE_CHECKING:
    from pwoct.training.record import RunFolder

app = typer.Typer(add_completion=False)


@app.command()
def runs(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Runs to show; default: all of them.")] = None,
    runs: RunsOption = Path("runs"),
    plot: Annotated[str | None, option("curves")] = None,
    record: Annotated[Path | None, option("record")] = None,
    check: Annotated[Path | None, option("check-records")] = None,
    format: FormatOption = Format.table,
) -> None:
    """Show all runs: network, recipe, progress, and accuracy after the last epoch.

    Exit code 5 if a file of a run is damaged: that run is named, and the others are shown. Exit code 1 if a
    record contradicts itself or another one.
    """
    if check is not None:
        if names or plot is not None or record is not None:
            fail("--check takes no runs, no --plot and no --record")
        _check(check, format, Question.of(ctx))
        return
    with reported():
        check_plot(plot)
        if not names and runs != Path("runs"):
            check_folder(runs, "--runs")
        chosen = [find_run(runs, name) for name in names] if names else all_runs(runs)
        rows, damages = read_rows(chosen)
        if plot is not None:
            draw_curves({run.name: run.history() for run, _ in rows}, Path(plot))
            say(f"pwoct-cost: wrote {plot}")
        if record is not None:
            write_records([run for run, _ in rows], record, all_of_them=not names)
    none = f"No run in {runs}: `pwoct-cost train` makes one, and --runs names another folder."
    said = Question.of(ctx).said()
    show("runs", [runs_table([row for _, row in rows])], format, said, notes=[] if chosen else [none])
    if damages:
        fail(f"{len(damages)} of {counted(len(chosen), 'run')} not shown: {'; '.join(damages)}", CHECKPOINT)


def all_runs(folder: Path) -> list[RunFolder]:
    """Return the runs in a folder by name."""
    from pwoct.training.record import RunFolder

    return [RunFolder(path.parent) for path in sorted(folder.glob("*/config.json"))]


def read_rows(runs: Sequence[RunFolder]) -> tuple[list[tuple[RunFolder, dict[str, Any]]], list[str]]:
    """Return the readable runs with their rows, and the faults of the others."""
    from pwoct.training.record import DamagedError

    rows, damages = [], []
    for run in runs:
        try:
            rows.append((run, _row(run)))
        except DamagedError as error:
            damages.append(str(error))
    return rows, damages


def write_records(runs: Sequence[RunFolder], folder: Path, *, all_of_them: bool) -> None:
    """Record finished runs in a folder; unfinished ones are skipped, unless they were named.

    A run that can't be recorded does not keep the others from being recorded.

    Raises:
        RunError: if a named run is not finished, or a run contradicts itself or its record.
    """
    from pwoct.training import kept
    from pwoct.training.record import RunError

    faults: list[RunError] = []
    for run in runs:
        if all_of_them and run.result() is None:
            say(f"pwoct-cost: {run.name} is not finished: not recorded")
            continue
        try:
            say(f"pwoct-cost: wrote {kept.write(kept.keep(run), folder)}")
        except RunError as error:
            faults.append(error)
    if faults:
        raise type(faults[0])("; ".join(map(str, faults)))


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


def records_table(records: dict[Path, Any], faults: dict[Path, list[str]]) -> Table:
    """Return one row per record: its headline, and whether it follows from the rest of the record."""
    rows = [
        {
            "name": path.stem,
            **({} if faults[path] else _headline(record)),
            "holds": not faults[path],
        }
        for path, record in records.items()
    ]
    columns = [
        Column("name", "record"),
        Column("correct", "correct", "count"),
        Column("images", "images", "count"),
        *accuracy_columns(),
        Column("holds", "holds", "verdict"),
    ]
    return Table("records", "Records", columns, rows)


def _check(folder: Path, format: Format, question: Question) -> None:
    """Show the records in a folder, each recomputed; exit code 1 if one contradicts itself or another."""
    with reported():
        from pwoct.training import kept

        records = kept.read_folder(folder)
    table = records_table(records.content, records.faults)
    show("runs", [table], format, question.idle(["runs"]).said())
    fail_at_contradictions(records)


def _headline(record: dict[str, Any]) -> dict[str, Any]:
    """The headline, recomputed from the counts of images."""
    return {
        "correct": record["correct"],
        "images": record["images"],
        "epoch": record["epoch"],
        "accuracy": 100 * record["correct"] / record["images"],
        "minutes": record["minutes"],
    }


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
