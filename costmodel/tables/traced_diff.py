"""Two traced networks compared layer by layer: modules with the same path are placed side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from costmodel.report import PARAMS_COLUMN, Column, Table, change, counted
from costmodel.tables.counting import PREFIXES
from costmodel.tables.traced import groups, row
from costmodel.tables.traced_total import TracedTotal
from costmodel.tracing.calls import Trace

SUM = "sum"
KEYS = ("params", "work")


def traced_diff_table(a: Trace, b: Trace, total: TracedTotal, *, unchanged: bool = False) -> Table:
    """Return one row per layer whose parameters, work or output differ, and the sum.

    A layer that only one network has leaves the other's cells empty. With `unchanged`, all layers are shown.
    """
    before, after = _layers(a, total), _layers(b, total)
    names = list(dict.fromkeys([*before, *after]))
    rows = [_row(name, before.get(name), after.get(name)) for name in names]
    changed = [found for found in rows if found["what"]]
    whole = _row(SUM, _sum(before), _sum(after)) | {"what": counted(len(changed), "layer")}
    shown = rows if unchanged else changed
    return Table("diff", "A → B, layer by layer", _columns(total), shown, whole)


def _layers(trace: Trace, total: TracedTotal) -> dict[str, dict[str, Any]]:
    """The layers with parameters or work, by path."""
    found = {group.name: row(group, total, 1) for group in groups(trace)}
    return {made["name"]: made for made in found.values() if made["params"] or made["work"]}


def _sum(layers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {key: sum(layer[key] for layer in layers.values()) for key in KEYS} | {"output": "", "what": ""}


def _row(name: str, a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> dict[str, Any]:
    found: dict[str, Any] = {"layer": name, "what": _what(a, b)}
    for key in KEYS:
        old, new = (0 if side is None else side[key] for side in (a, b))
        found |= {f"{key}_a": a and old, f"{key}_b": b and new}
        found |= {f"{key}_difference": new - old, f"{key}_change": change(new, old)}
    return found


def _what(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> str:
    if a is None or b is None:
        return "only in B" if a is None else "only in A"
    if a["what"] != b["what"]:
        return f"{a['what']} → {b['what']}"
    if a["output"] != b["output"]:
        return f"{a['output']} → {b['output']}"
    return "resized" if any(a[key] != b[key] for key in KEYS) else ""


def _columns(total: TracedTotal) -> list[Column]:
    columns = [Column("layer", "layer")]
    for key, heading, scale in (
        ("params", PARAMS_COLUMN.heading, 1),
        ("work", total.heading, PREFIXES[total.prefix]),
    ):
        columns += [
            Column(f"{key}_a", f"{heading} A", "count", on_terminal=False, scale=scale),
            Column(f"{key}_b", f"{heading} B", "count", on_terminal=False, scale=scale),
            Column(f"{key}_difference", f"{heading} B-A", "count", scale=scale),
            Column(f"{key}_change", "change", "percent", on_terminal=key == "work"),
        ]
    return [*columns, Column("what", "what changed")]


def traced_totals_table(a: Trace, b: Trace, total: TracedTotal) -> Table:
    """Return one row per total of both networks."""
    rows = []
    for key, heading in (("params", "parameters"), ("work", total.unscaled.heading)):
        old, new = (trace.parameters.all if key == "params" else total.work(trace.calls) for trace in (a, b))
        rows.append({"quantity": heading, "a": old, "b": new, "change": change(int(new), int(old))})
    columns = [
        Column("quantity", "quantity"),
        Column("a", "A", "count"),
        Column("b", "B", "count"),
        Column("change", "change", "percent"),
    ]
    return Table("totals", "Totals", columns, rows)
