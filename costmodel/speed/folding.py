"""The operators that remain when a plan folds a layer for inference: fewer, computing the same function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod

from costmodel.convention import Cost
from costmodel.networks.network import layers
from costmodel.operators.recorder import Operator
from costmodel.sizes import exact_div
from costmodel.speed.roofline import TILE, channels_of, fill, filling

# Widest map, in channels, into which a layer's high and low pixels are packed.
PACKED_CHANNELS = {"float32": 32, "bfloat16": 64}

_STEPS = ("reduce", "spatial", "expand")  # the convolutions of a bottleneck


def folded_layers(operators: Iterable[Operator], dtype: str) -> Iterator[tuple[str, list[Operator]]]:
    """Yield the layers of a network with the operators that remain under the plan "folded".

    Blocks keep their maps packed where both layers can, and input and output have the same channels.
    """
    found = list(layers(list(operators)))
    blocks: dict[str, list[list[Operator]]] = {}
    for name, layer in found:
        if any(operator.part == "conv" for operator in layer):
            blocks.setdefault(name.rpartition(".")[0], []).append(layer)
    packing = {name for name, block in blocks.items() if _keeps_packed(block, dtype)}
    for name, layer in found:
        yield name, folded(layer, dtype, packs=name.rpartition(".")[0] in packing)


def folded(layer: Sequence[Operator], dtype: str, *, packs: bool = True) -> list[Operator]:
    """Return the operators of a layer that remain under the plan "folded".

    Normalisation, ReLU and addition are part of the convolutions. Narrow octave layers become one convolution
    between packed maps, bottlenecks one convolution where that takes fewer vectors than three.

    packs: whether its block keeps its maps packed, if the layer can.
    """
    groups = list(_groups(layer))
    single = _single(groups)
    if packs and _is_packed(single, dtype):
        return [packed(single, dtype)]
    return [operator for group in groups for operator in _merge_if_better(group, "float32")]


def _single(groups: Iterable[list[Operator]]) -> list[Operator]:
    return [merged(*group) if len(group) > 1 else group[0] for group in groups]


def _keeps_packed(block: Sequence[Sequence[Operator]], dtype: str) -> bool:
    """Whether the layers with weights are two that can be packed, of the same channels."""
    paths = [_single(_groups(layer)) for layer in block]
    if len(paths) != 2 or not all(_is_packed(single, dtype) for single in paths):
        return False
    first, second = ([op.channels for op in single if op.part == "conv"] for single in paths)
    return first == second


def native(layer: Sequence[Operator]) -> list[Operator]:
    """Return the operators of a layer that "native" leaves: nothing packed, bottlenecks merged by MACs."""
    return [operator for group in _groups(layer) for operator in _merge_if_better(group, None)]


def _groups(operators: Iterable[Operator]) -> Iterator[list[Operator]]:
    """Yield the operators that remain after fusion into convolutions: bottlenecks whole, others alone."""
    groups: dict[str, list[Operator]] = {}
    separate = set()
    for operator in operators:
        owner, _, step = operator.name.rpartition(".")
        if step.endswith("_bn"):
            separate.add(owner)
        if operator.part not in ("bn", "activation", "add"):
            groups.setdefault(owner if step in _STEPS else operator.name, []).append(operator)
    for owner, group in groups.items():
        yield from [[operator] for operator in group] if owner in separate else [group]


def _merge_if_better(group: list[Operator], vectors_of: str | None) -> list[Operator]:
    if len(group) == 1:
        return group
    one = merged(*group)
    work = [op.cost.macs * (filling(op, vectors_of) if vectors_of else 1) for op in (one, *group)]
    return [one] if 2 * work[0] <= 3 * sum(work[1:]) else group


def _is_packed(paths: Sequence[Operator], dtype: str) -> bool:
    """Whether these are the four 3x3 convolutions of a narrow layer that keeps its channels."""
    found = {operator.name.rpartition(".")[2]: operator for operator in paths if operator.part == "conv"}
    if found.keys() != {"hh", "hl", "lh", "ll"}:
        return False
    (high, high_out), (low, low_out) = channels_of(found["hh"]), channels_of(found["ll"])
    is_3x3 = all(op.cost.weights == 9 * prod(channels_of(op)) for op in found.values())
    keeps = (high, low) == (high_out, low_out) and _has_even_size(found["hh"])
    return keeps and is_3x3 and 4 * high + low <= PACKED_CHANNELS.get(dtype, 0)


def _has_even_size(operator: Operator) -> bool:
    return operator.size is not None and all(int(n) % 2 == 0 for n in operator.size)


def packed_channels(high: int, low: int, dtype: str) -> int:
    """Return the channels of a packed map; in bfloat16 whole tiles, if these are nearly full.

    >>> packed_channels(4, 12, "bfloat16"), packed_channels(8, 8, "bfloat16")
    (32, 40)
    """
    channels = 4 * high + low
    filled = fill(channels, TILE)
    return filled if dtype == "bfloat16" and 7 * channels >= 6 * filled else channels


def packed(paths: Sequence[Operator], dtype: str) -> Operator:
    """Return the one convolution of an octave layer between maps of 4 c_H + c_L low-resolution channels."""
    found = {operator.name.rpartition(".")[2]: operator for operator in paths}
    high, low = channels_of(found["hh"])[0], channels_of(found["ll"])[0]
    channels, pixels = packed_channels(high, low, dtype), exact_div(found["ll"].cost.activations, low)
    weights = 9 * channels * channels
    cost = Cost(
        weights=weights,
        macs=weights * pixels,
        activations=channels * pixels,
        elements_read=channels * pixels + weights,
        elements_written=channels * pixels,
        calls=1,
    )
    name, size = found["hh"].name.rpartition(".")[0], found["ll"].size
    return Operator(name, "conv", cost, channels=(channels, channels), size=size)


def merged(reduce: Operator, spatial: Operator, expand: Operator) -> Operator:
    """Return the kxk convolution equivalent to a bottleneck with nothing in between.

    >>> from costmodel.convention import Cost
    >>> from costmodel.operators.recorder import FeatureMap, Recorder
    >>> rec = Recorder()
    >>> x = rec.conv("a.reduce", FeatureMap(4, (8, 8), "x"), 2, 1)
    >>> _ = rec.conv("a.expand", rec.conv("a.spatial", x, 2, 3), 6, 1)
    >>> merged(*rec.operators).cost.macs == 9 * 4 * 6 * 8 * 8
    True
    """
    (c_in, m), c_out = channels_of(reduce), channels_of(expand)[1]
    taps = exact_div(spatial.cost.weights, m * m)
    weights = taps * c_in * c_out
    inputs = reduce.cost.elements_read - reduce.cost.weights
    outputs = expand.cost.activations
    cost = Cost(
        weights=weights,
        macs=taps * c_in * outputs,
        activations=outputs,
        elements_read=inputs + weights,
        elements_written=outputs,
        calls=1,
    )
    name = reduce.name.removesuffix(".reduce")
    return Operator(name, "conv", cost, channels=(c_in, c_out), size=expand.size)
