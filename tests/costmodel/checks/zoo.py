"""Small networks with the traits of large ones on which other tools stumble."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations


class SamePadding(nn.Conv2d):
    """Pads by itself, as TensorFlow does (tf_efficientnet)."""

    def forward(self, x: Tensor) -> Tensor:
        k = self.kernel_size[0]
        return functional.conv2d(
            functional.pad(x, (k // 2, k - 1 - k // 2) * 2), self.weight, self.bias, self.stride
        )


class Twice(nn.Conv2d):
    """Convolves twice in one forward: 2 -> 4 -> 4 by slices of its weight."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + super().forward(-x)


class Standardised(nn.Conv2d):
    """Standardises its weight (NFNets)."""

    def forward(self, x: Tensor) -> Tensor:
        weight = functional.batch_norm(
            self.weight.reshape(1, self.out_channels, -1), None, None, training=True, momentum=0.0
        ).reshape_as(self.weight)
        return functional.conv2d(x, weight, self.bias, self.stride, self.padding)


class Masked(nn.Conv2d):
    """Has a mask and one more parameter (xdensenet)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.gain = nn.Parameter(torch.ones(1))
        self.register_buffer("mask", torch.ones_like(self.weight))

    def forward(self, x: Tensor) -> Tensor:
        mask: Any = self.mask
        return self._conv_forward(x, self.weight * mask * self.gain, self.bias)


class LoRA(nn.Linear):
    """A linear layer with an update of low rank, its own weight frozen."""

    def __init__(self, c_in: int, c_out: int, rank: int) -> None:
        super().__init__(c_in, c_out, bias=False)
        self.weight.requires_grad_(False)
        self.a, self.b = nn.Parameter(torch.ones(rank, c_in)), nn.Parameter(torch.zeros(c_out, rank))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + functional.linear(functional.linear(x, self.a), self.b)


class WithProduct(nn.Conv2d):
    """Multiplies a matrix by a vector inside a layer."""

    def forward(self, x: Tensor) -> Tensor:
        row = torch.mv(self.weight.flatten(1), self.weight[0].flatten())
        return super().forward(x) + row[:, None, None]


class UnusedProduct(nn.Conv2d):
    """Multiplies a matrix by a vector, and does not use the result."""

    def forward(self, x: Tensor) -> Tensor:
        torch.mv(self.weight.flatten(1), self.weight[0].flatten())
        return super().forward(x)


class Pair(nn.Conv2d):
    """Returns a tuple (octresnet)."""

    def forward(self, x: Tensor) -> Any:
        y = super().forward(x)
        return y, y * 2


class Pairs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Pair(3, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.first(x)
        return self.second(a + b)  # type: ignore[no-any-return]


@dataclass
class Result:
    logits: Tensor
    features: list[Tensor]


class ReturnsDataclass(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Result:
        y = self.conv(x)
        return Result(y.mean((2, 3)), [y])


class ReturnsMapping(ReturnsDataclass):
    def forward(self, x: Tensor) -> Any:
        return OrderedDict(out=self.conv(x))


class TwoArguments(nn.Module):
    """Calls a transposed convolution with a second argument."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ConvTranspose2d(4, 3, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x), [x.shape[2], x.shape[3]])  # type: ignore[no-any-return]


class EinsumSum(nn.Module):
    """Sums, and permutes, by einsum: no multiplication."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return torch.einsum("bchw->bc", y) + torch.einsum("bchw->bwhc", y).mean((1, 2))


class Detached(nn.Module):
    """One layer under no_grad, one detached, one whose result nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.unused, self.last = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = self.first(x)
        y = self.second(y).detach()
        self.unused(y)
        return self.last(y)  # type: ignore[no-any-return]


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.hidden, self.head = (
            nn.Embedding(12, 8),
            nn.Linear(8, 8, bias=False),
            nn.Linear(8, 12),
        )
        self.head.weight = self.table.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.hidden(self.table(ids)))  # type: ignore[no-any-return]


class Branches(nn.Module):
    """An auxiliary head that runs in training alone, and a branch that never does (googlenet)."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
        self.aux = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
        self.idle = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Any:
        y = self.body(x)
        out = self.head(y.mean((2, 3)))
        return (out, self.aux(y).mean((2, 3))) if self.training else out


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]  # type: ignore[no-any-return]


class Random(nn.Module):
    """Random in eval mode: drops one of two layers by chance."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(self.a(x), 0.5, True) + torch.rand(()) * self.b(x)


class Direct(nn.Module):
    """Calls a layer's forward directly, and a layer by functional_call."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.other = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner.forward(x)
        weights = {name: p * 2 for name, p in self.other.named_parameters()}
        return torch.func.functional_call(self.other, weights, (y,))  # type: ignore[no-any-return]


class ByHand(nn.Module):
    """Parameters and products without any layer."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.v = nn.Parameter(torch.ones(4, 5)), nn.Parameter(torch.ones(5))

    def forward(self, x: Tensor) -> Tensor:
        return (x @ self.w) @ self.v


def weight_normed() -> nn.Module:
    return nn.Sequential(parametrizations.weight_norm(nn.Conv2d(3, 4, 3)))
