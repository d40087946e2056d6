"""Strided 1x1 convolutions of few channels: a workaround for a bug in the library's gradients."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from pwoct.layout import is_channels_last, is_jit_traced, is_transformed

RIGHT_FROM = 16  # the library's weight gradient is right with at least this many input channels


class NarrowPointwiseConv2d(nn.Conv2d):
    """A strided 1x1 convolution whose weight gradient is computed from a copy of the pixels that it reads.

    x: (n, c_in, h, w). Returns (n, c_out, ceil(h / stride), ceil(w / stride)).

    On a CPU, oneDNN computes the weight gradient of such a convolution wrongly where it has fewer than 16
    input channels in channels_last: it writes out of bounds, so that the process crashes, or the gradient is
    off by more than half. Without a stride the gradient is right.

    Source: https://github.com/uxlfoundation/oneDNN/issues/6035 describes what looks like this bug.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve every `stride`-th pixel."""
        is_traced = is_jit_traced()  # a graph is made once for calls with and without gradients
        if (
            not (is_traced or torch.is_grad_enabled())
            or not self.weight.requires_grad
            or x.device.type != "cpu"
            or x.dtype == torch.float64
        ):
            return super().forward(x)
        if is_traced or torch.compiler.is_compiling() or is_transformed():
            return conv2d(self._read(x), self.weight, self.bias, groups=self.groups)
        weight, bias = self.weight, self.bias
        if torch.is_autocast_enabled("cpu"):  # as autocast does it, which custom gradients do not see
            dtype = torch.get_autocast_dtype("cpu")
            x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
        y: Tensor = _Strided.apply(x, weight, bias, self.stride, self.groups)  # type: ignore[no-untyped-call]
        return y

    def _read(self, x: Tensor) -> Tensor:
        return every(x, (self.stride[0], self.stride[1]))


def pointwise_conv(c_in: int, c_out: int, stride: int = 1, *, bias: bool = False) -> nn.Conv2d:
    """Return a 1x1 convolution whose gradients are right.

    >>> pointwise_conv(8, 16, stride=2)
    NarrowPointwiseConv2d(8, 16, kernel_size=(1, 1), stride=(2, 2), bias=False)
    >>> pointwise_conv(8, 16)
    Conv2d(8, 16, kernel_size=(1, 1), stride=(1, 1), bias=False)
    """
    return conv_class((1, 1), stride, c_in)(c_in, c_out, 1, stride, bias=bias)


def conv_class(kernel_size: tuple[int, int], stride: int, c_in: int) -> type[nn.Conv2d]:
    """Return the class of a dense convolution: the one with custom gradients only where that is needed."""
    is_affected = kernel_size == (1, 1) and stride > 1 and c_in < RIGHT_FROM
    return NarrowPointwiseConv2d if is_affected else nn.Conv2d


def every(x: Tensor, stride: tuple[int, int]) -> Tensor:
    """Copy every `stride`-th pixel of (n, c, h, w), in the layout of x."""
    layout = torch.channels_last if is_channels_last(x) else torch.contiguous_format
    return x[..., :: stride[0], :: stride[1]].contiguous(memory_format=layout)


class _Strided(torch.autograd.Function):
    """The library's forward pass; it saves what a convolution saves."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], groups: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.groups, ctx.biases = stride, groups, None if bias is None else [*bias.shape]
        return conv2d(x, weight, bias, stride, groups=groups)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_pixels, of_weight, of_bias = torch.ops.aten.convolution_backward(
            gradient,
            every(x, ctx.stride),
            weight,
            ctx.biases,
            *([1, 1], [0, 0], [1, 1], False, [0, 0], ctx.groups),
            [*ctx.needs_input_grad[:3]],
        )
        of_x = None
        if of_pixels is not None:
            of_x = torch.zeros_like(x)
            of_x[..., :: ctx.stride[0], :: ctx.stride[1]] = of_pixels
        return of_x, of_weight, of_bias, None, None
