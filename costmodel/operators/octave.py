"""Octave Convolution: the sum of its four paths.

Channels are split into a high branch at full and a low branch at half resolution. The path HH convolves
high to high; HL pools, then convolves; LH convolves, then upsamples; LL convolves low to low. Where two paths
meet in a branch, their results are added. Sources: Chen et al., Drop an Octave (2019), section 3; Inoue and
Gotoh, equations (1) to (8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from costmodel.convention import Cost
from costmodel.operators.recorder import FeatureMap, OctaveMap, Recorder, cost_of
from costmodel.sizes import Pair, Size, ceil_div, check_choice, check_sizes, pair

PATHS = ("HH", "HL", "LH", "LL")
STRIDE_RULES = ("A", "B", "C")


@dataclass(frozen=True)
class OctaveLayer:
    """The sizes of an octave convolution; `c_in` and `c_out` are (high, low).

    Stride rules: C gives the stride to the first convolution of each path; B averages both inputs over
    windows of the stride first; A is B, but LH convolves the unpooled low input, which already has the
    output's high resolution, and is not upsampled.
    """

    c_in: Pair
    c_out: Pair
    kernel: Pair = (3, 3)
    stride: Size = 1
    dilation: Size = 1
    groups: Size = 1
    bias: bool = False
    stride_rule: str = "C"
    depthwise: bool = False
    exchange: bool = False

    def __post_init__(self) -> None:
        check_sizes(kernel=self.kernel, stride=self.stride, dilation=self.dilation, groups=self.groups)
        _check_kernel(self.kernel)
        _check_stride(self.stride_rule, self.stride)
        _check_sources(self)
        _check_depthwise(self)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that have channels at both ends (in a depthwise layer HH and LL, unless exchange)."""
        return tuple(path for path in PATHS if self._exists(path))

    def _exists(self, path: str) -> bool:
        c_in, c_out = self.channels(path)
        exchanges = path in ("HL", "LH") and self.depthwise and not self.exchange
        return not (c_in == 0 or c_out == 0 or exchanges)

    def channels(self, path: str) -> Pair:
        """Return the (input, output) channels of a path."""
        return self.c_in["HL".index(path[0])], self.c_out["HL".index(path[1])]

    def groups_of(self, channels: Size) -> Size:
        """Return the groups of a kxk convolution with that many input channels."""
        return channels if self.depthwise else self.groups

    def has_bias(self, path: str) -> bool:
        """Whether a path carries its branch's bias: HH and LL, or the only path into the branch."""
        return self.bias and (path[0] == path[1] or path[1] + path[1] not in self.paths)


@dataclass(frozen=True, slots=True)
class PathRequest:
    """A request to record one path of a layer: `x` is its input, pooled where the path pools."""

    name: str  # of the operators that answer the request
    path: str
    x: FeatureMap
    layer: OctaveLayer
    stride: Size

    @property
    def channels(self) -> Pair:
        """The (input, output) channels of the path."""
        return self.layer.channels(self.path)


PathConvolution: TypeAlias = Callable[[Recorder, PathRequest], FeatureMap]


def plain_path(rec: Recorder, request: PathRequest) -> FeatureMap:
    """Record the single kxk convolution of an uncompressed path."""
    c_in, c_out = request.channels
    layer = request.layer
    return rec.conv(
        request.name,
        request.x,
        c_out,
        layer.kernel,
        stride=request.stride,
        dilation=layer.dilation,
        groups=layer.groups_of(c_in),
        bias=layer.has_bias(request.path),
    )


def record_octave(
    rec: Recorder,
    name: str,
    x: OctaveMap,
    layer: OctaveLayer,
    convolve: PathConvolution = plain_path,
    size: Pair | None = None,
) -> OctaveMap:
    """Record an octave convolution; `convolve` records the operators between pooling and upsampling.

    `size` is the high output's, needed only if there is no high input from which it follows; by default, the
    high output is then twice as large as the low one.
    """
    target = size if x.high is None else strided(x.high.size, layer.stride)
    pooled, stride = _apply_stride_rule(rec, name, x, layer)
    branches: dict[str, FeatureMap] = {}
    for path in layer.paths:
        with rec.at(path=path):
            source = x if layer.stride_rule == "A" and path == "LH" else pooled
            y = _record_path(rec, f"{name}.{path.lower()}", source, layer, path, stride, target, convolve)
        branch = path[1]
        branches[branch] = (
            rec.add(f"{name}.add_{branch.lower()}", branches[branch], y) if branch in branches else y
        )
    return OctaveMap(branches.get("H"), branches.get("L"))


def octave_map(channels: Pair, size: Size | Iterable[Size]) -> OctaveMap:
    """Return an octave feature map whose high branch has a size; the low one has half of it, rounded up."""
    high = pair(size)
    return OctaveMap(
        None if channels[0] == 0 else FeatureMap(channels[0], high, "x.high"),
        None if channels[1] == 0 else FeatureMap(channels[1], halved(high), "x.low"),
    )


def octave(layer: OctaveLayer, size: Size | Iterable[Size], *, batch: Size = 1) -> Cost:
    """Return the cost of an octave convolution on an input whose high branch has that (h, w).

    Source: Inoue and Gotoh, equations (3) to (8).

    >>> layer = OctaveLayer(c_in=(12, 4), c_out=(12, 4))
    >>> octave(layer, 32).weights == 9 * 16 * 16  # as many as a standard convolution, equation (8)
    True
    """
    rec = Recorder(batch)
    record_octave(rec, "conv", octave_map(layer.c_in, size), layer)
    return cost_of(rec.operators)


def halved(size: Pair) -> Pair:
    """Return the low branch's size: half the high one's, rounded up."""
    return strided(size, 2)


def strided(size: Pair, stride: Size) -> Pair:
    """Return the size (h, w) after a stride, rounded up.

    >>> strided((35, 32), 2)
    (18, 16)
    """
    return ceil_div(size[0], stride), ceil_div(size[1], stride)


def _apply_stride_rule(rec: Recorder, name: str, x: OctaveMap, layer: OctaveLayer) -> tuple[OctaveMap, Size]:
    if layer.stride_rule == "C" or layer.stride == 1:
        return x, layer.stride
    needed = {path[0] for path in layer.paths if not (layer.stride_rule == "A" and path == "LH")}
    high, low = (
        rec.pool(f"{name}.pool_{branch.lower()}", y, layer.stride) if y and branch in needed else y
        for branch, y in zip("HL", x, strict=True)
    )
    return OctaveMap(high, low), 1


def _record_path(
    rec: Recorder,
    name: str,
    x: OctaveMap,
    layer: OctaveLayer,
    path: str,
    stride: Size,
    target: Pair | None,
    convolve: PathConvolution,
) -> FeatureMap:
    source = x.high if path[0] == "H" else x.low
    if source is None:
        raise ValueError(
            f"{name}: the layer expects {layer.c_in} channels, but the input's {path[0]} branch is empty"
        )
    if path == "HL":
        source = rec.pool(f"{name}_pool", source)
    y = convolve(rec, PathRequest(name, path, source, layer, stride))
    if path == "LH" and (layer.stride_rule != "A" or layer.stride == 1):
        return rec.upsample(f"{name}_upsample", y, target or (2 * y.size[0], 2 * y.size[1]))
    return y


def _check_kernel(kernel: Pair) -> None:
    if any(isinstance(k, int) and k % 2 == 0 for k in kernel):
        raise ValueError(f"octave layers need an odd kernel, got {kernel[0]}x{kernel[1]}")


def _check_stride(rule: str, stride: Size) -> None:
    check_choice("stride rule", rule, STRIDE_RULES)
    if rule == "A" and stride not in (1, 2):
        raise ValueError(f"stride rule A needs a stride of 1 or 2, got {stride}")


def _check_sources(layer: OctaveLayer) -> None:
    for branch, channels in zip("HL", layer.c_out, strict=True):
        if channels != 0 and not any(path[1] == branch for path in layer.paths):
            raise ValueError(
                f"no path leads into the {branch} branch: channels {layer.c_in} -> {layer.c_out}"
            )


def _check_depthwise(layer: OctaveLayer) -> None:
    if layer.exchange and not layer.depthwise:
        raise ValueError("exchange needs a depthwise layer: other layers always have the paths HL and LH")
    if layer.depthwise and layer.groups != 1:
        raise ValueError(
            f"a depthwise layer has a group per channel and needs groups = 1, got {layer.groups}"
        )
    if not layer.depthwise or layer.exchange:
        return
    for branch, c_in, c_out in zip("HL", layer.c_in, layer.c_out, strict=True):
        if (c_in == 0) != (c_out == 0):
            raise ValueError(
                f"depthwise without exchange needs the same branches in and out, but the {branch} branch has"
                f" channels {c_in} -> {c_out}"
            )
