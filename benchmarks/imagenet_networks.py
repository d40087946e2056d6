"""The ImageNet networks whose octave forms the OctConv paper costs, with its code's convolutions.

They differ from torchvision's and timm's where the published costs do: MobileNet v2 also has an expansion in
its first block, and the ResNet-152 of the large models reduces the size in its last 1x1 convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

DEPTHS = {26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}


def conv_norm(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution that changes the size only by its stride, and batch normalisation."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out))


class SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation of a feature map (n, c, h, w), with c / 16 hidden units."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 16, 1)
        self.expand = nn.Conv2d(channels // 16, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels."""
        gates = self.expand(torch.relu(self.reduce(functional.adaptive_avg_pool2d(x, 1))))
        return x * torch.sigmoid(gates)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with a shortcut; `strided` says which of them has the stride."""

    def __init__(
        self,
        c_in: int,
        mid: int,
        out: int,
        stride: int,
        *,
        groups: int = 1,
        se: bool = False,
        strided: int = 1,
    ) -> None:
        super().__init__()
        strides = [stride if place == strided else 1 for place in range(3)]
        self.conv1 = conv_norm(c_in, mid, 1, strides[0])
        self.conv2 = conv_norm(mid, mid, 3, strides[1], groups)
        self.conv3 = conv_norm(mid, out, 1, strides[2])
        self.se = SqueezeExcitation(out) if se else nn.Identity()
        has_conv = stride != 1 or c_in != out
        self.shortcut = conv_norm(c_in, out, 1, stride) if has_conv else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) to (n, out, h / stride, w / stride)."""
        y = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        return torch.relu(self.se(self.conv3(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """ResNet or ResNeXt for images (n, 3, 224, 224)."""

    def __init__(
        self,
        depth: int,
        *,
        width: int = 64,
        groups: int = 1,
        se: bool = False,
        strided: int = 1,
        big_stem: bool = False,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(*self._stem(big_stem))
        self.stages = nn.ModuleList()
        c_in = 64
        for stage, blocks in enumerate(DEPTHS[depth]):
            mid, out, stride = width << stage, 256 << stage, 1 if stage == 0 else 2
            row = [
                Bottleneck(
                    *(c_in if i == 0 else out, mid, out, stride if i == 0 else 1),
                    groups=groups,
                    se=se,
                    strided=strided,
                )
                for i in range(blocks)
            ]
            self.stages.append(nn.Sequential(*row))
            c_in = out
        self.classifier = nn.Linear(c_in, 1000)

    @staticmethod
    def _stem(big: bool) -> Sequence[nn.Module]:
        if not big:
            return [conv_norm(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        sizes = ((3, 8, 1), (8, 32, 2), (32, 64, 1))
        convs = [conv_norm(c_in, c_out, 3, stride) for c_in, c_out, stride in sizes]
        return [*(part for conv in convs for part in (conv, nn.ReLU())), Bottleneck(64, 32, 64, 2)]

    def forward(self, x: Tensor) -> Tensor:
        """Class scores (n, 1000)."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        scores: Tensor = self.classifier(functional.adaptive_avg_pool2d(x, 1).flatten(1))
        return scores


class Separable(nn.Module):
    """A depthwise and a 1x1 convolution of MobileNet v1."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.depthwise = conv_norm(c_in, c_in, 3, stride, groups=c_in)
        self.pointwise = conv_norm(c_in, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) to (n, c_out, h / stride, w / stride)."""
        return torch.relu(self.pointwise(torch.relu(self.depthwise(x))))


class Inverted(nn.Module):
    """1x1, depthwise and 1x1 convolutions of MobileNet v2."""

    def __init__(self, c_in: int, mid: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.expand = conv_norm(c_in, mid, 1)
        self.depthwise = conv_norm(mid, mid, 3, stride, groups=mid)
        self.project = conv_norm(mid, c_out, 1)
        self.adds = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) to (n, c_out, h / stride, w / stride)."""
        wide = functional.relu6(self.depthwise(functional.relu6(self.expand(x))))
        y: Tensor = self.project(wide)
        return x + y if self.adds else y


class MobileNet(nn.Module):
    """A stem, a sequence of blocks, optionally a last 1x1 convolution, a classifier."""

    def __init__(self, stem: int, blocks: Sequence[nn.Module], tail: nn.Module, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(3, stem, 3, 2), nn.ReLU6())
        self.blocks, self.tail = nn.Sequential(*blocks), tail
        self.classifier = nn.Linear(channels, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores (n, 1000) of images (n, 3, h, w)."""
        x = self.tail(self.blocks(self.stem(x)))
        scores: Tensor = self.classifier(functional.adaptive_avg_pool2d(x, 1).flatten(1))
        return scores


def mobilenet_v1(width: float = 1.0) -> MobileNet:
    """MobileNet v1 (Howard et al., 2017)."""
    outs = [int(width * c) for c in (64, 128, 128, 256, 256, *(512,) * 6, 1024, 1024)]
    ins = [int(width * 32), *outs[:-1]]
    strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    blocks = [Separable(*sizes) for sizes in zip(ins, outs, strides, strict=True)]
    return MobileNet(ins[0], blocks, nn.Identity(), outs[-1])


def mobilenet_v2(width: float = 1.0) -> MobileNet:
    """MobileNet v2 (Sandler et al., 2018), as the OctConv code builds it."""
    plan = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
    stem = c_in = int(width * 32)
    blocks = []
    for stage, (c, count, stride) in enumerate(plan):
        for i in range(count):
            mid, c_out = c_in * (6 if stage else 1), int(width * c)
            blocks.append(Inverted(c_in, mid, c_out, stride if i == 0 else 1))
            c_in = c_out
    last = int(1280 * max(width, 1.0))
    tail = nn.Sequential(conv_norm(c_in, last, 1), nn.ReLU6())
    return MobileNet(stem, blocks, tail, last)
