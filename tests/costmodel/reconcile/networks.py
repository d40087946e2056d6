"""Forty small networks of different kinds, on which counters disagree with one another."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

Seq = nn.Sequential
Made = tuple[Callable[[], nn.Module], tuple[int, ...]]


class Plain(nn.Module):
    def __init__(self, act: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16, affine=False)
        self.act, self.pool, self.fc = act(), nn.AdaptiveAvgPool2d(1), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return self.fc(self.pool(x).flatten(1))


class Residual(nn.Module):
    def __init__(self, use_function: bool = False) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.use_function = use_function

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.relu(self.conv1(x)))
        return torch.add(x, y) if self.use_function else x + y


class Shared(nn.Module):
    """One convolution that two parents hold, and one that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        conv = nn.Conv2d(4, 4, 3, padding=1)
        self.left, self.right = Seq(conv, nn.ReLU()), Seq(conv, nn.BatchNorm2d(4))
        self.twice = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.twice(self.twice(self.left(x) + self.right(x)))


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(8, 3, 3, 3))
        self.head = nn.Parameter(torch.zeros(5, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.conv2d(x, self.weight, padding=1))
        x = F.max_pool2d(x, 2)
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        return F.softmax(F.linear(x, self.head), -1)


class Attention(nn.Module):
    """Attention by hand, by matmul and softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        a = (q @ k.transpose(-2, -1) * 0.25).softmax(-1)
        return self.out(torch.matmul(a, v)) * 2.0


class Fused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (t.unflatten(-1, (2, 8)).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        return F.scaled_dot_product_attention(q, k, v)


class MultiHead(nn.Module):
    def __init__(self, batch_first: bool = True, weights: bool = True) -> None:
        super().__init__()
        self.norm, self.weights = nn.LayerNorm(16), weights
        self.attention = nn.MultiheadAttention(16, 4, batch_first=batch_first)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return x + self.attention(x, x, x, need_weights=self.weights)[0]


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], **options: object) -> None:
        super().__init__()
        self.rnn = kind(6, 8, **options)  # type: ignore[arg-type]
        self.fc = nn.Linear(8 * (2 if self.rnn.bidirectional else 1), 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(x)[0][:, -1])


class Cells(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru, self.rnn = nn.LSTMCell(6, 6), nn.GRUCell(6, 6), nn.RNNCell(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.lstm(x)
        return self.rnn(self.gru(x, h), h)


class Octave(nn.Module):
    def __init__(self, use_modules: bool = False) -> None:
        super().__init__()
        self.hh, self.hl = (nn.Conv2d(8, 16, 3, padding=1, bias=False) for _ in range(2))
        self.lh, self.ll = (nn.Conv2d(8, 16, 3, padding=1, bias=False) for _ in range(2))
        self.pool = nn.AvgPool2d(2) if use_modules else self._pool
        self.up = nn.Upsample(scale_factor=2) if use_modules else self._up

    @staticmethod
    def _pool(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2)

    @staticmethod
    def _up(x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        high, low = x[:, :8], self.pool(x[:, 8:])
        high, low = self.hh(high) + self.up(self.lh(low)), self.ll(low) + self.hl(self.pool(high))
        return high.mean() + low.mean()


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused, self.idle = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.used(x)
        self.unused(y)
        y += 1
        return y


class Resized(nn.Module):
    def __init__(self, **options: object) -> None:
        super().__init__()
        self.conv, self.options = nn.Conv2d(3, 4, 1), options

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.conv(x), **self.options)  # type: ignore[arg-type]


class Own(nn.Conv2d):
    """A subclass that pads by itself."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1)), self.weight, self.bias)


class Products(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(6, 8)), nn.Parameter(torch.zeros(8))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.addmm(self.bias, x, self.weight)
        z = torch.mm(y, self.weight.t()) * x
        w = torch.einsum("bi,ij->bj", z, self.weight)
        a = torch.bmm(w[:, None], w[:, :, None])
        b = torch.baddbmm(a, a, a).mul(2.0).add(1)
        return torch.mul(b, 3).sum().reshape(1) + torch.mv(self.weight, self.bias).sum()


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.pair = nn.Embedding(12, 6), nn.Bilinear(6, 6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.pair(self.table(torch.arange(4)), x)


class Squeeze(nn.Module):
    """Squeeze and excitation, with a mean and a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.down, self.up = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.conv(x), inplace=True)
        gate = self.up(F.relu(self.down(x.mean((2, 3), keepdim=True)))).sigmoid()
        return x * gate


def _conv(*args: int, **options: object) -> nn.Module:
    return Seq(nn.Conv2d(*args, **options))  # type: ignore[arg-type]


IMAGE, SEQUENCE = (2, 3, 12, 12), (2, 5, 16)
NETWORKS: dict[str, Made] = {
    "plain": (Plain, IMAGE),
    "leaky": (lambda: Plain(nn.LeakyReLU), IMAGE),
    "gelu": (lambda: Plain(nn.GELU), IMAGE),
    "prelu": (lambda: Plain(nn.PReLU), IMAGE),
    "one_image": (Plain, (1, 3, 9, 9)),
    "residual": (Residual, (2, 8, 6, 6)),
    "residual_by_function": (lambda: Residual(True), (2, 8, 6, 6)),
    "grouped": (lambda: _conv(8, 16, 3, groups=4, padding=1), (2, 8, 7, 7)),
    "depthwise": (lambda: _conv(8, 8, 3, groups=8, bias=False), (2, 8, 7, 7)),
    "dilated": (lambda: _conv(4, 4, 3, dilation=2, stride=2), (1, 4, 11, 11)),
    "same": (lambda: _conv(4, 8, 3, padding="same"), (2, 4, 7, 7)),
    "same_even": (lambda: _conv(4, 8, 4, padding="same"), (2, 4, 8, 8)),
    "circular": (lambda: _conv(4, 8, 3, padding=1, padding_mode="circular"), (2, 4, 8, 8)),
    "one_dimension": (lambda: Seq(nn.Conv1d(4, 8, 3), nn.BatchNorm1d(8), nn.AvgPool1d(2)), (2, 4, 16)),
    "three_dimensions": (lambda: Seq(nn.Conv3d(2, 4, 3), nn.AdaptiveAvgPool3d(2)), (1, 2, 6, 6, 6)),
    "transposed": (lambda: Seq(nn.ConvTranspose2d(8, 4, 2, stride=2)), (2, 8, 5, 5)),
    "transposed_grouped": (lambda: Seq(nn.ConvTranspose2d(8, 4, 3, groups=2, bias=False)), (2, 8, 5, 5)),
    "shared": (Shared, (2, 4, 6, 6)),
    "functional": (Functional, IMAGE),
    "linear_sequence": (lambda: Seq(nn.Linear(16, 8), nn.ReLU6(), nn.Linear(8, 4, bias=False)), SEQUENCE),
    "attention": (Attention, SEQUENCE),
    "fused_attention": (Fused, SEQUENCE),
    "multihead": (MultiHead, SEQUENCE),
    "multihead_sequence_first": (lambda: MultiHead(False), SEQUENCE),
    "multihead_without_weights": (lambda: MultiHead(weights=False), SEQUENCE),
    "encoder": (lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), SEQUENCE),
    "lstm": (lambda: Recurrent(nn.LSTM, batch_first=True), (2, 5, 6)),
    "lstm_both_ways": (
        lambda: Recurrent(nn.LSTM, num_layers=2, bidirectional=True, batch_first=True),
        (2, 5, 6),
    ),
    "gru": (lambda: Recurrent(nn.GRU, num_layers=2, batch_first=True), (2, 5, 6)),
    "rnn": (lambda: Recurrent(nn.RNN, bias=False, batch_first=True), (2, 5, 6)),
    "cells": (Cells, (2, 6)),
    "octave": (Octave, (1, 16, 8, 8)),
    "octave_modules": (lambda: Octave(True), (2, 16, 8, 8)),
    "unused": (Unused, (2, 4, 6, 6)),
    "bilinear": (lambda: Resized(scale_factor=2, mode="bilinear"), IMAGE),
    "to_size": (lambda: Resized(size=(9, 7)), IMAGE),
    "subclass": (lambda: Seq(Own(4, 4, 3), nn.ReLU()), (2, 4, 6, 6)),
    "products": (Products, (4, 6)),
    "norms": (
        lambda: Seq(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.InstanceNorm2d(8, affine=True), nn.Softmax(1)),
        IMAGE,
    ),
    "squeeze": (Squeeze, IMAGE),
    "bilinear_layer": (TwoInputs, (4, 6)),
    "pooled": (
        lambda: Seq(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.AvgPool2d(3, 1, 1), nn.AdaptiveAvgPool2d(3)),
        (2, 3, 14, 14),
    ),
    "upsampled": (
        lambda: Seq(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(3, 4, 3), nn.PixelShuffle(2)),
        IMAGE,
    ),
}


def make(name: str) -> tuple[nn.Module, Tensor]:
    """A network in eval mode, and its input."""
    torch.manual_seed(0)
    build, shape = NETWORKS[name]
    return build().eval(), torch.randn(shape)


def build(name: str) -> nn.Module:
    """A network, for a process of its own."""
    return make(name)[0]


def input_of(name: str) -> str:
    """The shape of its input as text."""
    return ",".join(map(str, NETWORKS[name][1]))
