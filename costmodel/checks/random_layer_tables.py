"""Tables of random layers, of all kinds of them, and formulas of their paths, beside sums of operators."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import sympy as sp

from costmodel.checks.covering import Point, spread_layers
from costmodel.checks.prove import Claim, Compared, Identity
from costmodel.checks.random_cells import DTYPES, against, cells, identity, random_totals
from costmodel.checks.random_options import layer_of, layer_options
from costmodel.checks.recounted import recounted
from costmodel.convention import DTYPE_BYTES, QUANTITIES
from costmodel.operators.layer import Layer, layer_notes, path_formulas, standard_layer
from costmodel.operators.octave import PATHS
from costmodel.operators.recorder import Operator, cost_of
from costmodel.operators.registry import layer_cost, layer_kinds
from costmodel.tables.counting import Totals
from costmodel.tables.layer import formula_table, kinds_table, layer_table, quantities
from pwoct.channels import split_channels


def layer_table_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claim about tables of layers; `every` takes five times as many points."""
    points = 300 if every else 60
    text = f"{points} points; every option, dtype, unit, batch and choice of what is counted at random"
    yield Claim("tables of random layers = operators()", partial(_layers, points), "checked", text)


def _layers(points: int) -> Iterator[Identity]:
    chosen = random.Random(14)
    for index, point in enumerate(spread_layers(chosen, points, _related_ends, can_be_compared)):
        layer = layer_of(point.options, point.image, point.batch)
        if not layer.depthwise:
            yield identity(f"layer {index + 1}", _layer_pairs, layer, random_totals(chosen))
        yield identity(f"kinds of layer {index + 1}", _kind_pairs, layer, DTYPES[index % len(DTYPES)])


def _related_ends(chosen: random.Random) -> Mapping[str, Any]:
    """Return options of a layer; often its ends have the same channels, or the same alpha."""
    options = layer_options(chosen)
    for one, two in (("c_in", "c_out"), ("alpha_in", "alpha_out")):
        if chosen.random() < 0.4:
            options[two] = options[one]
    if options["depthwise"]:
        options["paths"] = []  # no kind of layer has both
    return options


def can_be_compared(point: Point) -> bool:
    """Return whether a table can show the layer: also without bottlenecks, and as a standard one."""
    layer = layer_of(point.options, point.image, point.batch)
    return bool(standard_layer(layer)) and bool(
        replace(layer, paths=frozenset()).operators() and layer.operators()
    )


def _layer_pairs(title: str, layer: Layer, totals: Totals) -> Iterator[Compared]:
    where = f"{title}, {layer}, {totals}"
    image = replace(layer, batch=1)
    own, reference = image.operators(), replace(image, paths=frozenset()).operators()
    standard = [Operator("standard", "conv", standard_layer(replace(image, alpha_in=0, alpha_out=0)))]  # type: ignore[arg-type]
    rows = {row["path"]: row for row in layer_table(layer, totals).rows}
    yield from cells(f"standard of {where}", recounted(standard, totals), rows.pop("standard"))
    for path, row in rows.items():
        one, two = (
            recounted([op for op in ops if path in ("all paths", op.place.path)], totals)
            for ops in (own, reference)
        )
        yield from cells(f"{path} of {where}", {**one, **against("octave", one, two)}, row)
    yield from _formula_pairs(where, image, totals)
    yield from _note_pairs(where, layer)


def _formula_pairs(where: str, layer: Layer, totals: Totals) -> Iterator[Compared]:
    """Yield the formulas of paths at the layer's own sizes; they are for inputs that the stride divides."""
    high, wide = (-(-int(side) // layer.stride) for side in layer.size)
    whole = replace(layer, size=(layer.stride * high, layer.stride * wide))
    texts = {row["path"]: row for row in formula_table(layer, totals).rows}
    for path, formula in path_formulas(layer).items():
        values = symbol_values(layer, path, (high, wide))
        cost = cost_of(op for op in whole.operators() if op.place.path == path)
        for quantity in QUANTITIES:
            found = sp.sympify(getattr(formula, quantity))
            found = found.subs({symbol: values[symbol.name] for symbol in found.free_symbols})
            yield Compared(
                f"{path} of {where}", f"formula of {quantity}", sp.Integer(getattr(cost, quantity)), found
            )
        for key, count in {"params": cost.params, "macs": cost.macs, "flops": 2 * cost.macs}.items():
            text = sp.sympify(texts[path][f"{key}_formula"], locals=values)
            yield Compared(f"{path} of {where}", f"{key} as text", sp.Integer(count), text)


def symbol_values(layer: Layer, path: str, high: Sequence[int]) -> dict[str, sp.Integer]:
    """Return the values of the symbols of a path's formulas; `high` is the output's high size."""
    octave, (k_h, k_w) = layer.octave(), layer.kernel
    values = {"h": high[0], "w": high[1], "k": k_h, "k_h": k_h, "k_w": k_w, "m": layer.widths().get(path, 0)}
    for branch, one, two in zip("HL", octave.c_in, octave.c_out, strict=True):
        values.update({f"c_{branch}": one, f"c_{branch}_in": one, f"c_{branch}_out": two})
    return {name: sp.Integer(value) for name, value in values.items()}


def _note_pairs(where: str, layer: Layer) -> Iterator[Compared]:
    """Yield how many splits and widths are rounded, and how many notes name them."""
    notes, rounded = layer_notes(layer), {*_rounded_splits(layer), *_rounded_widths(layer)}
    yield Compared(where, "notes", sp.Integer(len(rounded)), sp.Integer(len(notes)))
    named = [text for text in rounded if any(n.startswith(text[0]) and text[1] in n for n in notes)]
    yield Compared(
        where, "notes that name what was rounded", sp.Integer(len(rounded)), sp.Integer(len(named))
    )


def _rounded_splits(layer: Layer) -> Iterator[tuple[str, str]]:
    for channels, alpha in ((layer.c_in, layer.alpha_in), (layer.c_out, layer.alpha_out)):
        low = split_channels(int(channels), alpha).low
        if low != alpha * channels:
            yield f"alpha {alpha} of {channels} channels", f"c_L = {low}"


def _rounded_widths(layer: Layer) -> Iterator[tuple[str, str]]:
    operators = {op.name: op for op in layer.operators()}
    for path in PATHS:
        if f"conv.{path.lower()}.reduce" in operators:
            c_in, m = operators[f"conv.{path.lower()}.reduce"].channels or (0, 0)
            _, c_out = operators[f"conv.{path.lower()}.expand"].channels or (0, 0)
            divided = {"out": c_out, "in": c_in, "min": min(c_in, c_out), "mean": Fraction(c_in + c_out, 2)}
            if m * layer.beta != divided[layer.width_rule]:
                yield f"{path} {c_in} → {c_out} at beta {layer.beta}:", f"m = {m}"


def _is_distinct(kind: str, layer: Layer) -> bool:
    """Whether a kind can have the sizes of a layer, and is not another kind by its alphas and paths."""
    try:
        layer_cost(kind, layer)
    except ValueError:
        return False
    compressed = any(op.name.endswith(".reduce") for op in layer.operators()) if kind == "pwise" else True
    return compressed and (kind != "octave" or max(layer.alpha_in, layer.alpha_out) > 0)


def _kind_pairs(title: str, layer: Layer, dtype: str) -> Iterator[Compared]:
    where, chosen = f"{title}, {layer}, {dtype}", "octave" if layer.depthwise else "pwise"
    size, standard = DTYPE_BYTES[dtype], layer_cost("standard", layer)
    rows = kinds_table(layer, chosen, dtype).rows
    shown_kinds = {row["op"] for row in rows}
    for kind in layer_kinds():
        is_shown = sp.Integer(kind == chosen or _is_distinct(kind, layer))
        yield Compared(f"{kind} of {where}", "rows", is_shown, sp.Integer(kind in shown_kinds))
    for row in rows:
        cost = layer_cost(row["op"], layer)
        shown = {"params": cost.params, "macs": cost.macs}
        wanted = {
            **shown,
            **against("standard", shown, {"params": standard.params, "macs": standard.macs}),
            "activations": cost.activations,
            "calls": cost.calls,
            "intensity": Fraction(cost.macs, size * (cost.elements_read + cost.elements_written)),
            "chosen": row["op"] == chosen,
        }
        yield from cells(f"{row['op']} of {where}", wanted, row)
        counts = {name: getattr(cost, name) for name in QUANTITIES}
        moved = {"bytes_read": size * cost.elements_read, "bytes_written": size * cost.elements_written}
        shown = quantities(cost, dtype)
        named = {**counts, **moved, **shown_sums(counts)}
        yield from cells(f"{row['op']} of {where}", {key: named[key] for key in shown}, shown)


def shown_sums(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the sums among a layer's quantities."""
    params = counts["weights"] + counts["biases"] + counts["bn_weights"]
    return {
        "params": params,
        "macs_training": counts["macs"] + counts["macs_input_grad"] + counts["macs_weight_grad"],
    }
