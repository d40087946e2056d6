"""Feature maps with two branches, and the operations on them: pool, upsample, add, normalise."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from pwoct.channels import Ratio, split_channels
from pwoct.layout import is_channels_last

Size: TypeAlias = tuple[int, int]


class Octave(NamedTuple):
    """A feature map in two branches: high (n, c_H, h, w) and low (n, c_L, ceil(h/2), ceil(w/2))."""

    high: Tensor | None
    low: Tensor | None


def as_octave(x: Octave | Tensor | tuple[Tensor | None, Tensor | None]) -> Octave:
    """Return `x` with two branches; a tensor is a high branch alone, a pair is (high, low).

    Raises:
        ValueError: if it is neither, or a branch is neither a tensor nor None.
    """
    if isinstance(x, Octave):
        return x
    if isinstance(x, tuple | list) and len(x) == 2 and all(b is None or _is_tensor(b) for b in x):
        return Octave(*x)
    if isinstance(x, tuple | list) or not _is_tensor(x):
        raise ValueError(f"a feature map must be a tensor or a pair of tensors (high, low), got {_told(x)}")
    return Octave(x, None)


def check_batched(x: Tensor) -> None:
    """Raise ValueError unless a feature map is (n, c, h, w)."""
    if isinstance(x, Tensor) and x.dim() != 4:  # what stands for a tensor, as in torch.fx, has no number
        hint = ": x[None] is a batch of one image" if x.dim() == 3 else ""
        raise ValueError(f"a feature map must be a batch (n, c, h, w), got shape {tuple(x.shape)}{hint}")


def _is_tensor(x: object) -> bool:
    """Whether torch's functions take it as a tensor: one, or what stands for one (`OctaveTensor`)."""
    return isinstance(x, Tensor) or hasattr(type(x), "__torch_function__")


def _told(x: object) -> str:
    if isinstance(x, tuple | list):
        return f"{type(x).__name__} of ({', '.join(type(item).__name__ for item in x)})"
    return type(x).__name__


def pool(x: Tensor, by: int = 2) -> Tensor:
    """Average `by` x `by` pixels; at an edge, those that exist.

    x: (n, c, h, w). Returns (n, c, ceil(h/by), ceil(w/by)).

    >>> pool(torch.tensor([[[[1.0, 3.0, 8.0]]]]))
    tensor([[[[2., 8.]]]])
    """
    return avg_pool2d(x, by, ceil_mode=True, count_include_pad=False)


def upsample(x: Tensor, size: Size | None = None) -> Tensor:
    """Repeat each pixel 2 x 2, cropped to a size (h, w).

    x: (n, c, h, w). Returns (n, c, 2h, 2w) or smaller.

    >>> upsample(torch.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    """
    double = _repeat_pixels(x)
    return double if size is None else double[..., : size[0], : size[1]]


def size_of(x: Tensor) -> Size:
    """Return (h, w) of a map (n, c, h, w)."""
    return x.shape[-2], x.shape[-1]


def strided(size: Size, stride: int) -> Size:
    """Return the size (h, w) after a stride, rounded up.

    >>> strided((35, 32), 2)
    (18, 16)
    """
    return -(-size[0] // stride), -(-size[1] // stride)


def _repeat_pixels(x: Tensor) -> Tensor:
    # By expand and reshape, since interpolation turns symbolic sizes into numbers. In the layout of x:
    # rows of channels are copied whole in channels_last.
    n, c, h, w = x.shape
    if is_channels_last(x):
        rows = x.permute(0, 2, 3, 1)[:, :, None, :, None].expand(n, h, 2, w, 2, c)
        return rows.reshape(n, 2 * h, 2 * w, c).permute(0, 3, 1, 2)
    return x[..., None, :, None].expand(n, c, h, 2, w, 2).reshape(n, c, 2 * h, 2 * w)


def join(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """Add the results of two paths into one branch; either may be missing.

    Raises:
        ValueError: if their shapes differ.
    """
    if a is None or b is None:
        return b if a is None else a
    if a.shape != b.shape:  # broadcasting would hide it
        raise ValueError(f"tensors to be added must have one shape, got {[*a.shape]} and {[*b.shape]}")
    return a + b


def add(x: Octave, y: Octave) -> Octave:
    """Add two octave feature maps branch by branch.

    Raises:
        ValueError: if shapes differ, or one has a branch that the other lacks.
    """
    for name, a, b in zip(Octave._fields, x, y, strict=True):
        if (a is None) != (b is None):
            raise ValueError(f"feature maps to be added must have the same branches, but one has no {name}")
    return Octave(join(x.high, y.high), join(x.low, y.low))


def rebranch(x: Octave, like: Octave) -> Octave:
    """Give `x` the branches of `like` without parameters.

    A high branch alone is split: its first channels, as many as `like.high` has, stay high, the others
    are pooled. Two branches become one by upsampling the low one and appending its channels.

    x, like: feature maps with as many channels in total and the same size.
    """
    if x.low is None and like.low is not None and x.high is not None:
        kept = 0 if like.high is None else like.high.shape[1]
        return Octave(None if like.high is None else x.high[:, :kept], pool(x.high[:, kept:]))
    if x.low is not None and like.low is None:
        low = upsample(x.low, None if like.high is None else size_of(like.high))
        return Octave(low if x.high is None else torch.cat((x.high, low), 1), None)
    return x


def per_branch(f: Callable[[Tensor], Tensor], x: Octave) -> Octave:
    """Apply `f` to each branch that exists.

    >>> per_branch(torch.relu, Octave(torch.tensor([-1.0, 2.0]), None))
    Octave(high=tensor([0., 2.]), low=None)
    """
    high, low = x
    return Octave(None if high is None else f(high), None if low is None else f(low))


class OctBatchNorm2d(nn.Module):
    """Batch normalisation of each branch, in the children `high` and `low`.

    Takes (n, c_H, h, w) and (n, c_L, ceil(h/2), ceil(w/2)), or a tensor, which is a high branch alone;
    returns an `Octave` of these shapes.

    Raises:
        ValueError: if `channels` is below 1 or `alpha` outside [0, 1].

    >>> [name for name, _ in OctBatchNorm2d(16, alpha=1).named_children()]
    ['low']
    """

    def __init__(self, channels: int, alpha: Ratio = 0) -> None:
        super().__init__()
        split = split_channels(channels, alpha)
        self.high = nn.BatchNorm2d(split.high) if split.high else None
        self.low = nn.BatchNorm2d(split.low) if split.low else None

    def forward(self, x: Octave | Tensor) -> Octave:
        """Normalise both branches.

        Raises:
            ValueError: if a branch is missing or too many, or has other channels than the layer.
        """
        high, low = as_octave(x)
        return Octave(_through(self.high, high, "high"), _through(self.low, low, "low"))


def _through(module: nn.Module | None, x: Tensor | None, branch: str) -> Tensor | None:
    if (module is None) != (x is None):
        needs, got = ("no", "one") if module is None else ("a", "none")
        raise ValueError(f"this layer needs {needs} {branch} branch, got {got}")
    if module is None or x is None:
        return x
    check_batched(x)
    _check_channels(module, x, branch)
    return module(x)  # type: ignore[no-any-return]


def _check_channels(norm: nn.Module, x: Tensor, branch: str) -> None:
    """Compare numbers alone: to compare a symbolic size would fix it."""
    needed, got = getattr(norm, "num_features", None), x.shape[1]
    if type(needed) is int and type(got) is int and needed != got:
        raise ValueError(f"this layer needs {needed} channels in the {branch} branch, got {got}")
