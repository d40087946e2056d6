"""The pointwise (1x1) convolution, and the linear layer, which is one at a single position."""

from __future__ import annotations

from collections.abc import Iterable

from costmodel.convention import Cost
from costmodel.operators.standard import convolution
from costmodel.sizes import Size


def pointwise(
    c_in: Size,
    c_out: Size,
    size: Size | Iterable[Size],
    *,
    stride: Size | Iterable[Size] = 1,
    bias: bool = False,
    batch: Size = 1,
) -> Cost:
    """Return the cost of a 1x1 convolution (batch, c_in, h, w) -> (batch, c_out, h', w').

    Source: section 3.2 of Inoue and Gotoh: parameters c f, cost w^2 c f.

    >>> pointwise(16, 32, 8).macs == 16 * 32 * 8 * 8
    True
    """
    return convolution(c_in, c_out, 1, size, stride=stride, bias=bias, batch=batch)


def linear(c_in: Size, c_out: Size, *, bias: bool = True, batch: Size = 1) -> Cost:
    """Return the cost of a linear layer (batch, c_in) -> (batch, c_out).

    >>> linear(64, 10).params
    650
    """
    return convolution(c_in, c_out, 1, 1, bias=bias, batch=batch)
