"""Octave convolution: four paths between feature maps at two resolutions.

HH and LL stay at their resolution, HL pools and then convolves, LH convolves and then upsamples.
"""

from torch import Tensor, nn

from pwoct.branches import Octave, Size, as_octave, check_batched, join, pool, size_of, upsample
from pwoct.channels import (
    PATHS,
    Ratio,
    Split,
    as_alpha,
    as_sizes,
    check_choice,
    is_size,
    plain_int,
    split_channels,
)
from pwoct.paths import PathFactory, PathSpec, conv_path

__all__ = ["STRIDE_RULES", "OctConv", "Octave"]

STRIDE_RULES = ("A", "B", "C")


class OctConv(nn.Module):
    """A convolution between octave feature maps, in the paths `hh`, `hl`, `lh` and `ll`.

    Takes an `Octave`, a pair of tensors (high, low), or a tensor, which is a high branch alone; returns an
    `Octave` of size ceil(size / stride). A branch or path without channels is None. Without a high input,
    the high output has the size that `forward` is given, or twice that of the low one.

    Args:
        c_in: channels of the input, both branches together.
        c_out: channels of the output, both branches together.
        kernel_size: an odd number, or a pair (height, width) of them.
        alpha_in: share of low channels of the input, in [0, 1].
        alpha_out: share of low channels of the output, in [0, 1].
        stride: by rule "C", applied by the first convolution of each path; HL pools by 2 before it.
        dilation: of the kxk convolutions.
        groups: of the kxk convolutions; must divide the channels of every path.
        bias: one per output branch: on HH and LL, or on the only path into that branch.
        stride_rule: "C", see `stride`; "B" pools both inputs by the stride first; "A" too, but LH
            convolves the low input unpooled and is not upsampled (stride 1 or 2).
        depthwise: convolve channels one by one; only HH and LL exist.
        exchange: with `depthwise`, keep HL and LH.
        path: a function that makes the module of a path from its description.

    Raises:
        ValueError: if an option is out of its range or does not fit the others.

    Source: Chen et al., "Drop an Octave" (ICCV 2019); Inoue and Gotoh, eq. (1) and (2).

    >>> import torch
    >>> layer = OctConv(16, 32, 3, alpha_in=0.25, alpha_out="1/4", stride=2)
    >>> y = layer(Octave(torch.zeros(1, 12, 9, 9), torch.zeros(1, 4, 5, 5)))
    >>> y.high.shape, y.low.shape
    (torch.Size([1, 24, 5, 5]), torch.Size([1, 8, 3, 3]))
    >>> sum(p.numel() for p in layer.parameters()) == 3 * 3 * 16 * 32
    True
    """

    hh: nn.Module | None
    hl: nn.Module | None
    lh: nn.Module | None
    ll: nn.Module | None

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel_size: int | tuple[int, int] = 3,
        *,
        alpha_in: Ratio = 0,
        alpha_out: Ratio = 0,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        stride_rule: str = "C",
        depthwise: bool = False,
        exchange: bool = False,
        path: PathFactory = conv_path,
    ) -> None:
        super().__init__()
        c_in, c_out, stride, dilation, groups = as_sizes(
            c_in=c_in, c_out=c_out, stride=stride, dilation=dilation, groups=groups
        )
        _check_stride_rule(stride_rule, stride)
        _check_depthwise(depthwise, exchange, groups)
        self.c_in, self.c_out, self.kernel_size = c_in, c_out, _odd_pair(kernel_size)
        self.alpha_in, self.alpha_out = as_alpha(alpha_in, "alpha_in"), as_alpha(alpha_out, "alpha_out")
        self.split_in = split_channels(c_in, self.alpha_in)
        self.split_out = split_channels(c_out, self.alpha_out)
        self.stride, self.stride_rule, self.dilation, self.groups = stride, stride_rule, dilation, groups
        self.depthwise, self.exchange, self.bias = depthwise, exchange, bias
        specs = self._path_specs()
        for name in PATHS:
            self.register_module(name.lower(), path(specs[name]) if name in specs else None)

    def _path_specs(self) -> dict[str, PathSpec]:
        """Describe the paths between branches that have channels."""
        exist = _existing_paths(self.split_in, self.split_out, across=self.exchange or not self.depthwise)
        return {
            name: PathSpec(
                name,
                *channels,
                kernel_size=self.kernel_size,
                stride=self.stride if self.stride_rule == "C" else 1,
                dilation=self.dilation,
                groups=self.groups,
                depthwise=self.depthwise,
                bias=self.bias and (name in ("HH", "LL") or name[1] * 2 not in exist),
            )
            for name, channels in exist.items()
        }

    def forward(self, x: Octave | Tensor, size: Size | None = None) -> Octave:
        """Convolve (high, low) to (high, low).

        size: (h, w) of the high output, needed if there is no high input.

        Raises:
            ValueError: if a branch is missing, too many or without a batch, or sizes do not fit one another.
        """
        high, low = self._checked(as_octave(x))
        high, low, low_for_high = self._pool_by_stride(high, low)
        hh = self._through(self.hh, high)
        hl = self._through(self.hl, self._pool_for_low(high))
        lh = self._upsample(self._through(self.lh, low_for_high), size if hh is None else size_of(hh))
        ll = self._through(self.ll, low)
        return Octave(join(hh, lh), join(hl, ll))

    def _checked(self, x: Octave) -> Octave:
        for name, branch, channels in zip(Octave._fields, x, self.split_in, strict=True):
            if (branch is None) != (channels == 0):
                got = "none" if branch is None else "one"
                raise ValueError(
                    f"an octave layer with alpha_in = {self.alpha_in} needs {'a' if channels else 'no'} "
                    f"{name} branch, got {got}"
                )
            if branch is not None:
                check_batched(branch)
        if x.high is not None and x.low is not None:
            _check_sizes(x.high, x.low)
        return x

    def _pool_by_stride(
        self, high: Tensor | None, low: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the inputs of HH and HL, of LL, and of LH."""
        if self.stride == 1 or self.stride_rule == "C":
            return high, low, low
        pooled_high = None if high is None else pool(high, self.stride)
        if self.stride_rule == "A" and self.ll is None:
            return pooled_high, None, low
        pooled_low = None if low is None else pool(low, self.stride)
        return pooled_high, pooled_low, low if self.stride_rule == "A" else pooled_low

    def _pool_for_low(self, high: Tensor | None) -> Tensor | None:
        return None if self.hl is None or high is None else pool(high)

    def _through(self, path: nn.Module | None, x: Tensor | None) -> Tensor | None:
        return None if path is None or x is None else path(x)

    def _upsample(self, lh: Tensor | None, size: Size | None) -> Tensor | None:
        at_high_size = self.stride_rule == "A" and self.stride == 2
        if lh is None or at_high_size:
            return lh
        if size is not None:
            _check_half(size, lh)
        return upsample(lh, size)

    def extra_repr(self) -> str:
        """Name the options that shape the layer."""
        return (
            f"{self.c_in}, {self.c_out}, kernel_size={self.kernel_size}, alpha_in={self.alpha_in}, "
            f"alpha_out={self.alpha_out}, stride={self.stride}, stride_rule={self.stride_rule!r}"
        )


def _existing_paths(c_in: Split, c_out: Split, *, across: bool) -> dict[str, tuple[int, int]]:
    """Return the channels of each path between branches that have some."""
    names = [name for name in PATHS if across or name[0] == name[1]]
    ends = {name: (c_in["HL".index(name[0])], c_out["HL".index(name[1])]) for name in names}
    if not across and [c > 0 for c in c_in] != [c > 0 for c in c_out]:
        raise ValueError(
            f"depthwise without exchange needs the same branches in and out, "
            f"got {tuple(c_in)} -> {tuple(c_out)} (high, low) channels"
        )
    return {name: channels for name, channels in ends.items() if all(channels)}


def _odd_pair(kernel_size: int | tuple[int, int]) -> tuple[int, int]:
    pair = kernel_size if isinstance(kernel_size, tuple | list) else (kernel_size, kernel_size)
    if len(pair) != 2 or not all(map(_is_odd, pair)):
        raise ValueError(f"kernel_size must be an odd integer or a pair of them, got {kernel_size!r}")
    return plain_int(pair[0]), plain_int(pair[1])


def _is_odd(k: int) -> bool:
    return is_size(k) and k % 2 == 1


def _check_stride_rule(rule: str, stride: int) -> None:
    check_choice("stride_rule", rule, STRIDE_RULES)
    if rule == "A" and stride > 2:
        raise ValueError(f"stride_rule 'A' needs stride 1 or 2, got {stride}")


def _check_depthwise(depthwise: bool, exchange: bool, groups: int) -> None:
    if depthwise and groups != 1:
        raise ValueError(f"depthwise chooses its own groups and needs groups = 1, got {groups}")
    if exchange and not depthwise:
        raise ValueError("exchange needs depthwise = True, got False: other layers always have HL and LH")


def _check_half(size: Size, lh: Tensor) -> None:
    if [(side + 1) // 2 for side in size] != [*size_of(lh)]:
        raise ValueError(
            f"the high output's size must be that of LH, doubled, or one less, "
            f"got {tuple(size)} and LH of {size_of(lh)}"
        )


def _check_sizes(high: Tensor, low: Tensor) -> None:
    half = [(size + 1) // 2 for size in high.shape[-2:]]
    if [high.shape[0], *half] != [low.shape[0], *low.shape[-2:]]:
        raise ValueError(
            f"the low branch must have the batch and half the size (rounded up) of the high branch, "
            f"got high {tuple(high.shape)} and low {tuple(low.shape)}"
        )
