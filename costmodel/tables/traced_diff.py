"""Two traced networks compared layer by layer: modules with the same path are placed side by side.

A layer that the other network replaces by several, such as the paths of an octave convolution, is
placed beside their sum.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import accumulate
from typing import Any

from costmodel.report import PARAMS_COLUMN, Column, Table, change, counted
from costmodel.tables.counting import PREFIXES
from costmodel.tables.traced import groups, row
from costmodel.tables.traced_total import TracedTotal
from costmodel.tracing.calls import Trace

SUM = "sum"
KEYS = ("params", "work")
MOST_NAMED = 4  # of more parts of a layer, only the number is shown

Layer = Mapping[str, Any]


def traced_diff_table(a: Trace, b: Trace, total: TracedTotal, *, unchanged: bool = False) -> Table:
    """Return one row per layer whose parameters, work or output differ, and the sum.

    A layer that only one network has leaves the other's cells empty. With `unchanged`, all layers are shown.
    """
    one, other = _layers(a, total), _layers(b, total)
    before, after = _gathered(one, other), _gathered(other, one)
    names = list(dict.fromkeys([*before, *after]))
    rows = [_row(name, before.get(name), after.get(name)) for name in names]
    changed = [found for found in rows if found["what"]]
    whole = _row(SUM, _sum(before), _sum(after)) | {"what": counted(len(changed), "layer")}
    shown = rows if unchanged else changed
    return Table("diff", "A → B, layer by layer", _columns(total), shown, whole)


def _layers(trace: Trace, total: TracedTotal) -> dict[str, Layer]:
    """The layers with parameters or work, by path."""
    found = {group.name: row(group, total, 1) for group in groups(trace)}
    return {made["name"]: made for made in found.values() if made["params"] or made["work"]}


def _gathered(layers: Mapping[str, Layer], other: Collection[str]) -> dict[str, Layer]:
    """Return the layers; those that are one layer in the other network are summed."""
    divided = {outer for name in other for outer in _around(name)}
    single = {name for name in other if name not in layers and name not in divided}
    parts: dict[str, dict[str, Layer]] = {}
    for name, layer in layers.items():
        place = next((outer for outer in _around(name) if outer in single), name)
        parts.setdefault(place, {})[name] = layer
    return {
        place: inside[place] if place in inside else _sum(inside) | {"what": _named(place, inside)}
        for place, inside in parts.items()
    }


def _around(path: str) -> list[str]:
    """Return the paths of all modules around one: a and a.b of a.b.c."""
    return [*accumulate(path.split("."), "{}.{}".format)][:-1]


def _named(place: str, inside: Iterable[str]) -> str:
    names = [name.removeprefix(f"{place}.") for name in inside]
    return ", ".join(names) if len(names) <= MOST_NAMED else counted(len(names), "layer")


def _sum(layers: Mapping[str, Layer]) -> dict[str, Any]:
    return {key: sum(layer[key] for layer in layers.values()) for key in KEYS} | {"output": "", "what": ""}


def _row(name: str, a: Layer | None, b: Layer | None) -> dict[str, Any]:
    found: dict[str, Any] = {"layer": name, "what": _what(a, b)}
    for key in KEYS:
        old, new = (0 if side is None else side[key] for side in (a, b))
        found |= {f"{key}_a": a and old, f"{key}_b": b and new}
        found |= {f"{key}_difference": new - old, f"{key}_change": change(new, old)}
    return found


def _what(a: Layer | None, b: Layer | None) -> str:
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
