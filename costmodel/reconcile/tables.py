"""What counters say of a network, and why, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from costmodel.reconcile.asking import Said
from costmodel.reconcile.bridge import DifferenceTerm, Prediction
from costmodel.reconcile.events import Seen
from costmodel.report import Column, Table

MODEL = "(model)"


def totals_table(predictions: Sequence[Prediction], said: Mapping[str, Said] | None = None) -> Table:
    """Return a row for each counter: what it says, what it calls it, and how far that is from ours."""
    rows = [
        {
            "counter": one.counter.name,
            "version": one.counter.version,
            "total": one.total,
            "unit": one.counter.calls_it,
            "ours": one.ours,
            "difference": one.difference,
            "actual": None if said is None or one.counter.name not in said else said[one.counter.name].total,
            "terms": explained(one),
        }
        for one in predictions
    ]
    columns = [
        Column("counter", "counter"),
        Column("version", "version", on_terminal=False),
        Column("total", "predicted" if said is not None else "total", "count"),
        *([Column("actual", "reported", "count")] if said is not None else []),
        Column("unit", "called"),
        Column("ours", "our MACs or FLOPs", "count", on_terminal=False),
        Column("difference", "difference", "count"),
        Column("terms", "differs from ours by", on_terminal=False),
    ]
    return Table("counters", "What each counter reports", columns, rows)


def explained(prediction: Prediction) -> str:
    """Return the terms of a difference as one text."""
    terms = [signed(term) for term in prediction.terms if term.amount]
    return "; ".join(terms) or "nothing"


def signed(term: DifferenceTerm) -> str:
    """Return a term with its sign, such as "+ 4,096 pooling, 1 per input"."""
    sign = "+" if term.amount > 0 else "-"
    amount = abs(term.amount)
    number = f"{int(amount):,}" if amount == int(amount) else f"{float(amount):,.2f}"
    return f"{sign} {number} {term.what}"


def terms_table(predictions: Sequence[Prediction]) -> Table:
    """Return a row for each term of each counter; those of one counter add up to its difference."""
    rows = [
        {"counter": one.counter.name, **_term_row(term)}
        for one in predictions
        for term in one.terms
        if term.amount
    ]
    columns = [Column("counter", "counter"), *_TERM_COLUMNS]
    return Table("terms", "How each total differs from our MACs (FLOPs: twice these)", columns, rows)


_TERM_COLUMNS = [
    Column("amount", "difference", "count"),
    Column("counted", "counted", "count", on_terminal=False),
    Column("events", "times", "count", on_terminal=False),
    Column("what", "what"),
]


def _term_row(term: DifferenceTerm) -> dict[str, Any]:
    return {
        "what": term.what,
        "amount": _number(term.amount),
        "counted": _number(term.counted),
        "events": term.events,
    }


def layers_table(predictions: Sequence[Prediction], observed: Seen) -> Table:
    """Return a row for each module and counter where what runs in it is counted unlike ours."""
    order = list(observed.modules)
    rows = [
        {"counter": one.counter.name, "name": path or MODEL, **_term_row(term)}
        for one in predictions
        for path in sorted(one.terms_by_module, key=order.index)
        for term in one.terms_by_module[path]
        if term.amount
    ]
    columns = [Column("counter", "counter"), Column("name", "module"), *_TERM_COLUMNS]
    return Table("layers", "By module", columns, rows)


def _number(value: Any) -> Any:
    return int(value) if value == int(value) else float(value)


def rules_table(predictions: Sequence[Prediction]) -> Table:
    """Return each counter's version, when its rules were measured, how it counts, and its defects."""
    rows = [
        {
            "counter": one.counter.name,
            "version": one.counter.version,
            "measured": str(one.counter.measured or "no: read from its source"),
            "notes": " ".join(one.counter.notes),
            "defects": "; ".join(one.counter.defects),
        }
        for one in predictions
    ]
    columns = [
        Column("counter", "counter"),
        Column("version", "version"),
        Column("measured", "measured"),
        Column("notes", "how it counts"),
        Column("defects", "what it does not see, or counts wrongly"),
    ]
    return Table("rules", "The rules", columns, rows)
