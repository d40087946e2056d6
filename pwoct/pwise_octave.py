"""Pointwise Octave Convolution: an octave convolution whose chosen paths are bottlenecks."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from numbers import Integral

from torch import Tensor, nn
from torch.nn.functional import relu

from pwoct.channels import (
    WIDTH_RULES,
    Ratio,
    as_beta,
    as_paths,
    check_choice,
    hidden_channels,
    plain_int,
)
from pwoct.octave import OctConv
from pwoct.paths import PathSpec, conv_path, spatial_conv
from pwoct.pointwise import pointwise_conv

__all__ = ["BETWEEN", "Bottleneck", "PwiseOctConv"]

BETWEEN = ("none", "bn", "bn_relu")


class Bottleneck(nn.Module):
    """A path of three convolutions: `reduce` (1x1) to m channels, `spatial` (kxk), `expand` (1x1).

    x: (n, c_in, h, w). Returns (n, c_out, ceil(h/stride), ceil(w/stride)); `reduce` has the stride.
    With nothing between them they are one linear map of rank at most m per tap.

    Source: Inoue and Gotoh, section 5.2, eq. (9) and (14).

    >>> path = PathSpec("LH", 4, 12, (3, 3), stride=1, dilation=1, groups=1, depthwise=False, bias=False)
    >>> sum(p.numel() for p in Bottleneck(path, 6).parameters()) == 4 * 6 + 3 * 3 * 6 * 6 + 6 * 12
    True
    """

    def __init__(self, path: PathSpec, hidden: int, between: str = "none") -> None:
        super().__init__()
        check_choice("between", between, BETWEEN)
        self.between = between
        self.reduce = pointwise_conv(path.c_in, hidden, path.stride)
        self.spatial = spatial_conv(replace(path, c_in=hidden, c_out=hidden, stride=1, bias=False))
        self.expand = nn.Conv2d(hidden, path.c_out, 1, bias=path.bias)
        self.reduce_bn = nn.BatchNorm2d(hidden) if between != "none" else None
        self.spatial_bn = nn.BatchNorm2d(hidden) if between != "none" else None

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (n, c_in, h, w) in three steps."""
        x = self._activate(self.reduce_bn, self.reduce(x))
        x = self._activate(self.spatial_bn, self.spatial(x))
        return self.expand(x)  # type: ignore[no-any-return]

    def _activate(self, norm: nn.Module | None, x: Tensor) -> Tensor:
        x = x if norm is None else norm(x)
        return relu(x) if self.between == "bn_relu" else x


class PwiseOctConv(OctConv):
    """An `OctConv` in which the paths named in `paths` are bottlenecks; see there for the other options.

    Args:
        c_in: channels of the input, both branches together.
        c_out: channels of the output, both branches together.
        kernel_size: an odd number, or a pair (height, width) of them.
        alpha_in: share of low channels of the input, in [0, 1].
        alpha_out: share of low channels of the output, in [0, 1].
        paths: names among HH, HL, LH and LL; paths without channels are ignored.
        beta: compression of the bottlenecks, from 1 to `c_out`.
        width_rule: channels that beta divides: the path's "out" or "in", their "min" or "mean".
        between: what follows the first two convolutions of a bottleneck: "none", "bn" or "bn_relu".
        stride: see `OctConv`.
        dilation: see `OctConv`.
        groups: of the kxk convolutions; must divide the channels of plain paths and the width of bottlenecks.
        bias: see `OctConv`; in a bottleneck it is on `expand`.
        stride_rule: see `OctConv`.
        depthwise: see `OctConv`; the 1x1 convolutions of a bottleneck stay dense.
        exchange: see `OctConv`.

    Raises:
        ValueError: if an option is out of its range or does not fit the others.

    Source: Inoue and Gotoh, section 5.

    >>> layer = PwiseOctConv(16, 16, 3, alpha_in=0.25, alpha_out=0.25, paths=("LH",), beta=2)
    >>> [type(path).__name__ for path in layer.children()]
    ['Conv2d', 'Conv2d', 'Bottleneck', 'Conv2d']
    >>> layer.lh.spatial.weight.shape
    torch.Size([6, 6, 3, 3])
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel_size: int | tuple[int, int] = 3,
        *,
        alpha_in: Ratio = 0,
        alpha_out: Ratio = 0,
        paths: Iterable[str] = (),
        beta: Ratio = 2,
        width_rule: str = "out",
        between: str = "none",
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        stride_rule: str = "C",
        depthwise: bool = False,
        exchange: bool = False,
    ) -> None:
        compressed, ratio = as_paths(paths), as_beta(beta)
        check_choice("width_rule", width_rule, WIDTH_RULES)
        check_choice("between", between, BETWEEN)
        _check_beta(ratio, c_out, compressed)

        def make_path(path: PathSpec) -> nn.Module:
            if path.name not in compressed:
                return conv_path(path)
            return Bottleneck(path, hidden_channels(path.c_in, path.c_out, ratio, width_rule), between)

        super().__init__(
            c_in,
            c_out,
            kernel_size,
            alpha_in=alpha_in,
            alpha_out=alpha_out,
            stride=stride,
            dilation=dilation,
            groups=groups,
            bias=bias,
            stride_rule=stride_rule,
            depthwise=depthwise,
            exchange=exchange,
            path=make_path,
        )
        self.paths, self.beta, self.width_rule, self.between = compressed, ratio, width_rule, between

    def extra_repr(self) -> str:
        """Name the options that shape the layer."""
        return f"{super().extra_repr()}, paths={','.join(self.paths)!r}, beta={self.beta}"


def _check_beta(beta: Fraction, c_out: int, compressed: tuple[str, ...]) -> None:
    if compressed and isinstance(c_out, Integral) and beta > plain_int(c_out):  # OctConv refuses others
        raise ValueError(f"beta must be at most the layer's output channels, got beta = {beta} and {c_out}")
