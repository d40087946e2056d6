"""The shortcut without parameters as a 1x1 convolution with constant weights, for plans of convolutions."""

from fractions import Fraction

import torch
from torch import nn

from pwoct.octave import OctConv
from pwoct.plan.shared.known import CONVOLUTIONS
from pwoct.resnet import blocks
from pwoct.shortcut import ZeroPadShortcut


def as_convolution(shortcut: nn.Module, *, octave: bool) -> nn.Module:
    """Return a layer of convolutions that does what a shortcut does: the shortcut itself if it has weights.

    octave: whether it reads and returns two branches.
    """
    if not isinstance(shortcut, ZeroPadShortcut):
        return shortcut
    # A plan must not change what is drawn afterwards.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        layer = _octave_layer(shortcut) if octave else _plain_layer(shortcut)
    layer.requires_grad_(False)
    for module in layer.modules():
        if isinstance(module, CONVOLUTIONS):
            places = torch.eye(module.out_channels, module.in_channels, device="cpu")
            module.weight.copy_(places[:, :, None, None])
    return layer


def _plain_layer(shortcut: ZeroPadShortcut) -> nn.Module:
    return nn.Conv2d(shortcut.split_in.high, shortcut.split_out.high, 1, shortcut.stride, bias=False)


def _octave_layer(shortcut: ZeroPadShortcut) -> nn.Module:
    """Return an octave layer whose branches do not read each other."""
    c_in, c_out = sum(shortcut.split_in), sum(shortcut.split_out)
    alphas = Fraction(shortcut.split_in.low, c_in), Fraction(shortcut.split_out.low, c_out)
    layer = OctConv(c_in, c_out, 1, alpha_in=alphas[0], alpha_out=alphas[1], stride=shortcut.stride)
    layer.hl = layer.lh = None
    return layer


def with_convolutions(model: nn.Module) -> None:
    """Give the blocks of a network shortcuts that are convolutions."""
    for block in blocks(model.stages):  # type: ignore[arg-type]
        if isinstance(block.shortcut, ZeroPadShortcut):
            octave = isinstance(block.conv1, OctConv)
            block.shortcut = as_convolution(block.shortcut, octave=octave)
