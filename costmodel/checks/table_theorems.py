"""The tables that the calculator prints, compared with modules that run and with sums of `operators()`.

A total can be right while its rows are not: a layer may stand in the wrong row, or a change may refer to the
wrong network.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import islice
from typing import Any

import sympy as sp
import torch
from torch import nn

from costmodel.checks.instances import counted_by_module
from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.prove import Claim, Compared, Identity
from costmodel.checks.random_options import built_network, network_options
from costmodel.checks.recounted import without_bottlenecks
from costmodel.convention import DTYPE_BYTES, Cost
from costmodel.grids.quantities import NAMED, cost_quantities
from costmodel.networks.resnet import resnet, rounding_notes
from costmodel.operators.layer import Layer, standard_layer
from costmodel.operators.octave import PATHS
from costmodel.operators.recorder import Operator, cost_of
from costmodel.operators.registry import layer_cost
from costmodel.tables.counting import COUNTS, Totals
from costmodel.tables.layer import kinds_table, layer_table, quantities
from costmodel.tables.network import configurations_table, network_table, per_layer_table
from pwoct.blocks import BasicBlock
from pwoct.channels import split_channels
from pwoct.pwise_octave import Bottleneck
from pwoct.resnet import ResNet

NETWORKS: Sequence[tuple[int, dict[str, Any]]] = (
    (14, {"shortcut": "A"}),
    (8, {"alpha": "1/4", "width": 12}),
    (20, {"alpha": ["1/8", "0", "3/8"], "beta": [2, 3, 5], "paths": [["HH"], ["LH", "HL"], list(PATHS)]}),
    (14, {"alpha": ["1/2", "1", "2/3"], "paths": list(PATHS), "between": "bn_relu", "stride_rule": "A"}),
)
LAYERS: Sequence[Layer] = (
    Layer(),
    Layer(12, 20, (31, 46), (3, 5), 2, alpha_in=Fraction(1, 4), alpha_out=Fraction(2, 5), bias=True, batch=3),
    Layer(
        24, 16, alpha_in=Fraction(1, 3), alpha_out=Fraction(1, 2), paths=frozenset(PATHS), beta=Fraction(3)
    ),
)
_NOTED = 12
TOTALS: Sequence[Totals] = (
    Totals(),
    Totals(unit="flop", prefix="M", batch=5),
    Totals(work=frozenset(COUNTS), batch=2),
)


def table_claims(*, every: bool = False) -> Iterator[Claim]:  # noqa: ARG001 - there are no others
    """Yield the claims about tables."""
    networks = f"{len(NETWORKS)} networks"
    yield Claim("rows of a network's layers = modules", _rows, "checked", networks)
    text = f"{networks} and {len(LAYERS)} layers; {len(TOTALS)} choices of what is counted, and in which unit"
    yield Claim("tables of networks and layers = operators()", _tables, "checked", text)
    text = f"{', '.join(DTYPE_BYTES)}; {networks} and {len(LAYERS)} layers as every kind of layer"
    yield Claim("derived quantities = their definitions", _quantities, "checked", text)
    text = f"{_NOTED} random networks, every width rule"
    yield Claim("notes on rounding appear where it had an effect", _notes, "checked", text)


def _rows() -> Iterator[Identity]:
    for depth, options in NETWORKS:
        title = f"resnet{depth} {options}"
        yield Identity(title, SizeDomain({}), partial(_row_pairs, title, depth, options))


def _row_pairs(title: str, depth: int, options: Mapping[str, Any]) -> Iterator[Compared]:
    table = per_layer_table(resnet(depth, **options), Totals())
    counts = counted_by_module(partial(built_network, depth, options), [(1, 3, 32, 32)])
    shown = [row["layer"] for row in table.rows]
    for name in _layers(built_network(depth, options)):
        yield _compared(f"{name} of {title}", "rows", 1, shown.count(name))
    for quantity in ("params", "macs", "activations"):
        for row in table.rows:
            inside = sum(count for name, count in counts[quantity].items() if _is_inside(name, row["layer"]))
            yield _compared(f"row {row['layer']} of {title}", quantity, inside, row[quantity])
        total = sum(row[quantity] for row in table.rows)
        yield _compared(f"all rows of {title}", quantity, sum(counts[quantity].values()), total)
        yield _compared(f"the sum of {title}", quantity, total, (table.total or {})[quantity])


def _layers(model: nn.Module) -> Iterator[str]:
    """Yield the names of what has parameters in a block, or beside all blocks."""
    for name, module in model.named_modules():
        for child, part in module.named_children():
            if child != "stages" and isinstance(module, BasicBlock | ResNet) and [*part.parameters()]:
                yield f"{name}.{child}".lstrip(".")


def _is_inside(name: str, layer: str) -> bool:
    return name == layer or name.startswith(f"{layer}.")


def _tables() -> Iterator[Identity]:
    for totals in TOTALS:
        title = f"{totals.batch} images in {totals.prefix}{totals.unit}"
        yield Identity(title, SizeDomain({}), partial(_table_pairs, title, totals))


def _table_pairs(title: str, totals: Totals) -> Iterator[Compared]:
    for depth, options in NETWORKS:
        net = resnet(depth, **options)
        variants = [without_bottlenecks(net, alpha=False), without_bottlenecks(net, alpha=True), net]
        plain, octave, own = (_counts(variant.operators(), totals) for variant in variants)
        (*_, row) = network_table(net, totals).rows  # the network itself is the last
        yield from _changes(f"resnet{depth} {options}, {title}", row, own, plain, octave)
        (row,) = configurations_table([net], totals).rows
        yield from _changes(f"configuration resnet{depth} {options}, {title}", row, own, plain, octave)
    for layer in LAYERS:
        yield from _layer_pairs(f"{layer}, {title}", layer, totals)


def _quantities() -> Iterator[Identity]:
    for dtype in DTYPE_BYTES:
        yield Identity(dtype, SizeDomain({}), partial(_quantity_pairs, dtype))


def _quantity_pairs(dtype: str) -> Iterator[Compared]:
    """Yield derived quantities beside the sums that define them, with bytes as torch stores the dtype."""
    size = torch.empty(0, dtype=getattr(torch, dtype)).element_size()
    for layer in LAYERS:
        for row in kinds_table(layer, "pwise", dtype).rows:
            cost = layer_cost(row["op"], layer)
            moved = size * (cost.elements_read + cost.elements_written)
            yield _compared(
                f"{row['op']} of {layer}", "MACs per byte", Fraction(cost.macs, moved), row["intensity"]
            )
            elements = {"bytes_read": cost.elements_read, "bytes_written": cost.elements_written}
            for key, count in elements.items():
                yield _compared(f"{row['op']} of {layer}", key, size * count, quantities(cost, dtype)[key])
    for depth, options in NETWORKS:
        cost = cost_of(resnet(depth, **options).operators())
        shown = cost_quantities(cost, NAMED, dtype)
        for name, count in _defined(cost, size).items():
            yield _compared(f"resnet{depth} {options} in {dtype}", name, count, shown.pop(name))
        yield _compared(f"resnet{depth}", "other quantities", 0, len(shown))


def _defined(cost: Cost, size: int) -> dict[str, Any]:
    training = cost.macs + cost.macs_input_grad + cost.macs_weight_grad
    elements = (
        cost.bias_ops + cost.bn_ops + cost.activation_ops + cost.pool_ops + cost.upsample_ops + cost.add_ops
    )
    return {
        "params": cost.weights + cost.biases + cost.bn_weights,
        "macs": cost.macs,
        "flops": 2 * cost.macs,
        "training-macs": training,
        "training-flops": 2 * training,
        "activations": cost.activations,
        "bytes": size * (cost.elements_read + cost.elements_written),
        "element-ops": elements,
        "calls": cost.calls,
    }


def _counts(operators: Sequence[Operator], totals: Totals) -> dict[str, int]:
    cost = cost_of(operators)
    elements = cost.element_ops if totals.work == frozenset(COUNTS) else 0
    work = totals.batch * (cost.macs * (2 if totals.unit == "flop" else 1) + elements)
    return {"params": int(cost.params), totals.key: int(work)}


def _changes(
    title: str,
    row: Mapping[str, Any],
    own: Mapping[str, int],
    plain: Mapping[str, int],
    octave: Mapping[str, int],
) -> Iterator[Compared]:
    for key, count in own.items():
        yield _compared(title, key, count, row[key])
        for name, base in (("plain", plain), ("octave", octave)):
            change = Fraction(count - base[key], base[key])
            yield _compared(title, f"{key} against {name}", change, row[f"{key}_vs_{name}"])


def _layer_pairs(title: str, layer: Layer, totals: Totals) -> Iterator[Compared]:
    rows = {row["path"]: row for row in layer_table(layer, totals).rows}
    image = replace(layer, batch=1)
    operators, reference = image.operators(), replace(image, paths=frozenset()).operators()
    for path in ("all paths", *layer.octave().paths):
        own, base = (
            _counts([op for op in ops if path in ("all paths", op.place.path)], totals)
            for ops in (operators, reference)
        )
        for key, count in own.items():
            yield _compared(f"{path} of {title}", key, count, rows[path][key])
            change = Fraction(count - base[key], base[key])
            yield _compared(
                f"{path} of {title}", f"{key} against Oct", change, rows[path][f"{key}_vs_octave"]
            )
    standard = Operator("standard", "conv", standard_layer(image))
    for key, count in _counts([standard], totals).items():
        yield _compared(f"standard of {title}", key, count, rows["standard"][key])


def _notes() -> Iterator[Identity]:
    for index, (depth, options) in enumerate(islice(_narrow_networks(random.Random(10)), _NOTED)):
        title = f"network {index + 1}, depth {depth}, {options}"
        yield Identity(title, SizeDomain({}), partial(_note_pairs, title, depth, options))


def _narrow_networks(chosen: random.Random) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield networks of narrow branches, where few channels meet beta, without end."""
    while True:
        depth, _, _, options = network_options(chosen)
        options["width"] = options["width"] // 3 + 5
        try:
            resnet(depth, **options)
        except ValueError:
            continue  # options that do not fit one another
        yield depth, options


def _note_pairs(title: str, depth: int, options: Mapping[str, Any]) -> Iterator[Compared]:
    """Yield how many splits and widths of the built network are rounded, and how many notes name them."""
    notes = rounding_notes(resnet(depth, **options))
    rounded = {*_rounded_splits(options), *_rounded_widths(built_network(depth, options), options)}
    yield _compared(title, "notes on rounding", len(rounded), len(notes))
    found = [text for text in rounded if any(map(partial(_names, text), notes))]
    yield _compared(title, "notes that name what was rounded", len(rounded), len(found))


def _rounded_splits(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for stage, alpha in enumerate(options["alpha"]):
        channels = options["width"] * 2**stage
        low = split_channels(channels, alpha).low
        if low != alpha * channels:
            yield f"alpha {alpha} of {channels} channels", f"c_L = {low}"


def _rounded_widths(model: nn.Module, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, module in model.named_modules():
        if isinstance(module, Bottleneck):
            c_in, c_out, m = (
                *(module.reduce.in_channels, module.expand.out_channels),
                module.reduce.out_channels,
            )
            divided = {"out": c_out, "in": c_in, "min": min(c_in, c_out), "mean": Fraction(c_in + c_out, 2)}
            _, stage, *_, path = name.split(".")
            beta = options["beta"][int(stage)]
            if m * beta != divided[options["width_rule"]]:
                yield f"{path.upper()} {c_in} → {c_out} at beta {beta}:", f"m = {m}"


def _names(texts: tuple[str, str], note: str) -> bool:
    return note.startswith(texts[0]) and texts[1] in note


def _compared(title: str, quantity: str, code: Any, formula: Any) -> Compared:
    return Compared(title, quantity, sp.Rational(code), sp.Rational(formula))
