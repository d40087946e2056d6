"""The depthwise convolution, and the separable one: depthwise, then pointwise."""

from __future__ import annotations

from collections.abc import Iterable

from costmodel.convention import Cost
from costmodel.operators.pointwise import pointwise
from costmodel.operators.standard import convolution, output_size
from costmodel.sizes import Pair, Size, pair


def depthwise(
    channels: Size,
    kernel: Size | Iterable[Size],
    size: Size | Iterable[Size],
    *,
    multiplier: Size = 1,
    stride: Size | Iterable[Size] = 1,
    padding: Size | Iterable[Size] | None = None,
    dilation: Size | Iterable[Size] = 1,
    bias: bool = False,
    batch: Size = 1,
) -> Cost:
    """Return the cost of a depthwise convolution (batch, c, h, w) -> (batch, multiplier c, h', w').

    Source: section 3.3 of Inoue and Gotoh: parameters k^2 c, cost w^2 c k^2 (multiplier 1).

    >>> depthwise(16, 3, 32).macs == 9 * 16 * 32 * 32
    True
    """
    return convolution(
        channels,
        channels * multiplier,
        kernel,
        size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=channels,
        bias=bias,
        batch=batch,
    )


def separable(
    c_in: Size,
    c_out: Size,
    kernel: Size | Iterable[Size],
    size: Size | Iterable[Size],
    *,
    stride: Size | Iterable[Size] = 1,
    dilation: Size | Iterable[Size] = 1,
    bias: bool = False,
    batch: Size = 1,
) -> Cost:
    """Return the cost of a depthwise convolution followed by a pointwise one; the bias is on the second.

    >>> separable(16, 32, 3, 8).weights == 9 * 16 + 16 * 32
    True
    """
    inner = _strided(pair(size), pair(kernel), pair(stride), pair(dilation))
    first = depthwise(c_in, kernel, size, stride=stride, dilation=dilation, batch=batch)
    return first + pointwise(c_in, c_out, inner, bias=bias, batch=batch)


def _strided(size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Pair:
    h, w = (output_size(n, k, s, None, d) for n, k, s, d in zip(size, kernel, stride, dilation, strict=True))
    return h, w
