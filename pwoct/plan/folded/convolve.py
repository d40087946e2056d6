"""Convolutions fused with a sum and a ReLU, computed while results are in registers, if the library can."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from pwoct.layout import is_channels_last
from pwoct.plan.folded.bounds import Growth, growth_of, is_fusing
from pwoct.plan.shared.latest import Latest
from pwoct.plan.shared.tracing import tracer

Pair = tuple[int, int]
SHAPES = 2  # for which a reordered weight is kept: of whole batches, and of the last one


class Geometry(NamedTuple):
    """The position of a convolution's taps."""

    padding: Pair = (0, 0)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    groups: int = 1


class Convolution:
    """A convolution with fixed weights: conv(x), added to something, rectified.

    On a CPU in float32 and bfloat16, channels_last, this is one call of oneDNN; elsewhere it is the
    convolution, an addition in place and a ReLU in place.

    weight: (c_out, c_in / groups, k_h, k_w). bias: (c_out,) or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, geometry: Geometry = Geometry()) -> None:
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.bias = None if bias is None else bias.contiguous()
        self.geometry = geometry
        self._arranged: Latest[tuple[int, ...], Tensor] = Latest(SHAPES)

    @property
    def kernel(self) -> Pair:
        """Height and width of the kernel."""
        return self.weight.shape[2], self.weight.shape[3]

    @property
    def can_pair(self) -> bool:
        """Whether `filters.two_pixels` applies: stride 1, taps side by side, no groups, odd and padded."""
        k_h, k_w = self.kernel
        return self.geometry == Geometry(padding=(k_h // 2, k_w // 2))

    @property
    def growth(self) -> Growth:
        """The bound on its results, relative to its input."""
        return growth_of(self.weight, self.bias)

    def padded(self, c_out: int | None = None, c_in: int | None = None) -> "Convolution":
        """Return the convolution with zeros for channels up to `c_out` and `c_in`."""
        more_in = 0 if c_in is None or self.geometry.groups != 1 else c_in - self.weight.shape[1]
        more_out = 0 if c_out is None or self.geometry.groups != 1 else c_out - self.weight.shape[0]
        weight = pad(self.weight, (0, 0, 0, 0, 0, more_in, 0, more_out))
        return self._like(weight, None if self.bias is None else pad(self.bias, (0, more_out)))

    def repeated(self) -> "Convolution":
        """Return the convolution that computes each output pixel twice, as adjacent channels."""
        bias = None if self.bias is None else self.bias.repeat(2)
        return self._like(self.weight.repeat(2, 1, 1, 1), bias)

    def to(self, dtype: torch.dtype) -> "Convolution":
        """Return the convolution with weights of another type."""
        return self._like(self.weight.to(dtype), None if self.bias is None else self.bias.to(dtype))

    def _like(self, weight: Tensor, bias: Tensor | None) -> "Convolution":
        return Convolution(weight, bias, self.geometry)

    def __call__(
        self, x: Tensor, *, onto: Tensor | None = None, plus: Tensor | None = None, relu: bool = False
    ) -> Tensor:
        """Return relu(conv(x) + plus); with `onto`, add to that tensor in place and return it.

        x: (n, c_in, h, w). onto, plus: of the output's shape; at most one of them.
        """
        other = plus if onto is None else onto
        if not (is_fusable(x) and is_fusing()) or not (other is None or is_channels_last(other)):
            return self._in_steps(x, onto, plus, relu)
        weight, bias, ops = self._arrange(x), self.bias, torch.ops.mkldnn
        added: tuple[object, ...] = ("add", 1.0, "relu" if relu else None, [], None)
        y: Tensor
        if other is None:
            last = "relu" if relu else "none"
            y = ops._convolution_pointwise(x, weight, bias, *self.geometry, last, [], "")
        elif onto is None:
            y = ops._convolution_pointwise.binary(x, plus, weight, bias, *self.geometry, *added)
        else:
            y = ops._convolution_pointwise_.binary(onto, x, weight, bias, *self.geometry, *added)
        return y

    def _in_steps(self, x: Tensor, onto: Tensor | None, plus: Tensor | None, relu: bool) -> Tensor:
        padding, stride, dilation, groups = self.geometry
        y = conv2d(x, self.weight, self.bias, stride, padding, dilation, groups)
        y = y.contiguous(memory_format=torch.channels_last)
        if onto is not None:
            y = onto.add_(y)
        if plus is not None:
            y = y.add_(plus)
        return y.relu_() if relu else y

    def _arrange(self, x: Tensor) -> Tensor:
        """Return the weight in the order that the kernel for this shape needs; kept for the latest shapes."""
        shape, reorder = list(x.shape), torch.ops.mkldnn._reorder_convolution_weight
        return self._arranged.get(tuple(shape), lambda: reorder(self.weight, *self.geometry, shape))


def is_fusable(x: Tensor) -> bool:
    """Whether oneDNN computes convolution, sum and ReLU of tensors like x in one call."""
    return (
        tracer(x) is None  # else by operators that can be traced
        and x.device.type == "cpu"
        and (x.dtype == torch.float32 or (x.dtype == torch.bfloat16 and _has_bfloat16()))
        and is_channels_last(x)
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and bool(torch.backends.mkldnn.enabled)
    )


def _has_bfloat16() -> bool:
    """Whether oneDNN convolves bfloat16 on this processor, with the instructions that it may use."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
