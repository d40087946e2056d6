"""A converted network beside its original, layer by layer, from the formulas of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from costmodel.operators.converted import ConvertedLayer
from costmodel.report import Column, Table, change
from costmodel.tracing.calls import Trace, is_inside

COLUMNS = (
    Column("layer", "layer"),
    Column("what", "high+low"),
    Column("paths", "compressed", on_terminal=False),
    Column("params_before", "params before", "count", on_terminal=False),
    Column("params", "params", "count"),
    Column("params_change", "change", "percent", on_terminal=False),
    Column("macs_before", "MACs before", "count", on_terminal=False),
    Column("macs", "MACs", "count"),
    Column("macs_change", "change", "percent"),
)


class CarriedWeights(Protocol):
    """The outcome of transferring a layer's trained weights."""

    @property
    def lost(self) -> Mapping[str, float]:
        """The fraction of each bottleneck path's squared norm that is lost."""

    @property
    def share(self) -> float:
        """The fraction of the whole layer's squared norm that is lost."""

    @property
    def whole(self) -> float:
        """The layer's squared norm."""

    @property
    def note(self) -> str:
        """A remark, or an empty text."""


def converted_table(original: Trace, layers: Sequence[ConvertedLayer]) -> Table:
    """Return one row per octave layer, one for everything else, and the sum."""
    rows = [_row(original, layer) for layer in layers]
    whole = {"params": original.parameters.all, "macs": int(original.total().macs)}
    rest = {key: value - sum(row[f"{key}_before"] for row in rows) for key, value in whole.items()}
    rows.append(_filled("everything else", "", rest, rest))
    now = {key: sum(row[key] for row in rows) for key in whole}
    total = _filled("sum", "", whole, now)
    return Table("convert", "Converted layers beside the original's", COLUMNS, rows, total)


def _row(original: Trace, layer: ConvertedLayer) -> dict[str, Any]:
    inside = [call for call in original.calls if is_inside(call.module, layer.name)]
    before = {
        "params": sum(info.parameters for info in original.modules if is_inside(info.path, layer.name)),
        "macs": int(sum(call.cost.macs for call in inside)),
    }
    cost = layer.cost()
    now = {"params": int(cost.params), "macs": int(cost.macs)}
    return _filled(layer.name, _shape(layer), before, now) | {"paths": ",".join(layer.widths)}


def _shape(layer: ConvertedLayer) -> str:
    return "→".join(f"{high}+{low}" for high, low in (layer.c_in, layer.c_out))


def _filled(name: str, what: str, before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {"layer": name, "what": what}
    for key in ("params", "macs"):
        found |= {f"{key}_before": before[key], key: now[key], f"{key}_change": change(now[key], before[key])}
    return found


def kept_table(kept: Sequence[tuple[str, str]]) -> Table:
    """Return the reasons why convolutions stay plain, with the layers of each."""
    reasons: dict[str, list[str]] = {}
    for name, reason in kept:
        reasons.setdefault(reason, []).append(name)
    rows = [
        {"reason": reason, "count": len(names), "first": names[0], "names": " ".join(names)}
        for reason, names in reasons.items()
    ]
    columns = (
        Column("reason", "why convolutions stay plain"),
        Column("count", "how many", "count"),
        Column("first", "first"),
        Column("names", "names", on_terminal=False),
    )
    return Table("kept", "Not converted", columns, rows)


def carried_table(layers: Sequence[tuple[str, CarriedWeights]]) -> Table:
    """Return one row per octave layer whose weights were not carried over whole, and one for all."""
    rows: list[dict[str, Any]] = [
        {"layer": name, "lost": carried.share, "note": carried.note, **carried.lost}
        for name, carried in layers
        if carried.lost or carried.note
    ]
    whole = sum(carried.whole for _, carried in layers)
    lost = sum(carried.share * carried.whole for _, carried in layers)
    rows.append({"layer": "all octave layers", "lost": lost / whole if whole else 0.0})
    paths = [path for path in ("HH", "HL", "LH", "LL") if any(path in row for row in rows)]
    columns = (
        Column("layer", "layer"),
        Column("lost", "lost", "share"),
        *(Column(path, f"of {path}", "share") for path in paths),
        Column("note", "note"),
    )
    return Table("carried", "Share of the weights' squared norm that is not carried over", columns, rows)
