"""The page of measured accuracies: `accuracies.md`, its tables and sentences made from records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from string import Template
from typing import Any

from costmodel.paper import selection
from costmodel.paper.printed import Paper
from costmodel.paper.protocol import DEPTH, EPOCHS, StudyResults, Trained, verdicts
from costmodel.paper.records import Record
from costmodel.paper.student import LEVEL, mean_interval, pooled, quantile
from costmodel.report import Column, Table, to_markdown

FIGURE = "figures/accuracies.svg"


def accuracy_page(paper: Paper, records: Sequence[Record]) -> str:
    """Return the page in Markdown."""
    measured = StudyResults(paper, records)
    template = (files("costmodel.paper") / "accuracies.md").read_text(encoding="utf-8")
    values = {
        "progress": _progress(measured),
        "statements": to_markdown([statement_table(measured)]),
        "networks": to_markdown([network_table(measured)]),
        "deviation": _deviation(measured),
        "selection": _selection(paper, records),
        "epochs": str(EPOCHS),
    }
    return Template(template).substitute(values)


def statement_table(measured: StudyResults) -> Table:
    """Return one row per statement of the protocol: what was measured, and the verdict."""
    rows = [
        {"number": one.number, "statement": one.statement, "measured": one.measured, "verdict": one.verdict}
        for one in verdicts(measured)
    ]
    columns = [
        Column("number", "no."),
        Column("statement", "statement"),
        Column("measured", "measured"),
        Column("verdict", "verdict"),
    ]
    return Table("statements", "What becomes of each statement", columns, rows)


def network_table(measured: StudyResults) -> Table:
    """Return one row per network of parts a and b: its cost, and its accuracy as printed and as measured."""
    rows = [_network(one) for one in (*measured.part_a.values(), *measured.part_b.values())]
    columns = [
        Column("network", "network"),
        Column("params", "parameters", "count"),
        Column("macs", "MACs", "count"),
        Column("printed", "paper, depth 56"),
        Column("mean", "measured"),
        Column("interval", "95 %"),
        Column("deviation", "sd"),
        Column("runs", "n", "count"),
    ]
    return Table("networks", "Test accuracy on CIFAR-10, %", columns, rows)


def _network(one: Trained) -> Mapping[str, Any]:
    row: dict[str, Any] = {
        "network": one.name,
        "params": one.params,
        "macs": one.macs,
        "printed": one.printed,
        "runs": len(one.values),
    }
    if one.values:
        row["mean"] = f"{sum(one.values) / len(one.values):.2f}"
    if own := pooled([one.values]):
        row |= {
            "deviation": f"{own[0]:.2f}",
            "interval": f"± {mean_interval(one.values, own[0]).half:.2f}",
        }
    return row


def _progress(measured: StudyResults) -> str:
    done, wanted = measured.runs
    if done == wanted:
        return f"All {wanted} runs of parts a and b are done."
    return f"**{done} of the {wanted} runs of parts a and b are done; until then, no statement is judged.**"


def _deviation(measured: StudyResults) -> str:
    if measured.deviation is None:
        return "No network has two seeds yet: nothing is known of the deviation between seeds."
    s, freedom = measured.deviation
    half = quantile(4) * s * (2 / 3) ** 0.5
    plain = pooled([measured.part_a["1.1"].values])
    own = f" Of the plain network alone: {plain[0]:.2f}." if plain else ""
    return (
        f"The standard deviation between seeds, pooled over part a, is {s:.2f} points"
        f" ({freedom} degrees of freedom).{own} Two means of three seeds each are told apart, at"
        f" {100 * LEVEL:.0f} %, if they differ by more than {half:.2f} points."
    )


def _selection(paper: Paper, records: Sequence[Record]) -> str:
    chosen = [network for table in (1, 2) for network in selection.networks(paper, table, DEPTH)]
    unique = list({network.label: network for network in chosen}.values())
    found = selection.losses(unique, records)
    tables = [selection.loss_table(found), selection.selection_table(selection.selections(found))]
    text = to_markdown([table for table in tables if table.rows])
    return text or "Nothing yet: no octave network and none of its bottleneck networks were both trained."
