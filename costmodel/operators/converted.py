"""The cost of an octave layer that took a convolution's place, from sizes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from costmodel.convention import Cost
from costmodel.operators.octave import OctaveLayer
from costmodel.operators.pwise_octave import pwise_octave
from costmodel.operators.standard import convolution
from costmodel.sizes import Pair, Size, ceil_div


@dataclass(frozen=True)
class ConvertedLayer:
    """A converted convolution: `c_in` and `c_out` are (high, low) channels, `size` is the input's (h, w).

    `kind` is "dense", "depthwise" or "whole groups": a convolution whose groups, `groups` in all, stay in
    their branches. `widths` are those of the paths that are bottlenecks.
    """

    name: str
    c_in: Pair
    c_out: Pair
    kernel: Pair
    size: Pair
    stride: Size = 1
    dilation: Size = 1
    groups: Size = 1
    bias: bool = False
    kind: str = "dense"
    widths: Mapping[str, Size] = field(default_factory=dict)
    stride_rule: str = "C"
    between: str = "none"
    batch: Size = 1

    def cost(self) -> Cost:
        """Return the cost of the layer.

        >>> layer = ConvertedLayer("conv", (12, 4), (12, 4), (3, 3), (32, 32), widths={"LL": 2})
        >>> layer.cost().params == 9 * (12 * 12 + 12 * 4 + 4 * 12) + (4 * 2 + 9 * 2 * 2 + 2 * 4)
        True
        """
        if self.kind == "whole groups":
            return self._branch(0) + self._branch(1)
        layer = OctaveLayer(
            *(self.c_in, self.c_out, self.kernel, self.stride, self.dilation),
            groups=1 if self.kind == "depthwise" else self.groups,
            bias=self.bias,
            stride_rule=self.stride_rule,
            depthwise=self.kind == "depthwise",
        )
        return pwise_octave(layer, self.size, self.widths, between=self.between, batch=self.batch)

    def _branch(self, branch: int) -> Cost:
        """Return the cost of one branch's convolution, with the groups that lie in it."""
        c_in, c_out = self.c_in[branch], self.c_out[branch]
        h, w = (n if branch == 0 else ceil_div(n, 2) for n in self.size)
        if c_in == 0:
            return Cost()
        return convolution(
            c_in,
            c_out,
            self.kernel,
            (h, w),
            stride=self.stride,
            dilation=self.dilation,
            groups=c_in * self.groups // (self.c_in[0] + self.c_in[1]),
            bias=self.bias,
            batch=self.batch,
        )
