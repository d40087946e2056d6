"""Residual blocks; their convolutions are arguments."""

from torch import Tensor, nn
from torch.nn.functional import relu

from pwoct.branches import Octave, add, as_octave, crop, per_branch, rebranch


class BasicBlock(nn.Module):
    """Two convolutions with batch normalisation, a shortcut, ReLU; the layers are arguments.

    x: (n, c_in, h, w). Returns the shape that `conv2` gives. Without `shortcut`, x itself is added.

    Source: He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016), section 4.2.
    """

    def __init__(
        self,
        conv1: nn.Module,
        bn1: nn.Module,
        conv2: nn.Module,
        bn2: nn.Module,
        shortcut: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv1, bn1
        self.conv2, self.bn2 = conv2, bn2
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual of (n, c_in, h, w)."""
        y = relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return relu(y + (x if self.shortcut is None else self.shortcut(x)))


class OctBlock(BasicBlock):
    """A `BasicBlock` of octave layers: takes an `Octave` or a tensor, returns an `Octave`.

    Where input and output differ only in their branches, the shortcut splits or concatenates.
    """

    def forward(self, x: Octave | Tensor) -> Octave:  # type: ignore[override]
        """Add the residual of (high, low)."""
        x = as_octave(x)
        inner = per_branch(relu, self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(inner))
        x = rebranch(x, y) if self.shortcut is None else self.shortcut(x)
        if inner.high is None:  # then nothing has told conv2 whether its high output has an odd size
            y = crop(y, x)
        return per_branch(relu, add(y, x))
