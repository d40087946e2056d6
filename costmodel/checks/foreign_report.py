"""The tables of the verification of any network: layers, totals, defects, disputes, uncovered operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from costmodel.checks.foreign import DISPUTED, EXCUSED, MODEL, OK, LayerRow, NetworkReport
from costmodel.checks.known_defects import GROUPS, IGNORED, NO_RULE
from costmodel.report import Column, Table, counted

TOTAL = "total"
# What torch's counter gets wrong in a training step.
IN_STEPS: Mapping[str, str] = {
    GROUPS: IGNORED,
    NO_RULE: "it has no rule for some of the operators of a step",
}
# Keys of the columns of counts, as in the verification of built-in networks.
KEYS: Mapping[str, str] = {"fvcore": "macs_fvcore", "torch": "macs_flop_counter"}


def tables(report: NetworkReport, *, short: bool) -> list[Table]:
    """Return all tables that have rows; with `short`, = stands for a count that equals the formula."""
    found = [
        layer_table(report, short=short),
        totals_table(report),
        defects_table(report),
        disputes_table(report),
        uncovered_table(report),
        failures_table(report),
    ]
    return [table for table in found if table.rows or not short]


def layer_table(report: NetworkReport, *, short: bool) -> Table:
    """Return one row per module; with `short`, only those with MACs or contradicting counts."""
    counters = list(dict.fromkeys(name for row in report.rows for name in row.counts))
    shown = [row for row in report.rows if not short or _is_worth_showing(row)]
    rows = [_layer(row, counters, short=short) for row in shown]
    columns = [
        Column("name", "layer"),
        Column("macs", "MACs", "count"),
        *(Column(KEYS[name], name, "count") for name in counters),
        Column("params", "params", "count"),
        *([] if short else [Column("params_counted", "counted", "count")]),
        Column("verdict", "check"),
    ]
    return Table("layers", "Formulas beside counts", columns, rows)


def _is_worth_showing(row: LayerRow) -> bool:
    return bool(row.macs) or row.verdict != OK


def _layer(row: LayerRow, counters: Sequence[str], *, short: bool) -> dict[str, Any]:
    counts = {KEYS[name]: row.counts.get(name) for name in counters}
    if short:
        counts = {key: "=" if count == row.macs else count for key, count in counts.items()}  # type: ignore[misc]
    differ = row.params_counted not in (None, row.params)
    params: Any = f"{row.params:,} but {row.params_counted:,}" if short and differ else row.params
    return {
        "name": row.name,
        "macs": row.macs,
        **counts,
        "params": params,
        "params_counted": row.params_counted,
        "verdict": row.verdict,
    }


def totals_table(report: NetworkReport) -> Table:
    """Return one row per counter and quantity of the whole network."""
    rows = [
        {
            "quantity": row.quantity,
            "formula": row.formula,
            "counter": row.counter,
            "count": row.count,
            "verdict": f"{EXCUSED}: {row.defect}" if row.verdict == EXCUSED else row.verdict,
        }
        for row in report.totals
    ]
    columns = [
        Column("quantity", "quantity"),
        Column("formula", "formula", "count"),
        Column("counter", "counter"),
        Column("count", "count", "count"),
        Column("verdict", "verdict"),
    ]
    return Table("totals", "Totals", columns, rows)


def defects_table(report: NetworkReport) -> Table:
    """Return one row per kind of known defect: counter, version, evidence, and where it occurs."""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for row in report.rows:
        for defect in row.defects.values():
            key = defect.counter, defect.version, defect.name, defect.evidence
            groups.setdefault(key, []).append(row.name)
    rows = [
        {
            "counter": f"{counter} {_short(version)}",
            "quantity": "MACs",
            "defect": name,
            "reason": evidence,
            "layers": len(names),
            "name": names[0],
        }
        for (counter, version, name, evidence), names in groups.items()
    ]
    in_steps = [t for t in report.totals if t.verdict == EXCUSED and t.quantity == "training MACs"]
    rows += [
        {
            "counter": total.counter,
            "quantity": total.quantity,
            "defect": total.defect,
            "reason": "; ".join(IN_STEPS[defect] for defect in total.defect.split(", ")),
            "name": TOTAL,
        }
        for total in in_steps
    ]
    columns = [
        Column("counter", "counter"),
        Column("quantity", "quantity", on_terminal=False),
        Column("defect", "known defect"),
        Column("reason", "evidence"),
        Column("layers", "layers", "count"),
        Column("name", "first", on_terminal=False),
    ]
    return Table(
        "known_defects", "Known defects of the counters, which predict exactly these counts", columns, rows
    )


def _short(version: str) -> str:
    """Return a version without its build and date."""
    return version.partition("+")[0].partition(".post")[0]


def disputes_table(report: NetworkReport) -> Table:
    """Return one row per layer on which the counters contradict each other."""
    rows: list[Mapping[str, Any]] = [
        {
            "name": row.name,
            "agrees": ", ".join(row.agreeing),
            "counter": name,
            "formula": row.macs,
            "count": row.counts[name],
        }
        for row in report.rows
        if row.verdict == DISPUTED
        for name in row.contradicting
    ]
    columns = [
        Column("name", "layer"),
        Column("formula", "formula", "count"),
        Column("agrees", "confirmed by"),
        Column("counter", "contradicted by"),
        Column("count", "count", "count"),
    ]
    return Table("disputes", "Counters that contradict each other", columns, rows)


def uncovered_table(report: NetworkReport) -> Table:
    """Return one row per operator of a module that no formula covers."""
    found: dict[tuple[str, str, str], int] = {}
    for call in report.uncovered:
        key = call.module or MODEL, call.operator, call.reason
        found[key] = found.get(key, 0) + 1
    rows = [
        {"name": name, "what": f"{operator}, {counted(calls, 'call')}", "reason": reason}
        for (name, operator, reason), calls in found.items()
    ]
    columns = [Column("name", "module"), Column("what", "what"), Column("reason", "not covered because")]
    return Table("uncovered", "Not covered, and not counted as agreed", columns, rows)


def failures_table(report: NetworkReport) -> Table:
    """Return one row per counter that gave no result."""
    rows = [{"counter": name, "reason": reason} for name, reason in report.failures.items()]
    columns = [Column("counter", "counter"), Column("reason", "reason")]
    return Table("failures", "Counters that gave no result", columns, rows)


def summary(report: NetworkReport) -> str:
    """Return the verdict as one sentence."""
    macs = _of(report.share_of_macs, any(row.macs for row in report.rows), "MACs")
    params = _of(report.share_of_parameters, any(row.params for row in report.rows), "parameters")
    return (
        f"{report.verdict}: {counted(report.numbers_compared, 'number')}, {macs}, {params}; "
        f"{counted(len(report.differences), 'difference')}."
    )


def _of(share: Fraction, exists: bool, what: str) -> str:
    return f"{float(100 * share):.4g} % of {what}" if exists else f"no {what}"
