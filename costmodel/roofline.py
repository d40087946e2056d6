"""How long a network should take on a machine: a roofline for each operator, and a price for each call.

An operator takes as long as its arithmetic or its memory traffic, whichever is longer, and a call of it costs
something even when it does nothing. Arithmetic comes in blocks: a vector of float32 holds 16 output channels,
a tile of bfloat16 32 input channels; 12 channels cost what 16 cost. The machine's numbers are measured
(`costmodel.ceilings`). Source of the roofline: Williams, Waterman and Patterson (2009).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from costmodel.convention import Cost, dtype_bytes
from costmodel.recorder import Operator

VECTOR = 16  # float32 channels in a vector; in bfloat16 the output channels of a tile
TILE = 32  # bfloat16 input channels of a tile

PLANS = ("reference", "lean", "folded")

# A convolution's gradients move about twice what its forward pass does; those of others once and a half.
_TRAINING_TRAFFIC = {"conv": 3.0, "linear": 3.0}
_OTHER_TRAINING_TRAFFIC = 2.5
_TRAINING_CALLS = 3

_STEPS = ("reduce", "spatial", "expand")  # the convolutions of a bottleneck


@dataclass(frozen=True)
class Machine:
    """What a machine can do at most: MACs a second, bytes a second, seconds a call."""

    macs_per_second: Mapping[str, float]  # by dtype
    bytes_per_second: float
    seconds_per_call: float

    def scaled(self, factor: float) -> Machine:
        """Return a machine that takes `factor` times as long for everything."""
        return Machine(
            {dtype: rate / factor for dtype, rate in self.macs_per_second.items()},
            self.bytes_per_second / factor,
            self.seconds_per_call * factor,
        )


@dataclass(frozen=True)
class Estimate:
    """Seconds of an operator by what takes them; arithmetic and traffic overlap."""

    arithmetic: float
    traffic: float
    calls: float

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return max(self.arithmetic, self.traffic) + self.calls

    @property
    def bound(self) -> str:
        """What takes most of the time: arithmetic, traffic or calls."""
        parts = {"arithmetic": self.arithmetic, "traffic": self.traffic, "calls": self.calls}
        return max(parts, key=parts.__getitem__)


def fill(channels: int, block: int) -> int:
    """Return the channels that whole blocks hold.

    >>> fill(12, 16), fill(48, 32)
    (16, 64)
    """
    return -(-channels // block) * block


def filling(operator: Operator, dtype: str, *, training: bool = False) -> Fraction:
    """Return how many times as much is computed as needed, since blocks of channels are not full.

    A forward pass fills blocks of output channels, the input's gradient blocks of input channels, the
    weights' gradient both, where half a vector of inputs is enough; bfloat16 also fills tiles of inputs.

    >>> from costmodel.recorder import FeatureMap, Recorder
    >>> rec = Recorder()
    >>> _ = rec.conv("a", FeatureMap(12, (8, 8), "x"), 12, 3)
    >>> filling(rec.operators[0], "float32"), filling(rec.operators[0], "bfloat16")
    (Fraction(4, 3), Fraction(32, 9))
    """
    c_in, c_out = _channels(operator)
    out = Fraction(fill(c_out, VECTOR), c_out)
    if training:
        into, half = Fraction(fill(c_in, VECTOR), c_in), Fraction(fill(c_in, VECTOR // 2), c_in)
        out = (out + into + out * half) / 3
    return out * Fraction(fill(c_in, TILE), c_in) if dtype == "bfloat16" else out


def vector_filling(part: str, channels: int) -> float:
    """Return how many times as long an operator takes as with full vectors of channels.

    Pooling and upsampling load vectors of channels; normalisation finishes what is left of 8 one by one.

    >>> vector_filling("pool", 8), vector_filling("bn", 8), vector_filling("activation", 8)
    (2.0, 1.0, 1.0)
    """
    if part not in ("bn", "pool", "upsample") or (part == "bn" and channels % (VECTOR // 2) == 0):
        return 1.0
    left_over = 1.25 if channels % (VECTOR // 2) else 1.0
    return left_over * fill(channels, VECTOR) / channels


def estimate(operator: Operator, machine: Machine, dtype: str, *, training: bool = False) -> Estimate:
    """Return how long an operator takes, forward or in a training step.

    Raises:
        ValueError: if the machine's rate for `dtype` is not known.
    """
    if dtype not in machine.macs_per_second:
        known = ", ".join(machine.macs_per_second)
        raise ValueError(f"dtype must be one whose rate was measured ({known}), got {dtype}")
    cost = operator.cost
    macs = cost.macs_training if training else cost.macs
    moved = float((cost.elements_read + cost.elements_written) * dtype_bytes(dtype))
    if training:
        moved *= _TRAINING_TRAFFIC.get(operator.part, _OTHER_TRAINING_TRAFFIC)
    moved *= vector_filling(operator.part, _channels(operator)[0])
    rate = machine.macs_per_second[dtype]
    work = float(macs * filling(operator, dtype, training=training)) / rate if operator.has_weights else 0.0
    calls = float(cost.calls) * machine.seconds_per_call * (_TRAINING_CALLS if training else 1)
    return Estimate(work, moved / machine.bytes_per_second, calls)


def seconds(
    operators: Iterable[Operator],
    machine: Machine,
    dtype: str,
    *,
    training: bool = False,
    plan: str = "reference",
) -> float:
    """Return how long a network takes by a plan."""
    if plan not in PLANS:
        raise ValueError(f"plan must be one of {', '.join(PLANS)}, got {plan}")
    if plan != "folded":
        return sum(estimate(op, machine, dtype, training=training).seconds for op in operators)
    return sum(_folded(group, machine, dtype) for group in _groups(operators))


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


def _folded(group: list[Operator], machine: Machine, dtype: str) -> float:
    """Return the seconds of a convolution or a bottleneck, merged where its 1x1 convolutions cost more."""
    if len(group) > 1:
        one = merged(*group)
        vectors = [op.cost.macs * filling(op, "float32") for op in (one, *group)]
        group = [one] if 2 * vectors[0] <= 3 * sum(vectors[1:]) else group
    return sum(estimate(operator, machine, dtype).seconds for operator in group)


def merged(reduce: Operator, spatial: Operator, expand: Operator) -> Operator:
    """Return the one kxk convolution that a bottleneck without anything in between amounts to.

    >>> from costmodel.convention import Cost
    >>> from costmodel.recorder import FeatureMap, Recorder
    >>> rec = Recorder()
    >>> x = rec.conv("a.reduce", FeatureMap(4, (8, 8), "x"), 2, 1)
    >>> _ = rec.conv("a.expand", rec.conv("a.spatial", x, 2, 3), 6, 1)
    >>> merged(*rec.operators).cost.macs == 9 * 4 * 6 * 8 * 8
    True
    """
    (c_in, m), c_out = _channels(reduce), _channels(expand)[1]
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


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Return Spearman's rank correlation; equal values share their mean rank.

    Raises:
        ValueError: if the lengths differ, or fewer than two values are given.

    >>> rank_correlation([1, 2, 3], [10, 20, 30]), rank_correlation([1, 2, 3], [3, 2, 1])
    (1.0, -1.0)
    """
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"need two lists of one length of at least 2, got {len(a)} and {len(b)} values")
    x, y = _ranks(a), _ranks(b)
    mean = (len(a) + 1) / 2
    covariance = sum((p - mean) * (q - mean) for p, q in zip(x, y, strict=True))
    norm = (sum((p - mean) ** 2 for p in x) * sum((q - mean) ** 2 for q in y)) ** 0.5
    if norm == 0:
        raise ValueError("the ranks of equal values have no correlation")
    return float(covariance / norm)


def _ranks(values: Sequence[float]) -> list[float]:
    return [sum(v < value for v in values) + (sum(v == value for v in values) + 1) / 2 for value in values]


def _channels(operator: Operator) -> tuple[int, int]:
    if operator.channels is None:
        raise ValueError(f"{operator.name} was recorded without channels")
    c_in, c_out = operator.channels
    return int(c_in), int(c_out)
