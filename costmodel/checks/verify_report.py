"""The tables of a verification: layers, totals, differences, excused counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from costmodel.checks.comparison import COUNTED_BY, NAMES, Report, Row
from costmodel.report import Column, Table

AGREES, EXCUSED, DIFFERS = "ok", "known defect", "differs"

# Keys and headings of the columns beside a formula's value.
COUNT_KEYS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("macs", "fvcore"): ("macs_fvcore", "fvcore"),
    ("macs", "FlopCounterMode"): ("macs_flop_counter", "torch"),
    ("params", "parameters()"): ("params_counted", "counted"),
    ("activations", "hooks"): ("activations_hooks", "hooks"),
    ("macs_training", "FlopCounterMode"): ("macs_training_flop_counter", "torch"),
    ("saved_bytes", "saved_tensors_hooks"): ("saved_bytes_hooks", "hooks"),
}
FORMULA_HEADINGS: Mapping[str, str] = {
    "macs": "MACs",
    "params": "params",
    "activations": "activations",
    "macs_training": "training MACs",
    "saved_bytes": "bytes saved",
}
FORWARD, TRAINING = ("macs", "params", "activations"), ("macs_training", "saved_bytes")
WITH_ONE_COUNT = (
    "params",
    "activations",
    "saved_bytes",
)  # on a terminal, these share a cell with the formula's value


def layer_of(name: str) -> str:
    """Return the layer that a module of a network belongs to, without path and bottleneck part.

    >>> layer_of("stages.0.1.conv2.hl.reduce"), layer_of("stem")
    ('stages.0.1.conv2', 'stem')
    """
    return ".".join(name.split(".")[:4])


def verdict(rows: Iterable[Row]) -> str:
    """Return the worst verdict of the rows."""
    rows = list(rows)
    if not all(row.agrees for row in rows):
        return DIFFERS
    return EXCUSED if any(check.excuses for row in rows for check in row.checks) else AGREES


def full_table(report: Report, name_of: Callable[[str], str] = str) -> Table:
    """Return one row per layer with every number."""
    rows, total = grouped(report.rows, name_of), _summed("total", [report.total])
    columns = [Column("name", "layer"), *_columns((*FORWARD, *TRAINING)), Column("verdict", "verdict")]
    return Table("layers", f"{report.model}: formulas beside counts", columns, rows, total)


def short_tables(report: Report, name_of: Callable[[str], str] = str) -> list[Table]:
    """Return two narrow tables for a terminal: = stands for a count that equals the formula's value."""
    rows = [_shortened(row) for row in grouped(report.rows, name_of)]
    forward = [row for row in rows if any(row[quantity] for quantity in FORWARD) or row["verdict"] != AGREES]
    tables: list[tuple[str, Sequence[str], list[dict[str, Any]]]] = [("forward", FORWARD, forward)]
    if any(check.quantity == "saved_bytes" for row in report.rows for check in row.checks):
        tables.append(("training", TRAINING, rows))
    return [
        Table(
            name,
            f"{report.model}, {name}: formulas beside counts",
            [Column("name", "layer"), *_short_columns(quantities), Column("verdict", "check")],
            selected,
        )
        for name, quantities, selected in tables
    ]


def total_table(report: Report) -> Table:
    """Return one row per counter: its total beside the formula's."""
    rows = [
        {
            "quantity": NAMES[check.quantity],
            "formula": check.formula,
            "counter": f"{counter} / 2" if counter == "FlopCounterMode" else counter,
            "count": count,
            "verdict": _count_verdict(check.differing, check.excuses, counter),
        }
        for check in report.total.checks
        for counter, count in check.counts.items()
    ]
    columns = [
        Column("quantity", "quantity"),
        Column("formula", "formula", "count"),
        Column("counter", "counter"),
        Column("count", "count", "count"),
        Column("verdict", "verdict"),
    ]
    return Table("totals", f"{report.model}: totals", columns, rows)


def excuse_table(report: Report, reasons: Mapping[str, str]) -> Table:
    """Return one row per count that is wrong because of a known defect of its counter."""
    rows = [
        {"name": name, "quantity": NAMES[quantity], "defect": defect, "reason": reasons[defect]}
        for name, quantity, defect in report.excuses
    ]
    columns = [
        Column("name", "module"),
        Column("quantity", "quantity"),
        Column("defect", "known defect"),
        Column("reason", "reason"),
    ]
    return Table("known_defects", "Known defects of the counters", columns, rows)


def grouped(rows: Sequence[Row], name_of: Callable[[str], str]) -> list[dict[str, Any]]:
    """Return the rows of modules summed by layer, in order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(name_of(row.name), []).append(row)
    return [_summed(name, group) for name, group in groups.items()]


def _summed(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    summed: dict[str, Any] = {"name": name, "verdict": verdict(rows)}
    for row in rows:
        for check in row.checks:
            summed[check.quantity] = summed.get(check.quantity, 0) + check.formula
            for counter, count in check.counts.items():
                key, _ = COUNT_KEYS[check.quantity, counter]
                summed[key] = summed.get(key, 0) + count
    return summed


def _shortened(row: Mapping[str, Any]) -> dict[str, Any]:
    short = dict(row)
    for (quantity, _), (key, _) in COUNT_KEYS.items():
        if key in row and row[key] == row[quantity]:
            short[key] = "="
        elif key in row and quantity in WITH_ONE_COUNT:
            short[quantity] = f"{row[quantity]:,} but {row[key]:,}"
    return short


def _short_columns(quantities: Sequence[str]) -> list[Column]:
    with_one = (q for q in WITH_ONE_COUNT if q in quantities)
    merged = {COUNT_KEYS[quantity, counter][0] for quantity in with_one for counter in COUNTED_BY[quantity]}
    return [column for column in _columns(quantities) if column.key not in merged]


def _columns(quantities: Sequence[str]) -> list[Column]:
    columns = []
    for quantity in quantities:
        columns.append(Column(quantity, FORMULA_HEADINGS[quantity], "count"))
        counted = (COUNT_KEYS[quantity, counter] for counter in COUNTED_BY[quantity])
        columns.extend(Column(key, heading, "count") for key, heading in counted)
    return columns


def _count_verdict(differing: Sequence[str], excuses: Mapping[str, str], counter: str) -> str:
    return DIFFERS if counter in differing else EXCUSED if counter in excuses else AGREES
