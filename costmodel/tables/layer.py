"""Tables of the calculator: a layer path by path, its formulas, and kinds of layers side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Any

from costmodel.convention import Cost
from costmodel.operators.layer import Layer, path_formulas
from costmodel.operators.recorder import Operator
from costmodel.operators.registry import layer_cost, layer_kinds, operator
from costmodel.operators.spatial import SPATIAL_KINDS, SpatialLayer
from costmodel.report import PARAMS_COLUMN, Column, Table, change
from costmodel.sizes import Size
from costmodel.tables.counting import ELEMENT_PARTS, Totals, work_heading

Sides = tuple[Size, ...]


def layer_table(layer: Layer, totals: Totals) -> Table:
    """Return one row per path: its form, parameters, work, and the change against the uncompressed path."""
    image = replace(layer, batch=1)  # the totals multiply by the batch
    operators, reference = image.operators(), replace(image, paths=frozenset()).operators()
    standard = _standard(image).operators()
    rows = [_path_row(layer, path, operators, reference, totals) for path in layer.octave().paths]
    rows.append(_compared("all paths", "", totals.of(operators), totals.of(reference), totals.of(standard)))
    rows.append({"path": "standard", "channels": _form(layer.c_in, layer.c_out), **totals.of(standard)})
    columns = [
        Column("path", "path"),
        Column("channels", "channels"),
        PARAMS_COLUMN,
        Column("params_vs_octave", "vs Oct", "percent"),
        totals.column,
        Column(f"{totals.key}_vs_octave", "vs Oct", "percent"),
    ]
    return Table("layer", _layer_title(layer), columns, rows)


def _standard(layer: Layer) -> Layer:
    """The standard convolution of the same sizes: it has no branches, and applies the stride itself."""
    return replace(layer, alpha_in=Fraction(0), alpha_out=Fraction(0), paths=frozenset(), stride_rule="C")


def formula_table(layer: Layer, totals: Totals) -> Table:
    """Return one row per path: the formulas of its parameters and MACs, and of its FLOPs on request.

    A terminal shows the work in one unit.
    """
    rows = [
        {
            "path": path,
            "params_formula": cost.formula("params"),
            "macs_formula": cost.formula("macs"),
            "flops_formula": (cost * 2).formula("macs"),
        }
        for path, cost in path_formulas(layer).items()
    ]
    columns = [Column("path", "path"), Column("params_formula", "parameters", "formula")]
    for unit in dict.fromkeys(("mac", totals.unit)):
        of = " of one image" if totals.batch > 1 else ""
        heading = f"{work_heading((), unit)}{of} (h, w: the output's high size)"
        columns.append(Column(f"{unit}s_formula", heading, "formula", on_terminal=unit == totals.unit))
    return Table("formulas", "Formulas", columns, rows)


def kinds_table(layer: Layer, chosen: str, dtype: str) -> Table:
    """Return one row per kind of layer of the same sizes; kinds that cannot have them are left out.

    Raises ValueError if the chosen kind cannot have these sizes.
    """
    layer_cost(chosen, layer)
    return _kinds(dict(_possible_kinds(layer, chosen)), chosen, dtype, _layer_title(layer))


def spatial_kinds_table(layer: SpatialLayer, chosen: str, dtype: str) -> Table:
    """Return one row per kind of layer of the same sizes, in any number of dimensions.

    Raises ValueError if the chosen kind cannot have these sizes.
    """
    SPATIAL_KINDS[chosen](layer)
    costs = {}
    for kind, cost in SPATIAL_KINDS.items():
        with suppress(ValueError):  # these sizes do not exist for this kind: nothing to compare
            costs[kind] = cost(layer)
    return _kinds(costs, chosen, dtype, _spatial_title(layer, chosen))


def _kinds(costs: Mapping[str, Cost], chosen: str, dtype: str, title: str) -> Table:
    base = costs.get("standard")
    rows = [_kind_row(kind, cost, base, dtype, kind == chosen) for kind, cost in costs.items()]
    columns = [
        Column("chosen", ""),
        Column("op", "op"),
        PARAMS_COLUMN,
        Column("params_vs_standard", "vs std", "percent"),
        Column("macs", "MACs", "count"),
        Column("macs_vs_standard", "vs std", "percent"),
        Column("activations", "activ.", "count"),
        Column("calls", "calls", "count"),
        Column("intensity", "MAC/B", "ratio"),
    ]
    return Table("kinds", title, columns, rows)


def quantities(cost: Cost, dtype: str) -> dict[str, Any]:
    """Return every quantity of a cost by its key, with memory traffic in bytes of a dtype."""
    values = {
        "params": cost.params,
        "macs": cost.macs,
        "macs_input_grad": cost.macs_input_grad,
        "macs_weight_grad": cost.macs_weight_grad,
        "macs_training": cost.macs_training,
        "activations": cost.activations,
        "other_outputs": cost.other_outputs,
        "bytes_read": cost.bytes_read(dtype),
        "bytes_written": cost.bytes_written(dtype),
        "calls": cost.calls,
    }
    return values | {f"{part}_ops": getattr(cost, f"{part}_ops") for part in ELEMENT_PARTS}


def quantities_table(cost: Cost, dtype: str) -> Table:
    """Return one row per quantity of the chosen layer."""
    rows = [
        {"quantity": key.replace("_", " "), "value": value} for key, value in quantities(cost, dtype).items()
    ]
    columns = [Column("quantity", "quantity"), Column("value", "value", "count")]
    return Table("quantities", f"The chosen layer (bytes at {dtype})", columns, rows)


def _path_row(
    layer: Layer, path: str, operators: list[Operator], reference: list[Operator], totals: Totals
) -> dict[str, Any]:
    own, base = ([op for op in ops if op.place.path == path] for ops in (operators, reference))
    c_in, c_out = layer.octave().channels(path)
    width = layer.widths().get(path)
    form = _form(c_in, c_out) if width is None else _form(c_in, width, width, c_out)
    return _compared(path, form, totals.of(own), totals.of(base))


def _compared(
    path: str,
    form: str,
    counts: Mapping[str, int],
    octave: Mapping[str, int],
    standard: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    row = {"path": path, "channels": form, **counts}
    row |= {f"{key}_vs_octave": change(counts[key], octave[key]) for key in counts}
    if standard:
        row |= {f"{key}_vs_standard": change(counts[key], standard[key]) for key in counts}
    return row


def _form(*channels: Size) -> str:
    """Channels from one convolution to the next: four numbers for a bottleneck."""
    return "→".join(map(str, channels))


def _layer_title(layer: Layer) -> str:
    more = [f"padding {_sides(layer.padding)}"] if layer.padding is not None else []
    return _title(layer, layer.size, layer.kernel, more) + _alpha_text(layer)


def _spatial_title(layer: SpatialLayer, chosen: str) -> str:
    more = [f"padding {_sides(layer.padding)}"] if layer.padding is not None else []
    more += [f"output padding {_sides(layer.output_padding)}"] if layer.output_padding is not None else []
    output = replace(layer, transposed=chosen == "transposed").output
    return _title(layer, layer.size, layer.kernel, [*more, f"output {'x'.join(map(str, output))}"])


def _title(layer: Layer | SpatialLayer, size: Sides, kernel: Sides, more: Iterable[str]) -> str:
    sizes = ["x".join(map(str, sides)) for sides in (kernel, size)]
    parts = [f"Layer: {sizes[0]}", f"{layer.c_in} → {layer.c_out} channels", f"input {sizes[1]}"]
    parts += [f"stride {layer.stride}"] if layer.stride != 1 else []
    parts += [*more, *([f"batch {layer.batch}"] if layer.batch != 1 else [])]
    return ", ".join(parts)


def _sides(sides: Sides) -> str:
    return str(sides[0]) if len(set(sides)) == 1 else "x".join(map(str, sides))


def _alpha_text(layer: Layer) -> str:
    if layer.alpha_in == layer.alpha_out:
        return f", alpha {layer.alpha_in}" if layer.alpha_in else ""
    return f", alpha {layer.alpha_in} → {layer.alpha_out}"


def _possible_kinds(layer: Layer, chosen: str) -> Iterable[tuple[str, Cost]]:
    for kind in layer_kinds():
        if kind in _distinct_kinds(layer) or kind == chosen:
            try:
                yield kind, layer_cost(kind, layer)
            except ValueError:
                continue  # these sizes do not exist for this kind: nothing to compare


def _distinct_kinds(layer: Layer) -> list[str]:
    """The kinds that, with this alpha and these paths, do not coincide with another of them.

    An octave layer has no explicit padding.
    """
    if layer.padding is not None:
        return [kind for kind in layer_kinds() if not operator(kind).has_branches]
    same = {"octave": not layer.alpha_in and not layer.alpha_out, "pwise": not layer.widths()}
    return [kind for kind in layer_kinds() if not same.get(kind)]


def _kind_row(kind: str, cost: Cost, base: Cost | None, dtype: str, chosen: bool) -> dict[str, Any]:
    return {
        "chosen": chosen,
        "op": kind,
        "params": cost.params,
        "params_vs_standard": change(cost.params, base.params) if base else None,
        "macs": cost.macs,
        "macs_vs_standard": change(cost.macs, base.macs) if base else None,
        "activations": cost.activations,
        "calls": cost.calls,
        "intensity": cost.intensity(dtype),
    }
