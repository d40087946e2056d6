"""The CIFAR ResNets (plain, octave, pointwise octave) as lists of operators.

The network of depth 6n + 2 has a stem, three stages of n blocks with widths w, 2w, 4w, and a linear head.
Every 3x3 convolution of the blocks is an octave convolution; the first has alpha_in = 0, the last
alpha_out = 0, and neither is ever compressed. Operator names are those of the modules in `pwoct.resnet`.
Sources: He et al. (2016), sections 3.3 and 4.2; Inoue and Gotoh, section 6.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from costmodel.networks.stages import STAGES
from costmodel.operators.octave import OctaveLayer, PathConvolution, plain_path, record_octave, strided
from costmodel.operators.recorder import FeatureMap, OctaveMap, Operator, Recorder
from costmodel.sizes import Pair, Size, check_choice, check_sizes

SHORTCUTS = ("A", "B")
POINTWISE, SPATIAL = (1, 1), (3, 3)


@dataclass(frozen=True)
class Backbone:
    """The properties that all variants of a network share; `size` is the input's (h, w)."""

    n: int
    width: Size = 16
    classes: Size = 10
    in_channels: Size = 3
    size: Pair = (32, 32)
    stride_rule: str = "C"
    shortcut: str = "B"  # of a stage change: a 1x1 convolution, or A: no parameters

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"a stage needs at least 1 block, got {self.n}")
        check_choice("shortcut", self.shortcut, SHORTCUTS)
        if self.shortcut == "A" and self.stride_rule != "C":
            raise ValueError(
                f"shortcut A keeps every second pixel and needs stride rule C, got {self.stride_rule}"
            )
        check_sizes(width=self.width, classes=self.classes, in_channels=self.in_channels, size=self.size)

    @property
    def depth(self) -> int:
        """The number of weighted layers, 6n + 2."""
        return 6 * self.n + 2

    def channels(self, stage: int) -> Size:
        """Return the width of a stage: w, 2w, 4w."""
        return self.width * 2**stage


class Design(Protocol):
    """The differences between networks of one backbone: the split of channels, and the bottlenecks."""

    @property
    def is_plain(self) -> bool:
        """Whether every convolution is a standard one, without branches."""
        ...

    def split(self, stage: int) -> Pair:
        """Return the (high, low) channels of a stage."""
        ...

    def convolve(self, source: int, stage: int) -> PathConvolution:
        """Return the recorder of the paths of a 3x3 convolution from the channels of one stage to another's.

        It is not called for the first and last convolution of a network, which are never compressed.
        """
        ...


def record_resnet(backbone: Backbone, design: Design, batch: Size = 1) -> list[Operator]:
    """Return the operators of a network in the order in which they run."""
    rec = Recorder(batch)
    x = _record_stem(rec, backbone)
    for stage in STAGES:
        for block in range(backbone.n):
            with rec.at(stage=stage, block=block):
                x = _Block(rec, backbone, design, stage, block).record(x)
    _record_head(rec, backbone, x)
    return rec.operators


def fold(operators: Iterable[Operator], inner: Size) -> list[Operator]:
    """Return the operators of a network of three blocks per stage, the middle one counted `inner` times.

    All inner blocks of a stage cost the same, so this represents a network of inner + 2 blocks per stage.
    """
    return [replace(op, cost=op.cost * inner) if op.place.block == 1 else op for op in operators]


def _record_stem(rec: Recorder, backbone: Backbone) -> OctaveMap:
    image = FeatureMap(backbone.in_channels, backbone.size, "input")
    with rec.at(role="stem"):
        x = rec.conv("stem", image, backbone.width, SPATIAL, input_grad=False)
        return OctaveMap(rec.relu("stem_relu", rec.bn("stem_bn", x)), None)


def _record_head(rec: Recorder, backbone: Backbone, x: OctaveMap) -> None:
    if x.high is None:
        raise ValueError("the last convolution must leave a high branch")
    with rec.at(role="head"):
        rec.linear("fc", rec.global_pool("pool", x.high), backbone.classes)


@dataclass(frozen=True)
class _Block:
    """A residual block: conv, BN, ReLU, conv, BN, add the shortcut, ReLU."""

    rec: Recorder
    backbone: Backbone
    design: Design
    stage: int
    block: int

    @property
    def name(self) -> str:
        return f"stages.{self.stage}.{self.block}"

    @property
    def is_first(self) -> bool:
        return self.stage == 0 and self.block == 0

    @property
    def is_last(self) -> bool:
        return self.stage == STAGES[-1] and self.block == self.backbone.n - 1

    @property
    def changes_stage(self) -> bool:
        return self.stage > 0 and self.block == 0

    @property
    def c_in(self) -> Pair:
        if self.is_first:
            return self.backbone.width, 0
        return self.design.split(self.source)

    @property
    def source(self) -> int:
        """The stage whose channels enter the block."""
        return self.stage - 1 if self.changes_stage else self.stage

    @property
    def c_out(self) -> Pair:
        if self.is_last:
            return self.backbone.channels(self.stage), 0
        return self.design.split(self.stage)

    @property
    def stride(self) -> int:
        return 2 if self.changes_stage else 1

    @property
    def size(self) -> Pair:
        """The size of the high output, whether or not that branch exists."""
        return strided(self.backbone.size, 2**self.stage)

    def record(self, x: OctaveMap) -> OctaveMap:
        middle = self.design.split(self.stage)
        first = plain_path if self.is_first else self.design.convolve(self.source, self.stage)
        last = plain_path if self.is_last else self.design.convolve(self.stage, self.stage)
        y = self._conv("conv1", x, self._layer(self.c_in, middle, self.stride), first)
        inner = self._each("relu1", self.rec.relu, self._each("bn1", self.rec.bn, y))
        y = self._conv("conv2", inner, self._layer(middle, self.c_out), last)
        y = self._each("bn2", self.rec.bn, y)
        with self.rec.at(role="shortcut"):
            shortcut = self._shortcut(x)
        y = OctaveMap(
            *(self._add(branch, a, b) for branch, a, b in zip(("high", "low"), y, shortcut, strict=True))
        )
        return self._each("relu2", self.rec.relu, y)

    def _layer(self, c_in: Pair, c_out: Pair, stride: int = 1, kernel: Pair = SPATIAL) -> OctaveLayer:
        return OctaveLayer(c_in, c_out, kernel, stride, stride_rule=self.backbone.stride_rule)

    def _conv(self, child: str, x: OctaveMap, layer: OctaveLayer, convolve: PathConvolution) -> OctaveMap:
        name = f"{self.name}.{child}"
        if self.design.is_plain:
            return self._plain_conv(name, x, layer)
        return record_octave(self.rec, name, x, layer, convolve, self.size)

    def _plain_conv(self, name: str, x: OctaveMap, layer: OctaveLayer) -> OctaveMap:
        assert x.high is not None
        return OctaveMap(self.rec.conv(name, x.high, layer.c_out[0], layer.kernel, stride=layer.stride), None)

    def _each(self, child: str, operator: Callable[[str, FeatureMap], FeatureMap], x: OctaveMap) -> OctaveMap:
        return OctaveMap(
            *(y and operator(self._branch(child, b), y) for b, y in zip(("high", "low"), x, strict=True))
        )

    def _branch(self, child: str, branch: str) -> str:
        return f"{self.name}.{child}" if self.design.is_plain else f"{self.name}.{child}.{branch}"

    def _add(self, branch: str, x: FeatureMap | None, y: FeatureMap | None) -> FeatureMap | None:
        if x is None or y is None:
            return None
        return self.rec.add(self._branch("add", branch), x, y)

    def _shortcut(self, x: OctaveMap) -> OctaveMap:
        name = f"{self.name}.shortcut"
        if self.changes_stage and self.backbone.shortcut == "A":
            return self._padded_shortcut(name, x)
        if self.changes_stage:
            layer = self._layer(self.c_in, self.c_out, self.stride, POINTWISE)
            return self._conv("shortcut", x, layer, plain_path)
        if self.is_first:
            x = self._split_shortcut(name, x)
        return self._joined_shortcut(name, x) if self.is_last else x

    def _padded_shortcut(self, name: str, x: OctaveMap) -> OctaveMap:
        """Every second pixel of each branch, and zeros for its new channels; no parameters."""
        return OctaveMap(
            *(
                y and self.rec.zero_pad(name, y, c_out, self.stride)
                for y, c_out in zip(x, self.c_out, strict=True)
            )
        )

    def _split_shortcut(self, name: str, x: OctaveMap) -> OctaveMap:
        """The high branch is the first c_H channels, the low branch the pooled other c_L; no parameters."""
        high, low = self.design.split(self.stage)
        if low == 0 or x.high is None:
            return x
        pooled = self.rec.pool(f"{name}.pool", x.high.channel_slice(low))
        return OctaveMap(None if high == 0 else x.high.channel_slice(high), pooled)

    def _joined_shortcut(self, name: str, x: OctaveMap) -> OctaveMap:
        """The high branch and the upsampled low one, concatenated; no parameters."""
        if x.low is None:
            return x
        low = self.rec.upsample(f"{name}.upsample", x.low, self.size)
        return OctaveMap(self.rec.concatenate(f"{name}.concatenate", x.high, low) if x.high else low, None)


def layer_name(operator: Operator) -> str:
    """Return the layer an operator belongs to: its convolution without path and bottleneck part.

    >>> from costmodel.convention import Cost
    >>> layer_name(Operator("stages.0.1.conv2.hl.reduce", "conv", Cost()))
    'stages.0.1.conv2'
    """
    parts = operator.name.split(".")
    return ".".join(parts[:4]) if parts[0] == "stages" else parts[0]


def layers(operators: list[Operator]) -> Iterator[tuple[str, list[Operator]]]:
    """Yield the layers of a network, in the order in which they run, each with its operators."""
    grouped: dict[str, list[Operator]] = {}
    for operator in operators:
        grouped.setdefault(layer_name(operator), []).append(operator)
    yield from grouped.items()
