"""Two networks compared layer by layer: what changed, and by how much."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from costmodel.grids.quantities import named_quantity
from costmodel.networks.network import layers
from costmodel.networks.resnet import ResNetDesign
from costmodel.operators.octave import PATHS
from costmodel.operators.recorder import Operator
from costmodel.report import Column, Table, change, counted
from costmodel.tables.counting import work_heading
from costmodel.tables.measured import DEFAULT, Measured

SUM = "sum"
# What can happen to a path, and its mark in a narrow table.
VERBS: Mapping[str, str] = {
    "added": "+",
    "gone": "-",
    "compressed": "*",
    "uncompressed": "/",
    "resized": "~",
}
LEGEND = ", ".join(f"{mark} {verb}" for verb, mark in VERBS.items())


def diff_table(
    a: ResNetDesign,
    b: ResNetDesign,
    measured: Measured = DEFAULT,
    *,
    unchanged: bool = False,
) -> Table:
    """Return one row per layer whose counts or convolutions differ between two networks, and the sum.

    A layer that only one network has leaves the other's cells empty. With `unchanged`, all layers are shown.

    >>> from costmodel.networks.resnet import resnet
    >>> rows = diff_table(resnet(20), resnet(20, alpha="1/4")).rows
    >>> rows[0]["layer"], rows[0]["what"], rows[0]["macs_change"]
    ('stages.0.0.conv1', 'added HL; resized HH', Fraction(-3, 16))
    """
    all_a, all_b = a.operators(), b.operators()
    before, after = dict(layers(all_a)), dict(layers(all_b))
    rows = [_row(layer, before.get(layer), after.get(layer), measured) for layer in _order(before, after)]
    changed = [row for row in rows if row["what"]]
    # The row of the sum says how many layers changed, not which paths.
    total = _row(SUM, all_a, all_b, measured) | {"what": counted(len(changed), "layer")}
    return Table("diff", "A → B, layer by layer", _columns(measured), rows if unchanged else changed, total)


def _order(before: Iterable[str], after: Iterable[str]) -> list[str]:
    """All layers in the order in which they run: stages and blocks by number, the head last."""
    merged = list(dict.fromkeys([*before, *after]))
    position = {layer: i for i, layer in enumerate(merged)}
    return sorted(merged, key=lambda layer: (_place(layer), position[layer]))


def _place(layer: str) -> tuple[int, int, int]:
    parts = layer.split(".")
    if parts[0] == "stages":
        return 1, int(parts[1]), int(parts[2])
    return (0 if parts[0].startswith("stem") else 2), 0, 0


def totals_table(table: Table, measured: Measured) -> Table:
    """Return one row per quantity of a table of differences, with the totals of both networks."""
    total = table.total
    assert total is not None
    rows = [
        {
            "quantity": name,
            "heading": work_heading(measured.totals.work, measured.totals.unit)
            if name == measured.totals.key
            else named_quantity(name).heading,
            **{key: total[f"{name}_{key}"] for key in ("a", "b", "difference", "change")},
        }
        for name in measured.names
    ]
    columns = [
        Column("quantity", "quantity", on_terminal=False),
        Column("heading", "total"),
        Column("a", "A", "count"),
        Column("b", "B", "count"),
        Column("difference", "B-A", "count"),
        Column("change", "change", "percent"),
    ]
    return Table("totals", "Both networks", columns, rows)


def _row(
    layer: str, a: list[Operator] | None, b: list[Operator] | None, measured: Measured
) -> dict[str, Any]:
    row: dict[str, Any] = {"layer": layer}
    old, new = (measured.of(ops or []) for ops in (a, b))
    for name in measured.names:
        row |= {f"{name}_a": None if a is None else old[name], f"{name}_b": None if b is None else new[name]}
        row |= {f"{name}_difference": new[name] - old[name], f"{name}_change": change(new[name], old[name])}
    return row | {"what": _what(a, b, old != new)}


def _what(a: list[Operator] | None, b: list[Operator] | None, counts_differ: bool) -> str:
    """Summarise what changed: paths added, removed, compressed, expanded or resized."""
    if a is None or b is None:
        return ("only in B" if a is None else "only in A") if counts_differ else ""
    paths: dict[str, list[str]] = {}
    before, after = _by_path(a), _by_path(b)
    for path in PATHS:
        paths.setdefault(_path_change(before.get(path, []), after.get(path, [])), []).append(path)
    texts = [f"{verb} {','.join(paths[verb])}" for verb in VERBS if verb in paths]
    return "; ".join(texts) or ("branches" if counts_differ else "")


def _by_path(operators: Iterable[Operator]) -> Mapping[str, list[Operator]]:
    """Group a layer's operators by path; the one path of a plain convolution is HH."""
    groups: dict[str, list[Operator]] = {}
    for operator in operators:
        path = operator.place.path or ("HH" if operator.has_weights else "")
        groups.setdefault(path, []).append(operator)
    return groups


def _path_change(a: list[Operator], b: list[Operator]) -> str:
    before, after = (sum(op.has_weights for op in ops) for ops in (a, b))
    if not before or not after:
        return "" if before == after else "gone" if before else "added"
    if before != after:
        return "compressed" if after > before else "uncompressed"
    return "" if [op.cost for op in a] == [op.cost for op in b] else "resized"


def narrow(table: Table) -> Table:
    """Return the table for 80 columns: only differences, short names, and marks for changed paths."""
    columns = [
        replace(column, heading=column.heading.removesuffix(" B-A"))
        for column in table.columns
        if not column.key.endswith(("_a", "_b"))
    ]
    rows = [
        {**row, "layer": row["layer"].removeprefix("stages."), "what": marked(row["what"])}
        for row in table.rows
    ]
    return replace(table, title="B - A, layer by layer", columns=columns, rows=rows)


def marked(what: str) -> str:
    """Return the changes of paths as marks.

    >>> marked("added HL,LH; resized HH"), marked("only in A")
    ('+HL,LH ~HH', 'only in A')
    """
    for verb, mark in VERBS.items():
        what = re.sub(rf"\b{verb} ", mark, what)
    return what.replace(";", "")


def _columns(measured: Measured) -> list[Column]:
    columns = [Column("layer", "layer")]
    for name in measured.names:
        columns += [
            measured.column(name, f"{name}_a", " A"),
            replace(measured.column(name, f"{name}_b"), heading="B"),
            measured.column(name, f"{name}_difference", " B-A"),
            Column(f"{name}_change", "change", "percent"),
        ]
    return [*columns, Column("what", "what changed")]
