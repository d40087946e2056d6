"""One path of an octave layer: its description, and the module built from it."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import conv2d

from pwoct.pointwise import conv_class


@dataclass(frozen=True)
class PathSpec:
    """What one path computes: a convolution from its own `c_in` to its own `c_out` channels."""

    name: str
    c_in: int
    c_out: int
    kernel_size: tuple[int, int]
    stride: int
    dilation: int
    groups: int
    depthwise: bool
    bias: bool


PathFactory = Callable[[PathSpec], nn.Module]


class DepthwiseConv2d(nn.Conv2d):
    """A convolution that keeps channels apart; it reads their number from its input, (n, c, h, w)."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve each channel separately."""
        return conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, x.shape[1])


def conv_path(path: PathSpec) -> nn.Module:
    """Return the uncompressed path: one kxk convolution.

    Raises:
        ValueError: if groups do not divide the path's channels.
    """
    return spatial_conv(path)


def spatial_conv(path: PathSpec) -> nn.Conv2d:
    """Return the kxk convolution of `path`, padded so that its output has size ceil(size / stride)."""
    _check_groups(path)
    dense = conv_class(path.kernel_size, path.stride, path.c_in)
    kind = DepthwiseConv2d if path.depthwise else dense
    kh, kw = path.kernel_size
    return kind(
        path.c_in,
        path.c_out,
        path.kernel_size,
        path.stride,
        padding=(path.dilation * (kh - 1) // 2, path.dilation * (kw - 1) // 2),
        dilation=path.dilation,
        groups=path.c_in if path.depthwise else path.groups,
        bias=path.bias,
    )


def _check_groups(path: PathSpec) -> None:
    if path.depthwise and path.c_out % path.c_in:
        raise ValueError(
            f"depthwise needs output channels that are a multiple of the input's, got {_ends(path)}"
        )
    if path.c_in % path.groups or path.c_out % path.groups:
        raise ValueError(
            f"groups must divide the channels of each kxk convolution, got {path.groups} and {_ends(path)}"
        )


def _ends(path: PathSpec) -> str:
    return f"{path.c_in} -> {path.c_out} channels on path {path.name}"
