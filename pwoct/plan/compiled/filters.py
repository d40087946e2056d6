"""Filters and normalisations of a training step, by their places among all parameters."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import gcd, prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pwoct.plan.compiled.operations import NONE, Map, Size
from pwoct.plan.folded.fold import check_geometry

NEEDS = 'the plan "blocked" needs'


class Statistics(NamedTuple):
    """The parameters of a normalisation, and the running statistics that it updates.

    weight, bias: places of the first of `channels` numbers.
    norm: the module whose statistics `kept`, a range of its channels, are updated; None if there is none.
    """

    channels: int
    weight: int
    bias: int
    epsilon: float
    momentum: float
    norm: nn.BatchNorm2d | None
    kept: range


class Normalised(NamedTuple):
    """A map, its normalisation, and a map that is added."""

    x: Map
    norm: Statistics
    plus: Map | None


class Filters(NamedTuple):
    """Filters (c_out, c_in / groups, k_h, k_w) of a convolution.

    first, bias: the place of the first of their numbers.
    trains, trains_bias: whether their gradients are needed.
    """

    first: int
    shape: tuple[int, int, int, int]
    stride: int = 1
    padding: Size = (0, 0)
    dilation: int = 1
    groups: int = 1
    bias: int = NONE
    trains: bool = True
    trains_bias: bool = False

    def places(self) -> Tensor:
        """Return the place of each tap."""
        return torch.arange(self.first, self.first + prod(self.shape), device="cpu").view(self.shape)

    def size(self, size: Size) -> Size:
        """Return the size of the output, given the input's."""
        height, width = (
            (n + 2 * p - self.dilation * (k - 1) - 1) // self.stride + 1
            for n, p, k in zip(size, self.padding, self.shape[2:], strict=True)
        )
        return height, width

    def fields(self) -> dict[str, int]:
        """Return the fields of operations that say where the taps are."""
        return {
            "kernel_height": self.shape[2],
            "kernel_width": self.shape[3],
            "dilation": self.dilation,
            "pad_height": self.padding[0],
            "pad_width": self.padding[1],
        }


class Phase(NamedTuple):
    """Every stride-th pixel of an input: the taps that reach them, and the operation's fields."""

    rows: list[int]
    columns: list[int]
    fields: dict[str, int]


def phases(filters: Filters) -> Iterator[Phase]:
    """Yield the stride x stride convolutions that a convolution's input gradient consists of."""
    stride, dilation = filters.stride, filters.dilation
    along = [_along(filters, k, pad) for k, pad in zip(filters.shape[2:], filters.padding, strict=True)]
    for (row, (rows, top)), (column, (columns, left)) in product(*map(enumerate, along)):
        yield Phase(
            rows,
            columns,
            {
                "stride": 1,
                "dilation": dilation // gcd(stride, dilation),
                "spread": stride,
                "first_row": row,
                "first_column": column,
                "kernel_height": len(rows),
                "kernel_width": len(columns),
                "pad_height": top,
                "pad_width": left,
            },
        )


def _along(filters: Filters, k: int, pad: int) -> list[tuple[list[int], int]]:
    """Return for each phase along one direction the taps that reach it, and the padding."""
    stride, dilation = filters.stride, filters.dilation
    found = []
    for first in range(stride):
        # Output pixel y reads input pixel stride y + dilation tap - pad.
        taps = [tap for tap in reversed(range(k)) if (first + pad - dilation * tap) % stride == 0]
        found.append((taps, (dilation * taps[0] - pad - first) // stride if taps else 0))
    return found


def filters_of(convolution: nn.Conv2d, channels: int) -> Filters:
    """Return the filters of a convolution of so many channels, as if they were the first parameters.

    Raises:
        ValueError: unless the filter is 1x1 or 3x3, without groups or bias, and fits.
    """
    check_geometry(convolution)
    k, s, d = convolution.kernel_size[0], convolution.stride[0], convolution.dilation[0]
    if convolution.kernel_size not in ((1, 1), (3, 3)) or convolution.groups != 1:
        raise ValueError(f"{NEEDS} 1x1 or 3x3 convolutions without groups, got {convolution}")
    if convolution.bias is not None:
        raise ValueError(f"{NEEDS} convolutions without bias, got {convolution}")
    if not isinstance(convolution.weight, nn.Parameter):
        raise ValueError(f"{NEEDS} weights that are parameters themselves, got {convolution}")
    if convolution.in_channels != channels:
        raise ValueError(f"{NEEDS} convolutions that fit the map, got {channels} channels for {convolution}")
    p, shape = d * (k // 2), (convolution.out_channels, channels, k, k)
    return Filters(0, shape, s, (p, p), d, trains=convolution.weight.requires_grad)
