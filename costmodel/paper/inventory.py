"""What there is in a network, kind by kind, for every way to build it where the paper is silent.

An inventory counts kinds of things (filters outside bottlenecks, first 1x1 convolutions, BN channels, ...). A
count under a reading is then a weighted sum: what there is times what is counted (`counting.py`). All inner
convolutions of a stage are alike, so a network is a handful of layers, each with the times it occurs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, lru_cache
from typing import NamedTuple, TypeAlias

from costmodel.convention import Cost
from costmodel.networks.network import POINTWISE, SPATIAL
from costmodel.operators.octave import OctaveLayer, PathRequest, octave_map, plain_path, record_octave
from costmodel.operators.pointwise import linear
from costmodel.operators.pwise_octave import record_bottleneck
from costmodel.operators.recorder import FeatureMap, Recorder
from costmodel.operators.standard import convolution
from costmodel.paper.printed import BETA
from costmodel.rounding import hidden, split
from costmodel.sizes import Pair

WIDTH, SIZE, CLASSES = 16, 32, 10

# Where the stride of a stage's first convolution acts: A, B, C of `costmodel.operators.octave`;
# "C-spatial" is C with a bottleneck's stride on its kxk instead of its first 1x1.
STRIDES = ("A", "B", "C", "C-spatial")
# The shortcut of a stage change: without parameters, a standard 1x1 convolution, a 1x1 OctConv, or one with
# the same paths as bottlenecks. That of the first and of the last block: no parameters, or a 1x1 OctConv.
SHORTCUTS = ("free", "plain", "octave", "bottleneck")
END_SHORTCUTS = ("free", "octave")

# Kinds in the convolutions of blocks and of shortcuts. `bias_...` are numbers a bias could have.
CONV_KINDS = (
    "plain",  # filters outside bottlenecks
    "reduce",  # first 1x1 convolutions of bottlenecks
    "spatial",  # their kxk convolutions
    "expand",  # their second 1x1 convolutions
    "bias_plain",  # outputs of standard convolutions
    "bias_branch",  # outputs of octave convolutions, branch by branch
    "bias_path",  # outputs of octave convolutions, path by path
    "bias_inner",  # outputs of the first two convolutions of bottlenecks
)
KINDS = (
    *CONV_KINDS,
    *(f"shortcut_{kind}" for kind in CONV_KINDS),
    "stem",
    "stem_bias",
    "head",
    "head_bias",
    "bn",  # channels behind a convolution of a block
    "bn_inner",  # channels behind the first two convolutions of bottlenecks
)

Amounts: TypeAlias = dict[str, int]


@dataclass(frozen=True)
class Build:
    """How a network is built where the paper is silent; by default as in `costmodel.networks.resnet`."""

    width_rule: str = "out"
    compress_first: bool = False
    compress_last: bool = False
    compress_change: bool = True  # the first convolution of stages 2 and 3
    shortcut: str = "octave"
    end_shortcut: str = "free"
    stride: str = "C"


class NetworkVariant(NamedTuple):
    """The network that is built: blocks per stage, alpha, paths that are bottlenecks; plain at alpha 0."""

    n: int
    alpha: Fraction
    paths: frozenset[str]


class Inventory(NamedTuple):
    """What there is, by kind: parameters and MACs. A kind that does no multiplying has no MACs."""

    params: Amounts
    macs: Amounts

    def add(self, other: Inventory, times: int = 1) -> None:
        """Add another inventory, so many times."""
        for mine, theirs in zip(self, other, strict=True):
            for kind, amount in theirs.items():
                mine[kind] = mine.get(kind, 0) + times * amount


class Piece(NamedTuple):
    """A convolution as it occurs in a network: layer, input size, bottleneck paths, how many there are."""

    layer: OctaveLayer
    size: int
    paths: frozenset[str]
    times: int
    is_shortcut: bool = False


def inventory(subject: NetworkVariant, build: Build) -> Inventory:
    """Return what there is in a network that is built in one way.

    >>> there = inventory(NetworkVariant(9, Fraction(0), frozenset()), Build())
    >>> there.params["plain"] == 9 * (18 * 16**2 + 16 * 32 + 17 * 32**2 + 32 * 64 + 17 * 64**2)
    True
    """
    total = _ends(subject)
    for piece in (*_blocks(subject, build), *_shortcuts(subject, build)):
        total.add(_piece(piece, build, subject.alpha == 0), piece.times)
    return total


def _ends(subject: NetworkVariant) -> Inventory:
    stem, head = _stem_and_head()
    params = {
        "stem": stem.weights,
        "stem_bias": WIDTH,
        "head": head.weights,
        "head_bias": head.biases,
        "bn": WIDTH + 2 * subject.n * (WIDTH + 2 * WIDTH + 4 * WIDTH),
    }
    return Inventory(params, {"stem": stem.macs, "head": head.macs})


# A search asks for the same few layers a hundred thousand times.
@cache
def _stem_and_head() -> tuple[Cost, Cost]:
    return convolution(3, WIDTH, SPATIAL, SIZE), linear(4 * WIDTH, CLASSES)


@lru_cache(maxsize=256)
def _channels(alpha: Fraction) -> tuple[Pair, Pair, Pair]:
    first, second, third = (split(WIDTH * 2**stage, alpha) for stage in range(3))
    return first, second, third


@lru_cache(maxsize=4096)
def _layer(c_in: Pair, c_out: Pair, kernel: Pair, stride: int, rule: str) -> OctaveLayer:
    return OctaveLayer(c_in, c_out, kernel, stride, stride_rule=rule)


def _blocks(subject: NetworkVariant, build: Build) -> Iterator[Piece]:
    """The 3x3 convolutions: 2n a stage, of which the first, the last and those of stage changes stand out."""
    (one, two, three), rule = _channels(subject.alpha), _rule(build)
    chosen = {True: subject.paths, False: frozenset[str]()}
    first, change, last = build.compress_first, build.compress_change, build.compress_last
    n = subject.n

    def layer(c_in: Pair, c_out: Pair, stride: int = 1) -> OctaveLayer:
        return _layer(c_in, c_out, SPATIAL, stride, rule)

    yield Piece(layer((WIDTH, 0), one), 32, chosen[first], 1)
    yield Piece(layer(one, one), 32, subject.paths, 2 * n - 1)
    yield Piece(layer(one, two, 2), 32, chosen[change], 1)
    yield Piece(layer(two, two), 16, subject.paths, 2 * n - 1)
    yield Piece(layer(two, three, 2), 16, chosen[change], 1)
    yield Piece(layer(three, three), 8, subject.paths, 2 * n - 2)
    yield Piece(layer(three, (4 * WIDTH, 0)), 8, chosen[last], 1)


def _shortcuts(subject: NetworkVariant, build: Build) -> Iterator[Piece]:
    (one, two, three), rule = _channels(subject.alpha), _rule(build)
    nothing = frozenset[str]()
    if build.shortcut != "free":
        paths = subject.paths if build.shortcut == "bottleneck" else nothing
        for c_in, c_out, size in ((one, two, 32), (two, three, 16)):
            if build.shortcut == "plain":
                c_in, c_out = (sum(c_in), 0), (sum(c_out), 0)
            yield Piece(_layer(c_in, c_out, POINTWISE, 2, rule), size, paths, 1, True)
    if build.end_shortcut == "octave" and subject.alpha:
        yield Piece(_layer((WIDTH, 0), one, POINTWISE, 1, "C"), 32, nothing, 1, True)
        yield Piece(_layer(three, (4 * WIDTH, 0), POINTWISE, 1, "C"), 8, nothing, 1, True)


def _rule(build: Build) -> str:
    return build.stride.removesuffix("-spatial")


def _piece(piece: Piece, build: Build, is_plain: bool) -> Inventory:
    layer = piece.layer
    standard = is_plain or (piece.is_shortcut and build.shortcut == "plain" and layer.stride != 1)
    prefix = "shortcut_" if piece.is_shortcut else ""
    return _inventory(
        layer, piece.size, piece.paths, build.width_rule, build.stride == "C-spatial", standard, prefix
    )


@lru_cache(maxsize=4096)
def _inventory(
    layer: OctaveLayer, size: int, paths: frozenset[str], rule: str, late: bool, standard: bool, prefix: str
) -> Inventory:
    """What there is in one convolution; `late` puts a bottleneck's stride on its kxk."""
    ends = {path: layer.channels(path) for path in layer.paths}
    widths = {path: hidden(*ends[path], BETA, rule) for path in layer.paths if path in paths}
    rec = Recorder()

    def convolve(rec: Recorder, request: PathRequest) -> FeatureMap:
        if request.path not in widths:
            return plain_path(rec, replace(request, name=f"{request.name}.plain"))
        record = _record_late_stride if late and request.stride != 1 else record_bottleneck
        return record(rec, request, widths[request.path])

    record_octave(rec, "conv", octave_map(layer.c_in, size), layer, convolve)
    found = Inventory({}, {})
    for operator in rec.operators:
        if operator.part == "conv":
            kind = prefix + operator.name.rsplit(".", 1)[-1]
            found.add(Inventory({kind: operator.cost.weights}, {kind: operator.cost.macs}))
    return _with_biases(found, layer, widths, standard, prefix)


def _with_biases(
    found: Inventory, layer: OctaveLayer, widths: Mapping[str, int], standard: bool, prefix: str
) -> Inventory:
    outputs = sum(layer.c_out)
    inner = 2 * sum(widths.values())
    octave = {
        "bias_branch": outputs,
        "bias_path": sum(layer.channels(path)[1] for path in layer.paths),
        "bias_inner": inner,
    }
    biases = {"bias_plain": outputs} if standard else octave
    params = {prefix + kind: amount for kind, amount in biases.items()}
    found.add(Inventory({**params, "bn_inner": inner}, {}))
    return found


def _record_late_stride(rec: Recorder, request: PathRequest, width: int) -> FeatureMap:
    """Record a bottleneck whose kxk carries the stride."""
    name = request.name
    y = rec.conv(f"{name}.reduce", request.x, width, 1)
    y = rec.conv(f"{name}.spatial", y, width, request.layer.kernel, stride=request.stride)
    return rec.conv(f"{name}.expand", y, request.channels[1], 1)
