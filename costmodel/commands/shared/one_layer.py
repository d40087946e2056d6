"""One layer of a kind, compared with other kinds of the same sizes: `pwoct-cost --op`."""

from __future__ import annotations

from costmodel.commands.shared.errors import warn
from costmodel.commands.shared.request import Request
from costmodel.commands.shared.showing import show
from costmodel.convention import Cost
from costmodel.operators.layer import layer_notes, uncompressed_note
from costmodel.operators.registry import BRANCH_OPTIONS, costed_kinds, layer_cost, layer_kinds, operator
from costmodel.operators.spatial import SPATIAL_KINDS
from costmodel.report import Table
from costmodel.sizes import check_choice
from costmodel.tables.layer import kinds_table, quantities, quantities_table, spatial_kinds_table


def show_one_layer(op: str, request: Request) -> None:
    """Cost one layer of a kind, and show the other kinds beside it."""
    check_choice("op", op, costed_kinds())
    request = _without_idle(op, request)
    if request.layer.dim != 2 or op == "transposed":
        cost, kinds = _spatial(op, request)
    else:
        cost, kinds = _planar(op, request)
    payload = {"op": op, "dtype": request.dtype, "cost": quantities(cost, request.dtype)}
    tables = [quantities_table(cost, request.dtype), kinds]
    show("layer", tables, request.format, payload | request.question.said())


def _planar(op: str, request: Request) -> tuple[Cost, Table]:
    """Cost a layer in two dimensions, which may have branches."""
    (alpha, beta), *more = request.network.choices()
    if more or isinstance(alpha, tuple) or isinstance(beta, tuple):
        raise ValueError("--op costs one layer: it needs one alpha and one beta")
    layer = request.layer.layer(request.network, alpha, beta)
    cost = layer_cost(op, layer)
    if operator(op).has_branches:
        warn([*layer_notes(layer), *(uncompressed_note(layer) if op == "pwise" else [])])
    return cost, kinds_table(layer, op, request.dtype)


def _spatial(op: str, request: Request) -> tuple[Cost, Table]:
    """Cost a layer in one, two or three dimensions, or a transposed one."""
    if op not in SPATIAL_KINDS:
        needed = f"{', '.join(SPATIAL_KINDS)}; octave layers are defined in two dimensions"
        raise ValueError(f"op with --dim {request.layer.dim} must be one of {needed}, got {op}")
    layer = request.layer.spatial(request.network.size, transposed=op == "transposed")
    return SPATIAL_KINDS[op](layer), spatial_kinds_table(layer, op, request.dtype)


def _without_idle(op: str, request: Request) -> Request:
    """Return the request without options that do not apply to this kind of layer."""
    entry = operator(op) if op in layer_kinds() else None  # a transposed layer is no entry of the registry
    if entry and entry.has_branches:
        request = request.without("an octave layer's padding keeps its size", ("padding",))
    else:
        branches = ("alpha", *BRANCH_OPTIONS)
        request = request.without(f"a {op} layer has no branches", branches)
    for reason, options in entry.fixed.items() if entry else ():
        request = request.without(reason, options)
    if op == "octave" and request.layer.depthwise:
        request = request.without("the groups of depthwise paths are fixed", ("groups",))
    elif op == "octave":
        request = request.without("only depthwise paths can be without it", ("exchange",))
    if op != "transposed":
        request = request.without("it applies to transposed convolutions", ("output_padding",))
    return request
