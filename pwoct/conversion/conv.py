"""The octave layer that replaces a convolution in a converted network."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from torch import Tensor, nn
from torch.nn.functional import pad

from pwoct.branches import Octave, Size, size_of, strided
from pwoct.conversion.report import BLOCKS, DENSE, ConvSpec
from pwoct.conversion.tensor import OctaveTensor, conform
from pwoct.octave import OctConv
from pwoct.paths import PathSpec, conv_path
from pwoct.pwise_octave import Bottleneck


class ConvertedConv(OctConv):
    """An octave layer between the branches that its neighbours in the original network have.

    Takes a tensor (n, c_in, h, w) or an `OctaveTensor`; returns an `OctaveTensor` of size
    ceil(size / stride). Parameters are those of `OctConv` and `PwiseOctConv`.
    """

    def __init__(self, spec: ConvSpec, *, stride_rule: str = "C", between: str = "none") -> None:
        def path(of: PathSpec) -> nn.Module:
            if of.name in spec.widths:
                return Bottleneck(of, spec.widths[of.name], between)
            if spec.kind == BLOCKS:
                groups = of.c_in * spec.groups // spec.layout_in.channels
                of = replace(of, depthwise=False, groups=groups)
            return _padded_at_the_end(of) if spec.same else conv_path(of)

        is_dense = spec.kind == DENSE
        super().__init__(
            spec.layout_in.channels,
            spec.layout_out.channels,
            spec.kernel,
            alpha_in=Fraction(len(spec.layout_in.low), spec.layout_in.channels),
            alpha_out=Fraction(len(spec.layout_out.low), spec.layout_out.channels),
            stride=spec.stride,
            dilation=spec.dilation,
            groups=spec.groups if is_dense else 1,
            bias=spec.bias,
            stride_rule=stride_rule,
            depthwise=not is_dense,
            path=path,
        )
        self.spec = spec
        self.in_channels, self.out_channels = self.c_in, self.c_out

    def forward(  # type: ignore[override]
        self,
        input: OctaveTensor | Tensor,  # noqa: A002 -- its name in nn.Conv2d, which callers may use as a keyword
        size: Size | None = None,
    ) -> OctaveTensor:
        """Convolve a feature map in one or two branches."""
        pair = conform(input, self.spec.layout_in)
        size = strided(pair.map_size, self.stride) if size is None else size
        y = self.convolve(pair.octave(), size)
        return OctaveTensor(y.high, y.low, self.spec.layout_out, size, closes=self.spec.closes)

    def convolve(self, x: Octave, size: Size) -> Octave:
        """Convolve (high, low) to (high, low); execution plans replace this method."""
        y: Octave = super().forward(x, size)
        return y


class SameConv2d(nn.Conv2d):
    """A convolution that pads its input (n, c, h, w) so that ceil(size / stride) remains.

    The odd pixel of padding follows the last row and column, as in TensorFlow.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Pad and convolve."""
        amounts: list[int] = []
        for n, k, s, d in reversed(
            [*zip(size_of(x), self.kernel_size, self.stride, self.dilation, strict=True)]
        ):
            missing = (-(-n // s) - 1) * s + d * (k - 1) + 1 - n
            missing = missing if missing > 0 else 0
            amounts += [missing // 2, missing - missing // 2]
        return super().forward(pad(x, amounts))


def _padded_at_the_end(path: PathSpec) -> nn.Conv2d:
    conv = conv_path(path)
    assert isinstance(conv, nn.Conv2d)
    return SameConv2d(
        path.c_in,
        path.c_out,
        path.kernel_size,
        path.stride,
        dilation=path.dilation,
        groups=conv.groups,
        bias=path.bias,
    )
