"""Rules of operators that make one pixel of several: pooling, and means, sums and maxima of channels."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from pwoct.plan.graph.nodes import MAXIMUM, MEAN, MEAN_WITH_PAD, Add, MapNode, Pool, Pooling
from pwoct.plan.graph.record import GraphTrace, map_shape, rule
from pwoct.plan.graph.rules import one, two
from pwoct.plan.graph.values import RefusedError

Recorded = tuple[MapNode, torch.Size]
Pair = Sequence[int]


@rule("max_pool2d_with_indices", "max_pool2d")
def max_pool(
    recorder: GraphTrace,
    x: Tensor,
    kernel: Pair,
    stride: Pair = (),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    ceil_mode: bool = False,
) -> Any:
    """Record maximum pooling."""
    kind = Pooling(MAXIMUM, dilation=one("dilation", dilation))
    node, shape = _pool(recorder, x, kind, kernel, stride, padding, ceil_mode)
    return node, shape, torch.empty(shape, dtype=torch.int64)


@rule("avg_pool2d")
def average_pool(
    recorder: GraphTrace,
    x: Tensor,
    kernel: Pair,
    stride: Pair = (),
    padding: Pair = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Recorded:
    """Record average pooling."""
    if divisor_override is not None:
        raise RefusedError("an average with a divisor of its own")
    is_padded = any(padding) and count_include_pad
    kind = Pooling(MEAN_WITH_PAD if is_padded else MEAN)
    return _pool(recorder, x, kind, kernel, stride, padding, ceil_mode)


def _pool(
    recorder: GraphTrace,
    x: Tensor,
    kind: Pooling,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
) -> Recorded:
    (k_h, k_w), (p_h, p_w) = two(kernel), two(padding)
    s = one("stride", stride or kernel)
    size = [
        pooled(n, k, s, p, kind.dilation, ceil_mode)
        for n, k, p in zip(x.shape[-2:], (k_h, k_w), (p_h, p_w), strict=True)
    ]
    pooling = kind._replace(kernel=(k_h, k_w), stride=s, padding=(p_h, p_w))
    node = Pool((map_shape(x)[0], size[0], size[1]), (recorder.node(x),), pooling=pooling)
    return recorder.add(node), torch.Size((*x.shape[:-2], *size))


def pooled(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """Return the size after pooling; with `ceil_mode`, no window begins behind the map."""
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    count = -(-span // stride) + 1 if ceil_mode else span // stride + 1
    return count - 1 if ceil_mode and (count - 1) * stride >= size + padding else count


@rule("_adaptive_avg_pool2d")
def adaptive_average(recorder: GraphTrace, x: Tensor, size: Pair) -> Recorded:
    """Record averages of parts of a map."""
    return _adaptive(recorder, x, size, MEAN)


@rule("adaptive_max_pool2d")
def adaptive_maximum(recorder: GraphTrace, x: Tensor, size: Pair) -> Any:
    """Record maxima of parts of a map."""
    node, shape = _adaptive(recorder, x, size, MAXIMUM)
    return node, shape, torch.empty(shape, dtype=torch.int64)


def _adaptive(recorder: GraphTrace, x: Tensor, size: Pair, kind: int) -> Recorded:
    shape = torch.Size((*x.shape[:-2], *size))
    source = recorder.node(x)
    if tuple(size) == source.size:
        return source, shape
    node = Pool((source.shape[0], size[0], size[1]), (source,), pooling=Pooling(kind))
    return recorder.add(node), shape


@rule("mean")
def mean(recorder: GraphTrace, x: Tensor, dim: Any = None, keepdim: bool = False, **_: Any) -> Recorded:
    """Record the mean over all pixels of each channel."""
    return _reduce(recorder, x, dim, keepdim, MEAN, 1)


@rule("amax")
def maximum(recorder: GraphTrace, x: Tensor, dim: Any = (), keepdim: bool = False) -> Recorded:
    """Record the maximum over all pixels of each channel."""
    return _reduce(recorder, x, dim, keepdim, MAXIMUM, 1)


@rule("sum")
def total(recorder: GraphTrace, x: Tensor, dim: Any = None, keepdim: bool = False, **_: Any) -> Recorded:
    """Record the sum over all pixels of each channel, or over the groups of channels of a map."""
    dims = [d % x.dim() for d in dim or ()]
    if dims == [1] and x.dim() > 4:
        return _sum_groups(recorder, x, keepdim)
    return _reduce(recorder, x, dim, keepdim, MEAN, prod(x.shape[d] for d in dims))


def _sum_groups(recorder: GraphTrace, x: Tensor, keepdim: bool) -> Recorded:
    numbers = recorder.numbers(x)
    shape = map_shape(x[:, 0])
    parts = [
        recorder.maps.node(part.reshape(len(x), *shape), recorder.where[-1]) for part in numbers.unbind(1)
    ]
    found = parts[0]
    for part in parts[1:]:
        found = recorder.add(Add(shape, (found, part)))
    return found, torch.Size((len(x), *([1] if keepdim else []), *x.shape[2:]))


def _reduce(recorder: GraphTrace, x: Tensor, dim: Any, keepdim: bool, kind: int, scale: float) -> Recorded:
    dims = sorted(d % x.dim() for d in dim or ())
    if not dims or dims != list(range(dims[0], x.dim())) or dims[0] < 2:
        raise RefusedError(
            f"a mean, sum or maximum over dimensions {dims} of a map of shape {tuple(x.shape)}"
        )
    channels, pixels = prod(x.shape[1 : dims[0]]), prod(x.shape[dims[0] :])
    last = x.shape[-1]
    source = recorder.node(x, (channels, pixels // last, last))
    node = Pool((channels, 1, 1), (source,), pooling=Pooling(kind, scale=scale))
    shape = torch.Size((*x.shape[: dims[0]], *([1] * len(dims) if keepdim else [])))
    return recorder.add(node), shape
