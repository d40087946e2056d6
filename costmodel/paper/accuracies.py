"""The page of measured accuracies: `accuracies.md`, its tables and sentences made from records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from string import Template
from typing import Any

from costmodel.paper.printed import Paper
from costmodel.paper.protocol import Hypothesis, hypotheses
from costmodel.paper.records import Record
from costmodel.paper.sensitivity import differences, other_verdicts, sensitivity_table
from costmodel.paper.student import LEVEL, mean_interval, pooled, quantile
from costmodel.paper.study_choice import choice_table, loss_table
from costmodel.paper.study_results import DEPTH, EPOCHS, StudyResults, Trained, done_and_wanted
from costmodel.paper.worth import answer, costs
from costmodel.report import Column, Table, counted, to_markdown

FIGURE = "figures/accuracies.svg"
OURS = "5"  # the statements that the paper does not make


def accuracy_page(paper: Paper, records: Sequence[Record]) -> str:
    """Return the page in Markdown.

    Raises ValueError if two records are of one network with one seed.
    """
    measured = StudyResults(paper, records)
    template = (files("costmodel.paper") / "accuracies.md").read_text(encoding="utf-8")
    found = list(hypotheses(measured))
    values = {
        "progress": _progress(measured),
        "worth": _worth([one for one in found if one.number.startswith(OURS)], measured),
        "statements": _bullets([one for one in found if not one.number.startswith(OURS)], measured),
        "sensitivity": _sensitivity(measured),
        "networks": to_markdown([network_table(measured)]),
        "deviation": _deviation(measured),
        "selection": _selection(paper, measured),
        "deep": _deep(measured),
        "others": _others(measured),
        "epochs": str(EPOCHS),
        "depth": str(DEPTH),
    }
    return Template(template).substitute(values)


def network_table(measured: StudyResults) -> Table:
    """Return one row per network of parts a and b: its cost, and its accuracy as printed and as measured."""
    rows = [_network(one, measured) for one in (*measured.part_a.values(), *measured.part_b.values())]
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


def deep_table(measured: StudyResults) -> Table:
    """Return one row per network of part c: its accuracy as printed and as measured at the same depth."""
    rows = [
        {"network": one.name, "printed": one.printed, "mean": f"{one.mean:.2f}", "runs": len(one.values)}
        for one in measured.part_c.values()
        if one.values
    ]
    columns = [
        Column("network", "network"),
        Column("printed", "paper"),
        Column("mean", "measured"),
        Column("runs", "n", "count"),
    ]
    return Table("deep", "Test accuracy on CIFAR-10 at depth 56, %", columns, rows)


def _network(one: Trained, measured: StudyResults) -> Mapping[str, Any]:
    row: dict[str, Any] = {
        "network": one.name,
        "params": one.params,
        "macs": one.macs,
        "printed": one.printed,
        "runs": len(one.values),
    }
    if one.values:
        row["mean"] = f"{one.mean:.2f}"
        if measured.deviation:
            row["interval"] = f"± {mean_interval(one.values, *measured.deviation).half:.2f}"
    if own := pooled([one.values]):
        row["deviation"] = f"{own[0]:.2f}"
    return row


def _worth(chosen: Sequence[Hypothesis], measured: StudyResults) -> str:
    """Return the statements about cost, each with what its networks cost and, once judged, a sentence."""
    parts = []
    for one in chosen:
        said = f"  * In words: {answer(one, measured)}.\n" if one.is_judged(measured) else ""
        parts.append(f"{_verdict(one, measured)}\n{said}  * Costs: {costs(one)}.\n{_rules(one)}")
    return "\n".join(parts)


def _bullets(chosen: Sequence[Hypothesis], measured: StudyResults) -> str:
    return "\n".join(f"{_verdict(one, measured)}\n{_rules(one)}" for one in chosen)


def _verdict(one: Hypothesis, measured: StudyResults) -> str:
    return f"* **{one.number}. {one.text}: {one.verdict(measured)}.** Measured: {one.measured(measured)}."


def _rules(one: Hypothesis) -> str:
    return f"  * Holds if: {one.holds_if}.\n  * Refuted if: {one.refuted_if}."


def _progress(measured: StudyResults) -> str:
    a, b, c = (done_and_wanted(part.values()) for part in (measured.part_a, measured.part_b, measured.part_c))
    runs = f"Runs done: {a[0]} of {a[1]} of part a, {b[0]} of {b[1]} of part b, {c[0]} of {c[1]} of part c."
    if a[0] < a[1]:
        return f"**{runs} No statement is judged before part a is complete.**"
    return f"{runs} A statement is judged when the networks that it compares have all their seeds."


_BY_METHOD = {
    "pooled": "By intervals with the degrees of freedom of s",
    "paired": "By pairs",
    "chance": "By the p-values of statements 3 to 5, at 0.05",
}


def _sensitivity(measured: StudyResults) -> str:
    found = differences(measured)
    if not found:
        return "A table of such intervals will appear here once a statement is judged."
    lines = [
        f"* {_BY_METHOD[key]}: {', '.join(f'**{each}**' for each in changed) or 'no verdict changes'}."
        for key, changed in other_verdicts(found).items()
    ]
    adjusted = f"The p-values are adjusted for the {len(found)} differences of the table."
    return "\n\n".join((to_markdown([sensitivity_table(found)]), adjusted, "\n".join(lines)))


def _deviation(measured: StudyResults) -> str:
    if measured.deviation is None:
        return "No network has two seeds yet: the standard deviation between seeds is not known."
    s, freedom = measured.deviation
    error = s * (2 / 3) ** 0.5
    by_protocol, needed = quantile(4) * error, quantile(freedom) * error
    found = by_protocol + quantile(freedom, 0.6) * error  # two-sided 0.6 is 0.8 on one side
    plain = pooled([measured.part_a["1.1"].values])
    own = f" Of the plain network alone: {plain[0]:.2f}." if plain else ""
    return (
        f"The standard deviation between seeds, s, pooled over part a, is {s:.2f} points"
        f" ({freedom} degrees of freedom).{own} The protocol tells two means of three seeds each apart if"
        f" they differ by more than {by_protocol:.2f} points ({100 * LEVEL:.0f} % would need {needed:.2f}),"
        f" and a true difference of {found:.2f} points with a probability of about 80 %."
    )


def _selection(paper: Paper, measured: StudyResults) -> str:
    tables = [loss_table(paper, measured), choice_table(paper, measured)]
    text = to_markdown([table for table in tables if table.rows])
    return text or "Nothing yet: no octave network and none of its bottleneck networks were both trained."


def _deep(measured: StudyResults) -> str:
    table = deep_table(measured)
    if not table.rows:
        return "No network of depth 56 has been trained yet."
    return (
        f"{to_markdown([table])}\n\nOne or two seeds decide nothing: half a point more or less means little."
    )


def _others(measured: StudyResults) -> str:
    if not measured.others:
        return "Every record in the folder belongs to the study."
    count = "does not count" if measured.others == 1 else "do not count"
    return (
        f"{counted(measured.others, 'record')} of another network, recipe, precision or seed, or changed"
        f" within the run, in the same folder {count}."
    )
