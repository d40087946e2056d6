"""The report as a page of the documentation: `document.md`, its tables and numbers computed."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from importlib.resources import files
from string import Template

from costmodel.paper import choices as user
from costmodel.paper import equation_tables, reading_tables
from costmodel.paper.axes import reading_table
from costmodel.paper.cells import Count, cell_table, cells
from costmodel.paper.counting import BUILT, PRINTED
from costmodel.paper.printed import BETA, Paper
from costmodel.paper.records import Record, accuracy_table
from costmodel.paper.slips import slip_table
from costmodel.paper.verdicts import claim_table, evidence
from costmodel.report import Table, to_markdown

FIGURE = "figures/paper-choices.svg"
EXAMPLE = "1.3"  # ResNet-56, alpha 1/4, bottlenecks on all paths


def document(
    paper: Paper,
    found: reading_tables.Findings,
    options: user.Choices,
    records: list[Record],
    layers: Mapping[str, Count],
) -> str:
    """Return the page in Markdown, given what was searched, the choices, kept records and counted layers."""
    template = (files("costmodel.paper") / "document.md").read_text(encoding="utf-8")
    values = {
        **_equations(),
        **_cells(paper, layers),
        **_search(found),
        **_choices(paper, options),
        "slips": _text(slip_table(paper)),
        "accuracy": _text(accuracy_table(paper, records)),
    }
    return Template(template).substitute(values)


def _text(table: Table) -> str:
    return to_markdown([table])


def _equations() -> Mapping[str, str]:
    return {
        "equations": _text(equation_tables.equation_table()),
        "savings": _text(equation_tables.saving_table()),
        "break_even": _text(equation_tables.alpha_table([BETA], 3)),
        "path_savings": _text(equation_tables.layer_saving_table(Fraction(1, 4))),
    }


def _cells(paper: Paper, layers: Mapping[str, Count]) -> Mapping[str, str]:
    found, example = cells(paper), paper.by_key[EXAMPLE]
    return {
        "cells": str(len(found)),
        "matched": str(sum(cell.matches for cell in found)),
        "reading": _text(reading_table()),
        "params": _text(cell_table(found, "params")),
        "macs": _text(cell_table(found, "macs")),
        "claims": _text(claim_table(evidence(paper, found, layers))),
        "example_printed": example.params,
        "example_reading": f"{PRINTED.count(example, 'params'):,}",
        "example_pointwise": f"{PRINTED.with_pointwise().count(example, 'params'):,}",
        "example_built": f"{BUILT.count(example, 'params'):,}",
    }


def _search(found: reading_tables.Findings) -> Mapping[str, str]:
    return {
        "params_readings": f"{found.params.size:,}",
        "macs_readings": f"{found.macs.size:,}",
        "params_cells": str(found.params.cells),
        "both_kernels": str(found.params.best_with(reduce=True, expand=True)),
        "same_way": str(found.together.same_way),
        "best": _text(reading_tables.best_table(found)),
        "ranking": _text(reading_tables.ranking_table(found)),
        "kernels": _text(reading_tables.kernel_table(found)),
        "ties": _text(reading_tables.tie_table(found)),
        "axes": _text(reading_tables.axis_table(found)),
    }


def _choices(paper: Paper, options: user.Choices) -> Mapping[str, str]:
    return {
        "figure": FIGURE,
        "grid": f"{len(options.all):,}",
        "betas": ", ".join(map(str, user.BETAS)),
        "front_points": str(len(options.front)),
        "front": _text(user.front_table(options)),
        "edge": _text(user.edge_table(options)),
        "equal_params": _text(user.budget_table(paper, options)),
        "same_alpha": _text(user.same_alpha_table(paper, options)),
        "idle": _text(user.idle_table(options)),
    }
