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
    padding: Size | Iterable[Size] | None = None,
    dilation: Size | Iterable[Size] = 1,
    bias: bool = False,
    batch: Size = 1,
) -> Cost:
    """Return the cost of a depthwise convolution followed by a pointwise one; the bias is on the second.

    >>> separable(16, 32, 3, 8).weights == 9 * 16 + 16 * 32
    True
    """
    paddings = (None, None) if padding is None else pair(padding)
    inner = _strided(pair(size), pair(kernel), pair(stride), paddings, pair(dilation))
    first = depthwise(c_in, kernel, size, stride=stride, padding=padding, dilation=dilation, batch=batch)
    return first + pointwise(c_in, c_out, inner, bias=bias, batch=batch)


def _strided(
    size: Pair, kernel: Pair, stride: Pair, padding: tuple[Size | None, Size | None], dilation: Pair
) -> Pair:
    h, w = (output_size(*axis) for axis in zip(size, kernel, stride, padding, dilation, strict=True))
    return h, w
