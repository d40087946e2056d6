"""Pointwise Octave Convolution: some of the four paths are bottlenecks.

A bottleneck is a 1x1 convolution c_in -> m, a kxk convolution m -> m and a 1x1 convolution m -> c_out, where
c_in and c_out are the path's own channels. Source: Inoue and Gotoh, section 5, equations (9) to (14).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from costmodel.convention import Cost
from costmodel.operators.octave import (
    OctaveLayer,
    PathConvolution,
    PathRequest,
    octave_map,
    plain_path,
    record_octave,
)
from costmodel.operators.recorder import FeatureMap, OctaveMap, Recorder, cost_of
from costmodel.sizes import Size, check_choice, check_groups

BETWEEN = ("none", "bn", "bn_relu")


def record_bottleneck(rec: Recorder, request: PathRequest, width: Size, between: str = "none") -> FeatureMap:
    """Record the three convolutions of a bottleneck of that width; the first 1x1 carries the stride."""
    name, layer = request.name, request.layer
    groups = layer.groups_of(width)
    check_groups(groups, width, width)
    y = rec.conv(f"{name}.reduce", request.x, width, 1, stride=request.stride)
    y = _record_between(rec, f"{name}.reduce", y, between)
    y = rec.conv(f"{name}.spatial", y, width, layer.kernel, dilation=layer.dilation, groups=groups)
    y = _record_between(rec, f"{name}.spatial", y, between)
    return rec.conv(f"{name}.expand", y, request.channels[1], 1, bias=layer.has_bias(request.path))


def compressing(width_of: Callable[[PathRequest], Size | None], between: str = "none") -> PathConvolution:
    """Return a function that records a path as a bottleneck of width `width_of`; None: uncompressed.

    Raises ValueError if `between` is not one of BETWEEN.
    """
    check_choice("between", between, BETWEEN)

    def convolve(rec: Recorder, request: PathRequest) -> FeatureMap:
        width = width_of(request)
        return plain_path(rec, request) if width is None else record_bottleneck(rec, request, width, between)

    return convolve


def record_pwise_octave(
    rec: Recorder,
    name: str,
    x: OctaveMap,
    layer: OctaveLayer,
    widths: Mapping[str, Size],
    between: str = "none",
) -> OctaveMap:
    """Record an octave convolution whose paths in `widths` are bottlenecks of that width."""
    return record_octave(rec, name, x, layer, compressing(lambda request: widths.get(request.path), between))


def pwise_octave(
    layer: OctaveLayer,
    size: Size | Iterable[Size],
    widths: Mapping[str, Size],
    *,
    between: str = "none",
    batch: Size = 1,
) -> Cost:
    """Return the cost of a pointwise octave convolution on an input whose high branch has that (h, w).

    Source: Inoue and Gotoh, equations (10) to (14).

    >>> layer = OctaveLayer(c_in=(12, 4), c_out=(12, 4))
    >>> cost = pwise_octave(layer, 32, {"LL": 2})
    >>> cost.weights == 9 * (12 * 12 + 12 * 4 + 4 * 12) + (4 * 2 + 9 * 2 * 2 + 2 * 4)
    True
    """
    rec = Recorder(batch)
    record_pwise_octave(rec, "conv", octave_map(layer.c_in, size), layer, widths, between)
    return cost_of(rec.operators)


def _record_between(rec: Recorder, name: str, x: FeatureMap, between: str) -> FeatureMap:
    if between == "none":
        return x
    y = rec.bn(f"{name}_bn", x)
    return rec.relu(f"{name}_relu", y) if between == "bn_relu" else y
