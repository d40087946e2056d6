"""The calculator's tables: a layer path by path, kinds of layers side by side, networks, configurations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from costmodel.convention import Cost, Size
from costmodel.counting import ELEMENT_PARTS, PARAMS, WORK, counted_params, counted_work, work_heading
from costmodel.layer import KINDS, Layer, layer_cost, path_formulas
from costmodel.network import layers
from costmodel.octave import PATHS
from costmodel.recorder import Operator, cost_of
from costmodel.report import Column, Table, change
from costmodel.resnet import ResNet, Stage


@dataclass(frozen=True)
class Totals:
    """What enters a total, and its unit."""

    work: frozenset[str] = WORK
    params: frozenset[str] = PARAMS
    unit: str = "mac"

    @property
    def key(self) -> str:
        """The key of the work in a row: macs or flops."""
        return f"{self.unit}s"

    @property
    def heading(self) -> str:
        """The heading of a column of work."""
        return work_heading(self.work, self.unit)

    def of(self, operators: Collection[Operator]) -> dict[str, Any]:
        """Return the counted parameters and work of operators."""
        return {
            "params": counted_params(operators, self.params),
            self.key: counted_work(operators, self.work, self.unit),
        }


PARAMS_COLUMN = Column("params", "params", "count")
BASES = (("plain", "plain"), ("octave", "Oct"))  # what networks are compared with: key and heading


def layer_table(layer: Layer, totals: Totals) -> Table:
    """Return a row a path: what it is, parameters, work, and the change against the uncompressed path."""
    operators, reference = layer.operators(), replace(layer, paths=frozenset()).operators()
    standard = replace(layer, alpha_in=Fraction(0), alpha_out=Fraction(0), paths=frozenset()).operators()
    rows = [_path_row(layer, path, operators, reference, totals) for path in layer.octave().paths]
    rows.append(_compared("all paths", "", totals.of(operators), totals.of(reference), totals.of(standard)))
    rows.append({"path": "standard", "channels": _form(layer.c_in, layer.c_out), **totals.of(standard)})
    columns = [
        Column("path", "path"),
        Column("channels", "channels"),
        PARAMS_COLUMN,
        Column("params_vs_octave", "vs Oct", "percent"),
        Column(totals.key, totals.heading, "count"),
        Column(f"{totals.key}_vs_octave", "vs Oct", "percent"),
    ]
    return Table("layer", _layer_title(layer), columns, rows)


def formula_table(layer: Layer) -> Table:
    """Return a row a path: the formulas of its parameters and MACs."""
    rows = [
        {"path": path, "params_formula": cost.formula("params"), "macs_formula": cost.formula("macs")}
        for path, cost in path_formulas(layer).items()
    ]
    columns = [
        Column("path", "path"),
        Column("params_formula", "parameters", "formula"),
        Column("macs_formula", "MACs (h, w: the output's high size)", "formula"),
    ]
    return Table("formulas", "Formulas", columns, rows)


def kinds_table(layer: Layer, chosen: str, dtype: str) -> Table:
    """Return a row a kind of layer of the same sizes; kinds that cannot have them are left out.

    Raises ValueError where the chosen kind cannot have these sizes.
    """
    layer_cost(chosen, layer)
    base = layer_cost("standard", layer)
    rows = [
        _kind_row(kind, cost, base, dtype, kind == chosen) for kind, cost in _possible_kinds(layer, chosen)
    ]
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
    return Table("kinds", _layer_title(layer), columns, rows)


def quantities(cost: Cost, dtype: str) -> dict[str, Any]:
    """Return every quantity of a cost by its key, memory traffic in bytes at a dtype."""
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
    """Return a row a quantity of the chosen layer."""
    rows = [
        {"quantity": key.replace("_", " "), "value": value} for key, value in quantities(cost, dtype).items()
    ]
    columns = [Column("quantity", "quantity"), Column("value", "value", "count")]
    return Table("quantities", f"The chosen layer (bytes at {dtype})", columns, rows)


def network_table(net: ResNet, totals: Totals) -> Table:
    """Return the plain network, the octave one and the network itself, each compared with the first two."""
    plain, octave = _uncompressed(net, keep_alpha=False), _uncompressed(net, keep_alpha=True)
    variants = [plain, *([octave] if octave != plain else []), *([net] if net not in (plain, octave) else [])]
    counts = [totals.of(variant.folded()) for variant in variants]
    octave_counts = counts[variants.index(octave)]
    rows = [
        _network_row(variant, count, counts[0], octave_counts)
        for variant, count in zip(variants, counts, strict=True)
    ]
    return Table(
        "network",
        f"Network: {_network_title(net)}",
        [Column("network", "network"), *_compared_columns(totals, with_octave=octave != plain)],
        rows,
    )


def configurations_table(nets: Sequence[ResNet], totals: Totals) -> Table:
    """Return a row a network: its alpha and beta, and its totals compared with plain and octave."""
    counts, plain, octave = (
        _count_all(variants, totals)
        for variants in (
            nets,
            [_uncompressed(net, keep_alpha=False) for net in nets],
            [_uncompressed(net, keep_alpha=True) for net in nets],
        )
    )
    rows = [
        {"alpha": _joined(net, "alpha"), "beta": _joined(net, "beta"), **_changes(*of_net)}
        for net, *of_net in zip(nets, counts, plain, octave, strict=True)
    ]
    columns = [Column("alpha", "alpha"), Column("beta", "beta"), *_compared_columns(totals, with_octave=True)]
    return Table("configurations", "Configurations", columns, rows)


def _count_all(nets: Sequence[ResNet], totals: Totals) -> list[dict[str, Any]]:
    """Count networks of one backbone: by the grid evaluator where it knows the choice of parts."""
    if (totals.work, totals.params) != (WORK, PARAMS):
        return [totals.of(net.folded()) for net in nets]
    from costmodel.evaluate import evaluate_networks  # heavy, and not needed for a single network

    counts = evaluate_networks(nets)
    scale = 2 if totals.unit == "flop" else 1
    pairs = zip(counts["params"].tolist(), counts["macs"].tolist(), strict=True)
    return [{"params": params, totals.key: scale * macs} for params, macs in pairs]


def per_layer_table(net: ResNet, totals: Totals) -> Table:
    """Return a row a layer of the network, in the order in which they run, and the sum."""
    operators = net.operators()
    grouped = [(name, group) for name, group in layers(operators) if any(op.cost.calls for op in group)]
    rows = [_layer_row(name, group, totals) for name, group in grouped]
    rows.append(_layer_row("sum", operators, totals))
    columns = [
        Column("layer", "layer"),
        PARAMS_COLUMN,
        Column(totals.key, totals.heading, "count"),
        Column("activations", "activations", "count"),
        Column("calls", "calls", "count"),
    ]
    return Table("layers", f"Layer by layer: {_network_title(net)}", columns, rows)


def describe(stages: Sequence[Stage]) -> dict[str, Any]:
    """Return the choices of the stages as plain values, for JSON."""
    return {
        "alpha": [str(stage.alpha) for stage in stages],
        "beta": [str(stage.beta) for stage in stages],
        "paths": [ordered(stage.paths) for stage in stages],
    }


def ordered(paths: Collection[str]) -> list[str]:
    """Return path names in the order HH, HL, LH, LL."""
    return [path for path in PATHS if path in paths]


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
    """Channels from one convolution to the next: a bottleneck has four numbers."""
    return "→".join(map(str, channels))


def _layer_title(layer: Layer) -> str:
    sizes = f"{layer.kernel[0]}x{layer.kernel[1]}, {layer.c_in} → {layer.c_out} channels"
    title = f"Layer: {sizes}, input {layer.size[0]}x{layer.size[1]}"
    return title + (f", stride {layer.stride}" if layer.stride != 1 else "") + _alpha_text(layer)


def _alpha_text(layer: Layer) -> str:
    if layer.alpha_in == layer.alpha_out:
        return f", alpha {layer.alpha_in}" if layer.alpha_in else ""
    return f", alpha {layer.alpha_in} → {layer.alpha_out}"


def _possible_kinds(layer: Layer, chosen: str) -> Iterable[tuple[str, Cost]]:
    for kind in KINDS:
        if kind in _distinct_kinds(layer) or kind == chosen:
            try:
                yield kind, layer_cost(kind, layer)
            except ValueError:
                continue  # these sizes do not exist for this kind: nothing to compare


def _distinct_kinds(layer: Layer) -> list[str]:
    """The kinds that are not, with this alpha and these paths, another one of them."""
    same = {"octave": not layer.alpha_in and not layer.alpha_out, "pwise": not layer.widths()}
    return [kind for kind in KINDS if not same.get(kind)]


def _kind_row(kind: str, cost: Cost, base: Cost, dtype: str, chosen: bool) -> dict[str, Any]:
    return {
        "chosen": chosen,
        "op": kind,
        "params": cost.params,
        "params_vs_standard": change(cost.params, base.params),
        "macs": cost.macs,
        "macs_vs_standard": change(cost.macs, base.macs),
        "activations": cost.activations,
        "calls": cost.calls,
        "intensity": cost.intensity(dtype),
    }


def _uncompressed(net: ResNet, keep_alpha: bool) -> ResNet:
    first, second, third = (Stage(stage.alpha if keep_alpha else Fraction(0)) for stage in net.stages)
    return replace(net, stages=(first, second, third))


def _network_row(
    net: ResNet, counts: Mapping[str, int], plain: Mapping[str, int], octave: Mapping[str, int]
) -> dict[str, Any]:
    return {"network": kind_of(net), **_changes(counts, plain, octave)}


def _changes(
    counts: Mapping[str, int], plain: Mapping[str, int], octave: Mapping[str, int]
) -> dict[str, Any]:
    row: dict[str, Any] = dict(counts)
    for key, value in counts.items():
        row[f"{key}_vs_plain"] = change(value, plain[key])
        row[f"{key}_vs_octave"] = change(value, octave[key])
    return row


def _compared_columns(totals: Totals, with_octave: bool) -> list[Column]:
    columns = [PARAMS_COLUMN, Column(totals.key, totals.heading, "count")]
    return [column for counted in columns for column in (counted, *_changes_of(counted.key, with_octave))]


def _changes_of(key: str, with_octave: bool) -> list[Column]:
    plain, octave = (Column(f"{key}_vs_{name}", f"vs {short}", "percent") for name, short in BASES)
    return [plain, octave] if with_octave else [plain]


def _joined(net: ResNet, name: str) -> str:
    values = [str(getattr(stage, name)) for stage in net.stages]
    return values[0] if len(set(values)) == 1 else "+".join(values)


def kind_of(net: ResNet) -> str:
    """Return plain, octave or pwise."""
    return "plain" if net.is_plain else "pwise" if net.is_compressed else "octave"


def _network_title(net: ResNet) -> str:
    backbone = net.backbone
    title = f"resnet{backbone.depth}, input {backbone.in_channels}x{backbone.size[0]}x{backbone.size[1]}"
    if net.is_plain:
        return title
    title += f", alpha {_joined(net, 'alpha')}"
    if not net.is_compressed:
        return title
    sets = [",".join(ordered(stage.paths)) or "none" for stage in net.stages]
    paths = sets[0] if len(set(sets)) == 1 else "+".join(sets)
    return f"{title}, beta {_joined(net, 'beta')}, bottlenecks on {paths}"


def _layer_row(name: str, operators: Sequence[Operator], totals: Totals) -> dict[str, Any]:
    cost = cost_of(operators)
    return {"layer": name, **totals.of(operators), "activations": cost.activations, "calls": cost.calls}
