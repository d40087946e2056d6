"""What is left of a layer when a plan folds it for inference: fewer operators that compute the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from costmodel.convention import Cost
from costmodel.operators.recorder import Operator
from costmodel.speed.roofline import channels_of, filling

# Widest map, in channels, into which a layer's high and low pixels are packed.
PACKED_CHANNELS = {"float32": 32, "bfloat16": 64}

_STEPS = ("reduce", "spatial", "expand")  # the convolutions of a bottleneck


def folded(layer: Sequence[Operator], dtype: str) -> list[Operator]:
    """Return the operators of a layer that are left by plan "folded".

    Convolutions normalise, rectify and add. Narrow octave layers become one convolution between packed maps,
    bottlenecks one convolution where that takes fewer vectors than their 1x1 convolutions.
    """
    groups = list(_groups(layer))
    single = [merged(*group) if len(group) > 1 else group[0] for group in groups]
    if _is_packed(single, dtype):
        return [packed(single)]
    return [operator for group in groups for operator in _merge_if_better(group, "float32")]


def native(layer: Sequence[Operator]) -> list[Operator]:
    """Return the operators of a layer left by plan "native": nothing packed, bottlenecks merged by MACs."""
    return [operator for group in _groups(layer) for operator in _merge_if_better(group, None)]


def _groups(operators: Iterable[Operator]) -> Iterator[list[Operator]]:
    """Yield what is left when convolutions normalise, rectify and add: bottlenecks whole, others alone."""
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
    is_3x3 = found["ll"].cost.weights == 9 * low * low_out
    return (high, low) == (high_out, low_out) and is_3x3 and 4 * high + low <= PACKED_CHANNELS[dtype]


def packed(paths: Sequence[Operator]) -> Operator:
    """Return the one convolution of an octave layer between maps of 4 c_H + c_L low-resolution channels."""
    found = {operator.name.rpartition(".")[2]: operator for operator in paths}
    high, low = channels_of(found["hh"])[0], channels_of(found["ll"])[0]
    channels, pixels = 4 * high + low, found["ll"].cost.activations // low
    weights = 9 * channels * channels
    cost = Cost(
        weights=weights,
        macs=weights * pixels,
        activations=channels * pixels,
        elements_read=channels * pixels + weights,
        elements_written=channels * pixels,
        calls=1,
    )
    return Operator(found["hh"].name.rpartition(".")[0], "conv", cost, channels=(channels, channels))


def merged(reduce: Operator, spatial: Operator, expand: Operator) -> Operator:
    """Return the one kxk convolution that a bottleneck without anything in between amounts to.

    >>> from costmodel.convention import Cost
    >>> from costmodel.operators.recorder import FeatureMap, Recorder
    >>> rec = Recorder()
    >>> x = rec.conv("a.reduce", FeatureMap(4, (8, 8), "x"), 2, 1)
    >>> _ = rec.conv("a.expand", rec.conv("a.spatial", x, 2, 3), 6, 1)
    >>> merged(*rec.operators).cost.macs == 9 * 4 * 6 * 8 * 8
    True
    """
    (c_in, m), c_out = channels_of(reduce), channels_of(expand)[1]
    taps = spatial.cost.weights // (m * m)
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
    return Operator(reduce.name.removesuffix(".reduce"), "conv", cost, channels=(c_in, c_out))
