"""Random networks out of all covered operators cost what torch's counter says on the meta device.

Where that counter knows no formula (bilinear layers), a naive loop counts multiplications.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from costmodel.tracing import Trace, trace
from costmodel.tracing.running import plain_kernels

CHANNELS = 4
Layer = Callable[[st.DataObject], nn.Module]


class Around(nn.Module):
    """Brings (n, c, h, w) into the form that a layer takes, and its result back."""

    def __init__(self, layer: nn.Module, kind: str) -> None:
        super().__init__()
        self.layer, self.kind = layer, kind

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        if self.kind == "sequence":
            y = self.layer(x.flatten(2).transpose(1, 2))
            y = y[0] if isinstance(y, tuple) else y
            return y.transpose(1, 2).reshape(n, -1, h, w)
        if self.kind == "attention":
            s = x.flatten(2).transpose(1, 2)
            return self.layer(s, s, s)[0].transpose(1, 2).reshape(n, c, h, w)
        if self.kind == "line":
            return self.layer(x.flatten(2)).reshape(n, -1, h, w)
        if self.kind == "volume":
            return self.layer(x[:, :, None])[:, :, 0]
        return self.layer(x.movedim(1, -1)).movedim(-1, 1)


class Cells(nn.Module):
    """Recurrent cells, step by step over the rows of the image."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        state = None
        for row in x.permute(2, 0, 3, 1).reshape(h, n * w, c):
            state = self.cell(row, state)
        last = state[0] if isinstance(state, tuple) else state
        assert last is not None
        return x + last.reshape(n, w, -1).transpose(1, 2)[:, :, None]


_POINTWISE = nn.Linear(CHANNELS, CHANNELS, bias=False)


class ByHand(nn.Module):
    """Products without modules."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what, self.weight = what, nn.Parameter(torch.zeros(CHANNELS, CHANNELS))

    def forward(self, x: Tensor) -> Tensor:
        if self.what == "einsum":
            return torch.einsum("nchw,cd->ndhw", x, self.weight)
        if self.what == "conv2d":
            return F.conv2d(x, self.weight[:, :, None, None])
        if self.what == "matmul":
            return (x @ x.transpose(-1, -2)).mean(-1, keepdim=True) + x
        if self.what == "baddbmm":
            s = x.flatten(2).transpose(1, 2)
            return torch.baddbmm(s, s, self.weight.expand(len(s), -1, -1)).transpose(1, 2).reshape(x.shape)
        if self.what == "embedding":
            rows = F.embedding(torch.zeros(x.shape[:1], dtype=torch.long, device=x.device), self.weight)
            return x + (rows @ self.weight)[:, :, None, None]
        if self.what == "functional_call":
            pointwise = torch.func.functional_call(_POINTWISE, {"weight": self.weight}, x.movedim(1, -1))
            return cast(Tensor, pointwise).movedim(-1, 1)
        q = x.flatten(2).transpose(1, 2)[:, None]
        return F.scaled_dot_product_attention(q, q, q)[:, 0].transpose(1, 2).reshape(x.shape)


def convolution(data: st.DataObject) -> nn.Module:
    groups = data.draw(st.sampled_from([1, 2, 4]))
    kernel, dilation = data.draw(st.sampled_from([1, 2, 3])), data.draw(st.sampled_from([1, 2]))
    return nn.Conv2d(CHANNELS, CHANNELS, kernel, padding="same", dilation=dilation, groups=groups,
                     bias=data.draw(st.booleans()))  # fmt: skip


def strided(data: st.DataObject) -> nn.Module:
    stride = data.draw(st.sampled_from([1, 2]))
    down = nn.Conv2d(CHANNELS, CHANNELS, 3, stride=stride, padding=1)
    groups = data.draw(st.sampled_from([1, 2]))
    up = nn.ConvTranspose2d(CHANNELS, CHANNELS, 2, stride=2, groups=groups, output_padding=stride - 1)
    return nn.Sequential(down, up)


BY_HAND = ("einsum", "conv2d", "matmul", "attention", "baddbmm", "embedding", "functional_call")
MAKERS: dict[str, Layer] = {
    "convolution": convolution,
    "strided": strided,
    "line": lambda _: Around(nn.Conv1d(CHANNELS, CHANNELS, 3, padding=1), "line"),
    "volume": lambda _: Around(nn.Conv3d(CHANNELS, CHANNELS, (1, 3, 3), padding=(0, 1, 1)), "volume"),
    "linear": lambda data: Around(nn.Linear(CHANNELS, CHANNELS, data.draw(st.booleans())), "last"),
    "lstm": lambda data: Around(
        nn.LSTM(CHANNELS, 2, data.draw(st.sampled_from([1, 2])), batch_first=True, bidirectional=True),
        "sequence",
    ),
    "gru": lambda _: Around(nn.GRU(CHANNELS, CHANNELS, batch_first=True), "sequence"),
    "projected": lambda _: Around(nn.LSTM(CHANNELS, 8, batch_first=True, proj_size=CHANNELS), "sequence"),
    "rnn": lambda _: Around(nn.RNN(CHANNELS, CHANNELS, bias=False, batch_first=True), "sequence"),
    "cells": lambda data: Cells(
        data.draw(st.sampled_from([nn.LSTMCell, nn.GRUCell, nn.RNNCell]))(CHANNELS, CHANNELS)
    ),
    "circular": lambda _: nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, padding_mode="circular"),
    "transposed line": lambda _: Around(nn.ConvTranspose1d(CHANNELS, CHANNELS, 3, padding=1), "line"),
    "transposed volume": lambda _: Around(
        nn.ConvTranspose3d(CHANNELS, CHANNELS, (1, 2, 2), dilation=(1, 2, 2), padding=(0, 1, 1)), "volume"
    ),
    "attention": lambda _: Around(nn.MultiheadAttention(CHANNELS, 2, batch_first=True), "attention"),
    "encoder": lambda _: Around(
        nn.TransformerEncoderLayer(CHANNELS, 2, 8, 0.0, batch_first=True), "sequence"
    ),
    "by hand": lambda data: ByHand(data.draw(st.sampled_from(BY_HAND))),
    "normalised": lambda data: data.draw(
        st.sampled_from([nn.BatchNorm2d(CHANNELS), nn.GroupNorm(2, CHANNELS), nn.InstanceNorm2d(CHANNELS)])
    ),
    "free": lambda data: data.draw(
        st.sampled_from(
            [nn.PReLU(), nn.Hardswish(), nn.Softmax(1), nn.MaxPool2d(3, 1, 1), nn.ReflectionPad2d(1),
             nn.Upsample(scale_factor=2), nn.AvgPool2d(2, ceil_mode=True), nn.Dropout()]
        )
    ),
    "weight norm": lambda _: nn.utils.parametrizations.weight_norm(nn.Conv2d(CHANNELS, CHANNELS, 1)),
}  # fmt: skip


@st.composite
def networks(draw: st.DrawFn) -> nn.Module:
    """Up to five layers; some run again, some share their weight, some are frozen, some are nested."""
    data = draw(st.data())
    chosen = draw(st.lists(st.sampled_from(sorted(MAKERS)), min_size=1, max_size=5))
    layers = [MAKERS[name](data) for name in chosen]
    if draw(st.booleans()):
        layers.append(layers[0])
    if draw(st.booleans()):
        layers.append(nn.Sequential(nn.ReLU(), nn.Sequential(layers[-1])))
    if draw(st.booleans()):
        first, second = nn.Conv2d(CHANNELS, CHANNELS, 1), nn.Conv2d(CHANNELS, CHANNELS, 1)
        second.weight = first.weight
        layers += [first, second]
    if draw(st.booleans()):
        for parameter in layers[0].parameters():
            parameter.requires_grad_(False)
    return nn.Sequential(*layers)


def counted(model: nn.Module, x: Tensor, *, training: bool) -> int:
    """What torch's counter says; with `training`, forward and backward in train mode."""
    model = model.to("meta").train(training)
    with plain_kernels(), FlopCounterMode(display=False) as counter:
        y = model(x.to("meta"))
        if training and y.requires_grad:
            y.sum().backward()
    return int(counter.get_total_flops()) // 2


@settings(max_examples=16)
@given(networks(), st.sampled_from([1, 2]))
def test_forward_macs_are_what_the_counter_says(model: nn.Module, n: int) -> None:
    x = torch.zeros(n, CHANNELS, 4, 6)
    traced = trace(model, [x])
    assert traced.uncovered() == ()
    assert traced.route == "fake"
    assert traced.parameters.all == sum(p.numel() for p in model.parameters())
    assert traced.parameters.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert traced.total().macs == sum(cost.macs for cost in own_costs(traced).values())
    assert traced.total().macs == counted(model, x, training=False)


@settings(max_examples=10)
@given(networks())
def test_training_macs_are_what_the_counter_says(model: nn.Module) -> None:
    if any(getattr(module, "groups", 1) > 1 for module in model.modules()):
        return  # the counter's backward pass ignores groups
    x = torch.zeros(2, CHANNELS, 4, 6)
    training = trace(model, [x], training=True).training
    assert training is not None
    assert training.macs == counted(model, x, training=True)


def own_costs(traced: Trace) -> dict[str, Any]:
    """What each module runs itself: inclusive sums without those of the children."""
    whole = traced.by_module()
    return {
        path: cost
        - sum(
            (c for p, c in whole.items() if p and p.rpartition(".")[0] == path and p != path), start=cost * 0
        )
        for path, cost in whole.items()
    }


def test_bilinear_layers_equal_a_naive_loop() -> None:
    n, i, o, j = 2, 3, 5, 4
    inner = sum(1 for _ in product(range(n), range(o), range(i), range(j)))  # x1 times W
    outer = sum(1 for _ in product(range(n), range(o), range(j)))  # that times x2
    traced = trace(nn.Bilinear(i, j, o), [torch.zeros(n, i), torch.zeros(n, j)], training=True)
    assert traced.total().macs == inner + outer
    assert traced.uncovered() == ()


def test_grouped_transposed_convolution_equals_a_naive_loop() -> None:
    layer = nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, padding=1)
    x, weight = torch.zeros(1, 4, 3, 5), layer.weight
    taps = sum(
        1
        for _ in product(range(x.shape[0]), range(x.shape[2]), range(x.shape[3]))  # every input position
        for c in range(x.shape[1])
        for _ in product(range(weight.shape[1]), range(weight.shape[2]), range(weight.shape[3]))
        if c < weight.shape[0]
    )
    traced = trace(nn.Sequential(nn.Conv2d(4, 4, 1), layer), [x], training=True)
    assert traced.by_module()["1"].macs == taps
    assert traced.training is not None
    assert traced.training.macs == 2 * 15 * 16 + 3 * taps
