"""Small networks of different kinds, more than forty, on which counters disagree with one another."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from pwoct.conversion import convert
from tests.costmodel.reconcile.modules import (
    Attention,
    Cells,
    Functional,
    Fused,
    MultiHead,
    Octave,
    Own,
    Plain,
    Products,
    Recurrent,
    Reparametrised,
    Residual,
    Resized,
    Shared,
    Squeeze,
    TwoInputs,
    UNet,
    Unused,
    Vision,
    Words,
)

Seq = nn.Sequential
Made = tuple[Callable[[], nn.Module], tuple[int, ...]]


def _conv(*args: int, **options: object) -> nn.Module:
    return Seq(nn.Conv2d(*args, **options))  # type: ignore[arg-type]


def _converted(**options: Any) -> nn.Module:
    plain = Seq(Residual(), nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.SiLU(), Residual())
    return convert(plain.eval(), inputs=(1, 8, 8, 8), **options)


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
    "lstm_projected": (
        lambda: Recurrent(nn.LSTM, num_layers=2, bidirectional=True, proj_size=4, batch_first=True),
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
    "statistics_of_the_batch": (
        lambda: Seq(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, track_running_stats=False), nn.ReLU()),
        IMAGE,
    ),
    "squeeze": (Squeeze, IMAGE),
    "bilinear_layer": (TwoInputs, (4, 6)),
    "pooled": (
        lambda: Seq(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.AvgPool2d(3, 1, 1), nn.AdaptiveAvgPool2d(3)),
        (2, 3, 14, 14),
    ),
    "unet": (UNet, (1, 1, 8, 8)),
    "vision": (Vision, (2, 3, 8, 8)),
    "reparametrised": (Reparametrised, (2, 4, 10)),
    "words": (Words, (2, 5, 6)),
    "audio": (
        lambda: Seq(
            nn.Conv1d(1, 4, 8, 4, bias=False),
            nn.BatchNorm1d(4),
            nn.MaxPool1d(4),
            nn.Conv1d(4, 8, 3, dilation=2),
            nn.PReLU(8),
            nn.AdaptiveAvgPool1d(4),
            nn.Flatten(),
            nn.Linear(32, 3),
        ),
        (2, 1, 196),
    ),
    "video": (
        lambda: Seq(
            nn.Conv3d(3, 6, (1, 3, 3)),
            nn.BatchNorm3d(6),
            nn.ELU(),
            nn.MaxPool3d(2),
            nn.ConvTranspose3d(6, 4, 2, 2, groups=2),
            nn.Sigmoid(),
        ),
        (1, 3, 4, 6, 6),
    ),
    "upsampled": (
        lambda: Seq(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(3, 4, 3), nn.PixelShuffle(2)),
        IMAGE,
    ),
    "converted": (lambda: _converted(alpha=Fraction(1, 2)), (2, 8, 8, 8)),
    "converted_bottlenecks": (lambda: _converted(alpha=Fraction(1, 4), beta=2, paths="HL,LL"), (2, 8, 8, 8)),
}


# Their maps in two branches are objects that stand for tensors.
CONVERTED = frozenset({"converted", "converted_bottlenecks"})


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
