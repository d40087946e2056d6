"""How long a network should take on a machine: a roofline for each operator, and a fixed cost per call.

An operator takes as long as its arithmetic or its memory traffic, whichever is longer, plus a fixed cost per
call. Arithmetic comes in blocks: a vector of float32 holds 16 output channels, a tile of bfloat16 32 input
channels; 12 channels cost as much as 16. The machine's numbers are measured
(`costmodel.speed.ceilings`). Source of the roofline: Williams, Waterman and Patterson (2009).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from costmodel.convention import dtype_bytes
from costmodel.operators.recorder import Operator

VECTOR = 16  # float32 channels in a vector with AVX-512; in bfloat16 the output channels of a tile
VECTORS = (4, 8, VECTOR)  # with SSE and NEON, with AVX2, with AVX-512
TILE = 32  # bfloat16 input channels of a tile

# A convolution's gradients move about twice the data of its forward pass; those of other operators 1.5 times.
TRAINING_TRAFFIC = {"conv": 3.0, "linear": 3.0}
OTHER_TRAINING_TRAFFIC = 2.5
TRAINING_CALLS = 3


@dataclass(frozen=True)
class Machine:
    """The ceilings of a machine: MACs per second, bytes per second, seconds per call.

    vector: float32 channels that the library's convolutions compute at once, one of VECTORS.
    """

    macs_per_second: Mapping[str, float]  # by dtype
    bytes_per_second: float
    seconds_per_call: float
    vector: int = VECTOR

    def scaled(self, factor: float) -> Machine:
        """Return a machine that takes `factor` times as long for everything."""
        return Machine(
            {dtype: rate / factor for dtype, rate in self.macs_per_second.items()},
            self.bytes_per_second / factor,
            self.seconds_per_call * factor,
            self.vector,
        )


@dataclass(frozen=True)
class Estimate:
    """Seconds of an operator by cause; arithmetic and traffic overlap."""

    arithmetic: float
    traffic: float
    calls: float

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return max(self.arithmetic, self.traffic) + self.calls

    @property
    def bound(self) -> str:
        """What takes most of the time, arithmetic, traffic or calls."""
        parts = {"arithmetic": self.arithmetic, "traffic": self.traffic, "calls": self.calls}
        return max(parts, key=parts.__getitem__)


def fill(channels: int, block: int) -> int:
    """Return the channels that whole blocks hold.

    >>> fill(12, 16), fill(48, 32)
    (16, 64)
    """
    return -(-channels // block) * block


def filling(operator: Operator, dtype: str, *, training: bool = False, vector: int = VECTOR) -> Fraction:
    """Return the ratio of computed to needed products, since blocks of channels may be partly filled.

    A forward pass fills blocks of output channels, the input's gradient blocks of input channels, the
    weights' gradient both, where half a vector of inputs is enough; bfloat16 also fills tiles of inputs.

    >>> from costmodel.operators.recorder import FeatureMap, Recorder
    >>> rec = Recorder()
    >>> _ = rec.conv("a", FeatureMap(12, (8, 8), "x"), 12, 3)
    >>> filling(rec.operators[0], "float32"), filling(rec.operators[0], "bfloat16")
    (Fraction(4, 3), Fraction(32, 9))
    >>> filling(rec.operators[0], "float32", vector=4)
    Fraction(1, 1)
    """
    c_in, c_out = channels_of(operator)
    out = Fraction(fill(c_out, vector), c_out)
    if training:
        into, half = Fraction(fill(c_in, vector), c_in), Fraction(fill(c_in, vector // 2), c_in)
        out = (out + into + out * half) / 3
    return out * Fraction(fill(c_in, TILE), c_in) if dtype == "bfloat16" else out


def vector_filling(part: str, channels: int, vector: int = VECTOR) -> float:
    """Return the slow-down of an operator relative to full vectors of channels.

    Pooling and upsampling load vectors of channels; normalisation finishes what is left of half a
    vector one by one.

    >>> vector_filling("pool", 8), vector_filling("bn", 8), vector_filling("activation", 8)
    (2.0, 1.0, 1.0)
    """
    if part not in ("bn", "pool", "upsample") or (part == "bn" and channels % (vector // 2) == 0):
        return 1.0
    left_over = 1.25 if channels % (vector // 2) else 1.0
    return left_over * fill(channels, vector) / channels


def estimate(
    operator: Operator, machine: Machine, dtype: str, *, training: bool = False, in_blocks: bool = True
) -> Estimate:
    """Return how long an operator takes, forward or in a training step.

    in_blocks: whether channels come in blocks, full or not. Not so where vectors hold images; there
        convolutions read and write what is in the cache, and only passes over maps take time for traffic.

    Raises:
        ValueError: if the machine's rate for `dtype` is not known.
    """
    if dtype not in machine.macs_per_second:
        known = ", ".join(machine.macs_per_second)
        raise ValueError(f"dtype must be one whose rate was measured ({known}), got {dtype}")
    cost = operator.cost
    macs = cost.macs_training if training else cost.macs
    moved = _elements_moved(operator, dtype, machine.vector) * dtype_bytes(dtype)
    if not in_blocks:
        elements = 0 if operator.has_weights else cost.elements_read + cost.elements_written
        moved = float(elements) * dtype_bytes(dtype)
    if training:
        moved *= TRAINING_TRAFFIC.get(operator.part, OTHER_TRAINING_TRAFFIC)
    rate = machine.macs_per_second[dtype]
    filled = filling(operator, dtype, training=training, vector=machine.vector) if in_blocks else 1
    work = float(macs * filled) / rate if operator.has_weights else 0.0
    calls = float(cost.calls) * machine.seconds_per_call * (TRAINING_CALLS if training else 1)
    return Estimate(work, moved / machine.bytes_per_second, calls)


def _elements_moved(operator: Operator, dtype: str, vector: int) -> float:
    """Return the elements that an operator reads and writes, where parts of vectors count as whole ones.

    Convolutions in bfloat16 copy what they read into tiles, and write no parts of vectors.
    """
    cost, (c_in, c_out) = operator.cost, channels_of(operator)
    if not operator.has_weights:
        return float(cost.elements_read + cost.elements_written) * vector_filling(operator.part, c_in, vector)
    if dtype == "bfloat16":
        return float(cost.elements_read + cost.elements_written)
    inputs = float(cost.elements_read - cost.weights) * fill(c_in, vector) / c_in
    return inputs + float(cost.weights) + float(cost.elements_written) * fill(c_out, vector) / c_out


def channels_of(operator: Operator) -> tuple[int, int]:
    """Return the numbers of input and output channels.

    Raises:
        ValueError: if the operator was recorded without them.
    """
    if operator.channels is None:
        raise ValueError(f"{operator.name} was recorded without channels")
    c_in, c_out = operator.channels
    return int(c_in), int(c_out)
