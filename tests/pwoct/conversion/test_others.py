"""Convolutions that no conversion replaces: what it says of them, and what it leaves in them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as f
from torch.nn.modules.conv import _ConvNd

import pwoct
from tests.pwoct.conversion.networks import Net

STEM = {"stem": "it is the network's first convolution"}


def kept(model: nn.Module) -> dict[str, str]:
    return {layer.name: layer.reason for layer in pwoct.conversion_of(model).kept}


class Others(Net):
    """Also transposed, one- and three-dimensional convolutions, and two that are functions."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(8, 8, 3, 1, 1)
        self.line, self.space, self.last = nn.Conv1d(8, 8, 1), nn.Conv3d(1, 1, 1), nn.Conv1d(8, 8, 1)
        self.weight, self.c, self.d = (
            nn.Parameter(torch.ones(8, 8, 1, 1)),
            *(nn.Conv2d(8, 8, 1) for _ in "cd"),
        )

    def body(self, x: Tensor) -> Tensor:
        x = self.d(self.c(super().body(x)))
        x = f.conv2d(self.up(x), self.weight)
        x = f.conv_transpose2d(x, weight=self.weight * 2)
        x = self.line(x.flatten(2)).unflatten(2, x.shape[2:])
        return self.space(f.conv2d(x, self.weight)[:, None])[:, 0]  # type: ignore[no-any-return]


def test_convolutions_of_other_kinds_are_listed_in_their_order() -> None:
    made = pwoct.convert(Others(), alpha=0.5)
    others = {
        "up": "it is a transposed convolution",
        "weight": "it is called as a function, not as a layer",
        "(computed weight 1)": "it is called as a function, not as a layer",
        "line": "it convolves in one dimension",
        "space": "it convolves in three dimensions",
        "last": "it does not run on this input",
    }
    assert [*kept(made).items()] == [*STEM.items(), *others.items()]
    names = [layer.name for layer in pwoct.conversion_of(made).converted]
    assert names == ["a", "b", "c", "d"]
    assert not hooked(made)


def hooked(model: nn.Module) -> list[str]:
    parts = [(name, part) for name, part in model.named_modules() if name]
    return [name for name, part in parts if part._forward_hooks or part._forward_pre_hooks]


def test_no_hook_stays_where_the_network_itself_runs() -> None:
    class OnValues(Others):
        """Its code needs values, so that no copy without data can run."""

        def body(self, x: Tensor) -> Tensor:
            return super().body(x) if bool(x.isfinite().all()) else x

    net = OnValues()
    assert hooked(pwoct.convert(net, alpha=0.5)) == hooked(net) == []


class Same(_ConvNd):
    """A convolution in a number of dimensions, with a `kernel_size` that PyTorch's classes do not have."""

    def __init__(self, dimensions: int, kernel: Any) -> None:
        pair = (1,) * dimensions
        super().__init__(8, 8, pair, pair, (0,) * dimensions, pair, False, pair, 1, True, "zeros")
        self.kernel_size = kernel

    def forward(self, x: Tensor) -> Tensor:
        return f.conv2d(x, self.weight.reshape(8, 8, 1, 1), self.bias)


class Bare(_ConvNd):
    """A convolution without any attribute."""

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def forward(self, x: Tensor) -> Tensor:
        return x


class Own(Net):
    """With layers of all these kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.deep, self.one, self.bare = Same(2, (1, 1)), Same(4, (1,) * 4), Same(2, 1), Bare()
        self.up = nn.ConvTranspose2d(8, 8, 1)
        self.c, self.d = (nn.Conv2d(8, 8, 1) for _ in "cd")

    def body(self, x: Tensor) -> Tensor:
        x = self.bare(self.one(self.deep(self.flat(super().body(x)))))
        return self.up(self.d(self.c(x)))  # type: ignore[no-any-return]


def test_convolutions_of_classes_of_ones_own_stay() -> None:
    net = Own().eval()
    made = pwoct.convert(net, alpha=0.5)
    other = "it is a convolution of another kind than nn.Conv2d"
    assert kept(made) == {
        **STEM,
        "flat": "it convolves in two dimensions, but is not an nn.Conv2d",
        **dict.fromkeys(("deep", "one", "bare"), other),
        "up": "it is a transposed convolution",
    }
    assert [layer.name for layer in pwoct.conversion_of(made).converted] == ["a", "b", "c", "d"]
    x = torch.zeros(1, 3, 8, 8)
    assert made(x).shape == net(x).shape
