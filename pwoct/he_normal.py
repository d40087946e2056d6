"""He-normal initial weights for networks of convolutions and octave layers."""

from math import sqrt

import torch
from torch import nn

from pwoct.octave import OctConv
from pwoct.pwise_octave import Bottleneck


@torch.no_grad()
def he_normal_(model: nn.Module) -> None:
    """Draw all convolutions of `model` with variance 2 / (k^2 c_out); biases become 0.

    The networks are chains of convolution and ReLU, for which this keeps the size of gradients (mode
    "fan_out"). All paths of an octave layer are initialised like the one convolution that they replace, with
    its whole c_out, since an input branch receives gradients through both of its paths. Convolutions of a
    bottleneck that are not followed by a ReLU get variance 1 / (k^2 m). On "meta", nothing is drawn.

    Source: He et al., "Delving Deep into Rectifiers" (ICCV 2015), eq. (14).
    """
    if all(parameter.is_meta for parameter in model.parameters()):
        return  # there is no memory for values; without it, drawing takes torch longer than with it
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, OctConv):
            _share_fan_out(module)
        elif isinstance(module, Bottleneck) and module.between != "bn_relu":
            module.reduce.weight.div_(sqrt(2))
            module.spatial.weight.div_(sqrt(2))


def _share_fan_out(layer: OctConv) -> None:
    for name, path in layer.named_children():
        c_out = layer.split_out["hl".index(name[1])]
        last = path.expand if isinstance(path, Bottleneck) else path
        if isinstance(last, nn.Conv2d):
            last.weight.mul_(sqrt(c_out / layer.c_out))
