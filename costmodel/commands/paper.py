"""`pwoct-cost paper`: the paper's tables and claims, cell by cell, compared with computed values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.commands.shared.errors import CHECK_FAILED, bad_input, check_folder, require, say, writing
from costmodel.commands.shared.plotting import check_plot
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format, FormatOption, show
from costmodel.commands.shared.terminal import at_work
from costmodel.commands.shared.training import RunsOption, fail_at_contradictions, reported
from costmodel.commands.shared.vocabulary import option
from costmodel.paper.printed import Paper, read_paper
from costmodel.report import Table

if TYPE_CHECKING:
    from costmodel.paper.cells import Cell, Count
    from costmodel.paper.records import Record

app = typer.Typer(add_completion=False)


@app.command()
def paper(
    ctx: typer.Context,
    table: Annotated[int | None, option("table", min=1, max=4)] = None,
    readings: Annotated[bool, option("readings")] = False,
    verify: Annotated[bool, option("instantiated")] = False,
    choices: Annotated[bool, option("choices")] = False,
    figure: Annotated[str | None, option("choices-plot")] = None,
    document: Annotated[Path | None, option("document")] = None,
    accuracies: Annotated[Path | None, option("accuracies")] = None,
    runs: RunsOption = Path("runs"),
    records: Annotated[Path, option("records")] = Path("docs/records"),
    format: FormatOption = Format.table,
) -> None:
    """Compare every count that the PwiseOct paper prints with the formulas and the instantiated network.

    The paper is that of Inoue and Gotoh.

    Exit code 1 if a printed count does not follow from the reading, or an instantiated network differs.
    """
    question = Question.of(ctx)
    typed = question.typed
    with bad_input():
        _check_one(
            readings=readings,
            verify=verify,
            choices=choices,
            figure=figure,
            document=document,
            accuracies=accuracies,
        )
        if readings or choices or figure or document or accuracies:
            question = question.without("shows printed counts alone", ("table",)).idle(("runs", "records"))
        if table is not None:
            question = question.without("cannot be used with --table", ("verify", "runs", "records"))
        check_plot(figure)
        _check_page("document", document)
        _check_page("accuracies", accuracies)
        _check_folders(typed, records=records, runs=runs)
    printed = read_paper()
    if document is not None:
        _write_document(printed, document, records)
    elif accuracies is not None:
        _write_accuracies(printed, accuracies, records)
    elif figure is not None:
        _draw(Path(figure))
    elif readings:
        show("paper", _reading_tables(printed), format, {"searched": True, **question.said()})
    elif choices:
        show("paper", _choice_tables(printed), format, question.said())
    elif table is not None:
        _one_table(printed, table, format, question)
    else:
        missing = [name for name, folder in (("runs", runs), ("records", records)) if not folder.is_dir()]
        _compare(printed, [records, runs], verify, format, question.idle(missing))


def _check_one(**options: object) -> None:
    asked = [f"--{name}" for name, value in options.items() if value]
    if len(asked) > 1:
        raise ValueError(
            f"only one of {', '.join(f'--{name}' for name in options)} at a time, got {', '.join(asked)}"
        )


def _one_table(printed: Paper, number: int, format: Format, question: Question) -> None:
    """Show the printed counts of one table, with a verdict in the first line."""
    from costmodel.paper import cells

    found = [cell for cell in cells.cells(printed) if cell.row.table == number]
    verdict = cells.verdict(found, f"Table {number}")
    quantities = [name for name in cells.QUANTITIES if any(cell.quantity == name for cell in found)]
    payload = {"table": number, **_counts(found), "verdict": verdict, **question.said()}
    show("paper", [cells.cell_table(found, name) for name in quantities], format, payload, [verdict, ""])
    if payload["matched"] < len(found):
        raise typer.Exit(CHECK_FAILED)


def _check_folders(typed: Collection[str], **folders: Path) -> None:
    """Raise ValueError if a given folder does not exist, before anything is computed."""
    for name, folder in folders.items():
        if name in typed:
            check_folder(folder, f"--{name}")


def _check_page(option: str, page: Path | None) -> None:
    """Raise ValueError if a page cannot be written, before anything is computed."""
    if page is not None:
        if page.name in ("", "-") or page.is_dir():
            raise ValueError(f"--{option} must be a file such as paper.md, got {page}")
        check_folder(page.parent, f"the place of --{option}")


def _counts(found: list[Cell]) -> dict[str, Any]:
    from costmodel.paper.cells import described

    matched = sum(cell.matches for cell in found)
    return {"matched": matched, "of": len(found), "cells": list(map(described, found))}


def _compare(printed: Paper, folders: list[Path], verify: bool, format: Format, question: Question) -> None:
    from costmodel.paper import cells, verdicts
    from costmodel.paper.axes import reading_table
    from costmodel.paper.records import accuracy_table
    from costmodel.paper.slips import slip_table

    with at_work("counting the paper's networks"):
        found, known = cells.cells(printed), _records(folders)
        networks, layers = _instantiated(printed) if verify else ({}, {})
    claims = verdicts.claim_table(verdicts.evidence(printed, found, layers))
    counted = [cells.counted_table(printed, networks), cells.layer_table(layers)] if verify else []
    tables = [
        reading_table(),
        *(cells.cell_table(found, quantity) for quantity in cells.QUANTITIES),
        *counted,
        claims,
        slip_table(printed),
        accuracy_table(printed, known),
    ]
    verdict = cells.verdict(found, "Tables 1 to 4")
    payload = {**_counts(found), "verdict": verdict, "verdicts": verdicts.described(claims)}
    show("paper", tables, format, payload | question.said(), [verdict, ""])
    if payload["matched"] < len(found) or not all(row["equal"] for table in counted for row in table.rows):
        raise typer.Exit(CHECK_FAILED)


def _records(folders: list[Path]) -> list[Record]:
    from costmodel.paper.records import read_records

    with bad_input():
        return read_records(folders)


def _kept(folder: Path) -> list[Record]:
    """Return kept records, each recomputed as `runs --check` does; exit code 1 if one contradicts itself."""
    from costmodel.paper.records import is_resnet, record

    with reported():
        from pwoct.training import kept

        records = kept.read_folder(folder)
    fail_at_contradictions(records)
    return [record(content) for content in records.content.values() if is_resnet(content)]


@at_work("searching the readings of the paper")
def _reading_tables(printed: Paper) -> list[Table]:
    from costmodel.paper import reading_tables as tables
    from costmodel.paper.axes import reading_table

    found = tables.find(printed)
    return [
        tables.best_table(found),
        tables.ranking_table(found),
        tables.kernel_table(found),
        tables.tie_table(found),
        tables.axis_table(found),
        reading_table(),
    ]


@at_work("costing what a user can choose")
def _choice_tables(printed: Paper) -> list[Table]:
    from costmodel.paper import choices as user

    found = user.choices()
    return [
        user.front_table(found),
        user.edge_table(found),
        user.budget_table(printed, found),
        user.same_alpha_table(printed, found),
        user.idle_table(found),
    ]


def _draw(path: Path, found: Any = None) -> None:
    from costmodel.paper import choices as user
    from costmodel.paper.figure import draw_choices

    with bad_input(), writing(path):
        draw_choices(found or user.choices(), user.plain_points(), user.paper_points(read_paper()), path)
    say(f"wrote {path}")


@at_work("writing the report")
def _write_document(printed: Paper, path: Path, records: Path) -> None:
    """Write the page, and its figure beside it; measured accuracies come only from kept records."""
    require("matplotlib", "plot")
    from costmodel.checks.instantiated import layer_counts
    from costmodel.paper.choices import choices
    from costmodel.paper.document import FIGURE, document
    from costmodel.paper.reading_tables import find

    kept, found = _kept(records), choices()
    text = document(printed, find(printed), found, kept, layer_counts())
    with bad_input(), writing(path):
        (path.parent / FIGURE).parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    say(f"wrote {path}")
    _draw(path.parent / FIGURE, found)


@at_work("writing the accuracies")
def _write_accuracies(printed: Paper, path: Path, records: Path) -> None:
    """Write the page of measured accuracies, and its figure beside it, from kept records."""
    require("matplotlib", "plot")
    from costmodel.paper.accuracies import FIGURE, accuracy_page
    from costmodel.paper.accuracy_figure import draw_accuracies
    from costmodel.paper.study_results import StudyResults

    kept = _kept(records)
    figure = path.parent / FIGURE
    with bad_input(), writing(path):
        figure.parent.mkdir(parents=True, exist_ok=True)
        draw_accuracies(StudyResults(printed, kept), printed, figure)
        path.write_text(accuracy_page(printed, kept), encoding="utf-8")
    say(f"wrote {path} and {figure}")


def _instantiated(printed: Paper) -> tuple[Mapping[str, Count], Mapping[str, Count]]:
    """Count the network of each row, and the layers of section 5.3."""
    from costmodel.checks.instantiated import layer_counts, network_count

    networks = {}
    for row in printed.rows:
        say(f"counting {row.label}")
        networks[row.key] = network_count(row)
    return networks, layer_counts()
