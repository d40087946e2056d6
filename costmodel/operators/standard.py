"""The standard convolution, derived from its sizes. All other convolutions are special cases of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from costmodel.convention import Cost
from costmodel.sizes import (
    Size,
    ceil_div,
    check_groups,
    check_padding,
    check_sizes,
    exact_div,
    floor_div,
    pair,
    remembered,
)


def same_padding(kernel: int, dilation: int = 1) -> int:
    """Return the padding on each side that keeps a size at stride 1.

    Raises ValueError if none does, that is where dilation (kernel - 1) is odd.

    >>> same_padding(3), same_padding(3, dilation=2)
    (1, 2)
    """
    padding, rest = divmod(dilation * (kernel - 1), 2)
    if rest:
        raise ValueError(
            f"kernel {kernel} with dilation {dilation} needs an explicit padding: none keeps the size"
        )
    return padding


@remembered
def output_size(
    size: Size, kernel: Size, stride: Size = 1, padding: Size | None = None, dilation: Size = 1
) -> Size:
    """Return the output size of a convolution along one axis.

    Without `padding`, the one that keeps the size at stride 1 is meant: ceil(size / stride).
    Raises ValueError if the kernel does not fit.

    >>> output_size(32, 3, stride=2), output_size(32, 5, padding=0)
    (16, 28)
    """
    if padding is None:
        if isinstance(kernel, int) and isinstance(dilation, int):
            same_padding(kernel, dilation)
        return ceil_div(size, stride)
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    if isinstance(room, int) and room < 0:
        raise ValueError(
            f"kernel {kernel} with dilation {dilation} does not fit into size {size} with padding {padding}"
        )
    return floor_div(room, stride) + 1


def convolution(
    c_in: Size,
    c_out: Size,
    kernel: Size | Iterable[Size],
    size: Size | Iterable[Size],
    *,
    stride: Size | Iterable[Size] = 1,
    padding: Size | Iterable[Size] | None = None,
    dilation: Size | Iterable[Size] = 1,
    groups: Size = 1,
    bias: bool = False,
    batch: Size = 1,
    input_grad: bool = True,
) -> Cost:
    """Return the cost of a convolution (batch, c_in, h, w) -> (batch, c_out, h', w').

    `size` is the input's (h, w). `input_grad=False` is for a network's first layer, whose input needs no
    gradient. Raises ValueError if a size is not positive, groups do not divide the channels, or the
    kernel does not fit.

    Source: section 3.1 of Inoue and Gotoh: parameters k^2 c f, cost k^2 c w^2 f.

    >>> convolution(16, 16, 3, 32).macs == 9 * 16 * 16 * 32 * 32
    True
    """
    paddings = (None, None) if padding is None else pair(padding)
    axes = (*pair(size), *pair(kernel), *pair(stride), *paddings, *pair(dilation))
    return _convolution(c_in, c_out, groups, bias, batch, input_grad, *axes)


@remembered
def _convolution(
    c_in: Size, c_out: Size, groups: Size, bias: bool, batch: Size, input_grad: bool, *axes: Any
) -> Cost:
    """The same; `axes` are size, kernel, stride, padding and dilation, each by height and width."""
    (h, k_h, *_), (w, k_w, *_) = axes[::2], axes[1::2]
    check_sizes(c_in=c_in, c_out=c_out, kernel=(k_h, k_w), size=(h, w), groups=groups, batch=batch)
    check_groups(groups, c_in, c_out)
    check_sizes(stride=axes[4:6], dilation=axes[8:])
    check_padding(tuple(padding for padding in axes[6:8] if padding is not None))
    h_out, w_out = output_size(*axes[::2]), output_size(*axes[1::2])
    weights = c_out * exact_div(c_in, groups) * k_h * k_w
    positions = batch * h_out * w_out
    inputs, outputs = batch * c_in * h * w, c_out * positions
    biases = c_out if bias else 0
    # Each weight meets each output position once: forward, and again in either gradient.
    macs = weights * positions
    return Cost(
        weights=weights,
        biases=biases,
        macs=macs,
        macs_input_grad=macs if input_grad else 0,
        macs_weight_grad=macs,
        activations=outputs,
        elements_read=inputs + weights + biases,
        elements_written=outputs,
        calls=1,
        bias_ops=outputs if bias else 0,
    )
