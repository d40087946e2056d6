"""The transposed convolution: the standard one with its input and output exchanged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from costmodel.convention import Cost
from costmodel.sizes import (
    Size,
    check_groups,
    check_padding,
    check_sizes,
    exact_div,
    pair,
    pythons,
)


def spread_size(
    size: Size,
    kernel: Size,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    dilation: Size = 1,
) -> Size:
    """Return the output size of a transposed convolution along one axis; it may be below 1.

    Raises ValueError if the output padding is neither below the stride nor below the dilation.

    >>> spread_size(16, 3, stride=2, padding=1, output_padding=1), spread_size(5, 2)
    (32, 6)
    """
    check_output_padding(output_padding, stride, dilation)
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1


def check_output_padding(output_padding: Size, stride: Size, dilation: Size) -> None:
    """Raise ValueError if an output padding is neither below the stride nor below the dilation."""
    check_padding(output_padding, "output padding")
    extra, *limits = map(pythons, (output_padding, stride, dilation))
    if isinstance(extra, int) and all(isinstance(limit, int) and extra >= limit for limit in limits):
        raise ValueError(f"output padding must be below {max(limits)}, stride or dilation, got {extra}")


def check_output(output: Iterable[Size], padding: Sequence[Size], size: Sequence[Size]) -> None:
    """Raise ValueError if a side of the output is below 1."""
    if any(isinstance(side, int) and side < 1 for side in output):
        cut = padding[0] if len(set(padding)) == 1 else "x".join(map(str, padding))
        raise ValueError(f"padding {cut} leaves no output of an input of size {'x'.join(map(str, size))}")


def transposed(
    c_in: Size,
    c_out: Size,
    kernel: Size | Iterable[Size],
    size: Size | Iterable[Size],
    *,
    stride: Size | Iterable[Size] = 1,
    padding: Size | Iterable[Size] = 0,
    output_padding: Size | Iterable[Size] = 0,
    dilation: Size | Iterable[Size] = 1,
    groups: Size = 1,
    bias: bool = False,
    batch: Size = 1,
) -> Cost:
    """Return the cost of a transposed convolution (batch, c_in, h, w) -> (batch, c_out, h', w').

    `size` is the input's (h, w). Raises ValueError if a size is not positive, groups do not divide the
    channels, the padding leaves no output, or the output padding is neither below the stride nor below the
    dilation.

    Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016, chapter 4.

    >>> transposed(16, 8, 2, 7, stride=2).macs == 2 * 2 * 16 * 8 * 7 * 7
    True
    """
    options = (size, kernel, stride, padding, output_padding, dilation)
    sides, kernels, strides, paddings, extras, dilations = (
        tuple(map(pythons, pair(option))) for option in options
    )
    check_sizes(c_in=c_in, c_out=c_out, kernel=kernels, size=sides, groups=groups, batch=batch)
    check_sizes(stride=strides, dilation=dilations)
    check_padding(paddings)
    check_groups(groups, c_in, c_out)
    axes = zip(sides, kernels, strides, paddings, extras, dilations, strict=True)
    h_out, w_out = (spread_size(*axis) for axis in axes)
    check_output((h_out, w_out), paddings, sides)
    (h, w), (k_h, k_w) = sides, kernels
    weights = c_in * exact_div(c_out, groups) * k_h * k_w
    inputs, outputs = batch * c_in * h * w, batch * c_out * h_out * w_out
    biases = c_out if bias else 0
    # Each weight meets each input position once: forward, and again in either gradient.
    macs = weights * batch * h * w
    return Cost(
        weights=weights,
        biases=biases,
        macs=macs,
        macs_input_grad=macs,
        macs_weight_grad=macs,
        activations=outputs,
        elements_read=inputs + weights + biases,
        elements_written=outputs,
        calls=1,
        bias_ops=outputs if bias else 0,
    )
