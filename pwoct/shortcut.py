"""Shortcuts of a stage change: which there are, and the one without parameters."""

from torch import Tensor, nn
from torch.nn.functional import pad

from pwoct.branches import Octave, as_octave
from pwoct.channels import Split, check_choice

SHORTCUTS = ("A", "B")


def check_shortcut(shortcut: str, stride_rule: str) -> None:
    """Raise ValueError if there is no such shortcut, or if the stride rule does not allow it."""
    check_choice("shortcut", shortcut, SHORTCUTS)
    if shortcut == "A" and stride_rule != "C":
        raise ValueError(f"shortcut A keeps every second pixel and needs stride rule C, got {stride_rule}")


class ZeroPadShortcut(nn.Module):
    """The shortcut of a stage change without parameters: every `stride`-th pixel, and new channels of zeros.

    x: (n, c_in, h, w), or an `Octave` of such branches. Returns (n, c_out, ceil(h/stride), ceil(w/stride)) in
    each branch.

    Args:
        split_in: (high, low) channels of the input.
        split_out: (high, low) channels of the output.
        stride: which pixels are kept.

    Raises:
        ValueError: if a branch loses channels, or exists on one side only.

    Source: He et al. (CVPR 2016), section 3.3, option A; here branch by branch.

    >>> import torch
    >>> ZeroPadShortcut(Split(1, 0), Split(2, 0), 2)(torch.ones(1, 1, 3, 3)).shape
    torch.Size([1, 2, 2, 2])
    """

    def __init__(self, split_in: Split, split_out: Split, stride: int) -> None:
        super().__init__()
        for branch, c_in, c_out in zip(Octave._fields, split_in, split_out, strict=True):
            if c_in > c_out or (c_in == 0) != (c_out == 0):
                raise ValueError(
                    f"shortcut A keeps all channels of a branch and adds zeros, but the {branch} branch has"
                    f" {c_in} channels before a stage change and {c_out} after it; use shortcut B"
                )
        self.split_in, self.split_out, self.stride = split_in, split_out, stride

    def forward(self, x: Octave | Tensor) -> Octave | Tensor:
        """Keep every `stride`-th pixel of each branch, and append channels of zeros."""
        if not isinstance(x, tuple | list):  # a tensor, or what stands for one
            return self._padded(x, self.split_out.high)
        high, low = as_octave(x)
        return Octave(
            None if high is None else self._padded(high, self.split_out.high),
            None if low is None else self._padded(low, self.split_out.low),
        )

    def _padded(self, x: Tensor, c_out: int) -> Tensor:
        return pad(x[..., :: self.stride, :: self.stride], (0, 0, 0, 0, 0, c_out - x.shape[1]))

    def extra_repr(self) -> str:
        """Name the channels and the stride."""
        return f"{tuple(self.split_in)}, {tuple(self.split_out)}, stride={self.stride}"
