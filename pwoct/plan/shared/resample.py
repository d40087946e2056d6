"""Pooling and upsampling by 2 that are fast in both directions, forward and backward.

They compute what `pwoct.branches` computes. The reference upsamples by a broadcast copy, whose gradient is
a sum over two strided axes; that alone takes up to half of a training step of a narrow network.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from pwoct.branches import pool
from pwoct.layout import is_channels_last, is_transformed
from pwoct.plan.shared.choose import adds_rows


def halve(x: Tensor) -> Tensor:
    """Average 2 x 2 pixels; at an edge, those that exist.

    x: (n, c, h, w). Returns (n, c, ceil(h/2), ceil(w/2)).

    >>> halve(torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]]))
    tensor([[[[4.]]]])
    """
    if x.shape[-2] % 2 or x.shape[-1] % 2 or is_transformed():
        return pool(x)
    return _Halve.apply(x)  # type: ignore[no-any-return, no-untyped-call]


def double(x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """Repeat each pixel 2 x 2, cropped to `size`.

    x: (n, c, h, w). Returns (n, c, 2h, 2w) or smaller; dense in the layout of x.

    >>> double(torch.tensor([[[[1.0, 2.0]]]]), size=(1, 3))
    tensor([[[[1., 1., 2.]]]])
    """
    y = interpolate(x, scale_factor=2.0, mode="nearest")
    if size is None or y.shape[-2:] == size:
        return y
    layout = torch.channels_last if is_channels_last(x) else torch.contiguous_format
    return y[..., : size[0], : size[1]].contiguous(memory_format=layout)


def _average_rows(x: Tensor) -> Tensor:
    """Add rows, then neighbours: whole rows fill vectors, however few the channels."""
    n, c, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).view(n, h // 2, 2, w * c)
    pairs = (rows[:, :, 0] + rows[:, :, 1]).view(n, h // 2, w // 2, 2, c)
    return (pairs[..., 0, :] + pairs[..., 1, :]).mul_(0.25).permute(0, 3, 1, 2)


class _Halve(torch.autograd.Function):
    """Average pooling of even sizes; the library's gradient clears its result first and then adds to it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004 - given by torch
        return (
            _average_rows(x) if adds_rows(x.shape[1], x.dtype) and is_channels_last(x) else avg_pool2d(x, 2)
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # noqa: ARG004 - given by torch
        return double(grad * 0.25)
