"""Residual blocks; their convolutions are arguments."""

from torch import Tensor, nn
from torch.nn.functional import relu

from pwoct.branches import Octave, Size, add, as_octave, per_branch, rebranch, size_of, strided
from pwoct.octave import OctConv
from pwoct.shortcut import ZeroPadShortcut


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
        """Return relu(residual + shortcut) of x (n, c_in, h, w)."""
        y = relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return relu(y + (x if self.shortcut is None else self.shortcut(x)))


class OctBlock(BasicBlock):
    """A `BasicBlock` of octave layers: takes an `Octave` or a tensor, returns an `Octave`.

    Where input and output differ only in their branches, the shortcut splits or concatenates.
    """

    def __init__(
        self,
        conv1: OctConv,
        bn1: nn.Module,
        conv2: nn.Module,
        bn2: nn.Module,
        shortcut: nn.Module | None = None,
    ) -> None:
        super().__init__(conv1, bn1, conv2, bn2, shortcut)

    @property
    def stride(self) -> int:
        """That of the first convolution."""
        return self.conv1.stride  # type: ignore[return-value]

    def forward(self, x: Octave | Tensor, size: Size | None = None) -> Octave:  # type: ignore[override]
        """Return relu(residual + shortcut) of x = (high, low), branch by branch.

        size: (h, w) of the high input, needed if the input has no high branch.
        """
        x = as_octave(x)
        size = size if x.high is None else size_of(x.high)
        size = None if size is None else strided(size, self.stride)
        inner = per_branch(relu, self.bn1(_convolve(self.conv1, x, size)))
        y = self.bn2(_convolve(self.conv2, inner, size))
        x = rebranch(x, y) if self.shortcut is None else _convolve(self.shortcut, x, size)
        return per_branch(relu, add(y, x))


class OctSequential(nn.Sequential):
    """Octave blocks in a row, or such rows in a row; each is told the size of its high input.

    So a network keeps the size of its images where some stages have no high branch.
    """

    @property
    def stride(self) -> int:
        """The strides of all blocks, multiplied."""
        product = 1
        for child in self.children():  # torch.compile cannot trace the product of a generator
            product *= child.stride  # type: ignore[operator, assignment]
        return product

    def forward(self, x: Octave | Tensor, size: Size | None = None) -> Octave | Tensor:
        """Compute the blocks one after the other.

        size: (h, w) of the high input, needed if the input has no high branch.
        """
        for child in self.children():
            x = child(x, size)
            size = None if size is None else strided(size, child.stride)  # type: ignore[arg-type]
        return x


def _convolve(layer: nn.Module, x: Octave, size: Size | None) -> Octave:
    """Tell a layer the size of its high output only where its input does not."""
    told = size is None or x.high is not None or isinstance(layer, ZeroPadShortcut)
    y: Octave = layer(x) if told else layer(x, size)
    return y
