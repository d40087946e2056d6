"""Networks of random blocks, each of which keeps the number of channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

Block = Callable[[int], nn.Module]


class Functional(nn.Module):
    """Functions with parameters of one's own."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(c, c, 3, 3)), nn.Parameter(torch.zeros(c))

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.weight, self.bias, padding=1)
        return F.interpolate(F.max_pool2d(F.relu(x), 3, 1, 1), scale_factor=2)


class Attention(nn.Module):
    """Attention over positions: by hand, by torch's function, or by torch's module."""

    def __init__(self, c: int, kind: str) -> None:
        super().__init__()
        self.kind, self.qkv = kind, nn.Linear(c, 3 * c)
        self.module = nn.MultiheadAttention(c, 1, batch_first=True) if kind == "module" else None

    def forward(self, x: Tensor) -> Tensor:
        y = x.flatten(2).transpose(1, 2)
        if self.module is not None:
            y = self.module(y, y, y)[0]
        else:
            q, k, v = self.qkv(y).chunk(3, -1)
            if self.kind == "fused":
                y = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
            else:
                y = torch.matmul(torch.softmax(q @ k.transpose(1, 2), -1), v)
        return x + y.transpose(1, 2).reshape(x.shape)


class Recurrent(nn.Module):
    """A recurrent layer along the rows."""

    def __init__(self, c: int, kind: type[nn.RNNBase], both: bool = False) -> None:
        super().__init__()
        self.rnn = kind(c, c, batch_first=True, bidirectional=both)
        self.mix = nn.Linear(c * (1 + both), c)

    def forward(self, x: Tensor) -> Tensor:
        y = self.rnn(x.mean(2).transpose(1, 2))[0]
        return x * self.mix(y).transpose(1, 2)[:, :, None]


class Octave(nn.Module):
    """Four paths between two sizes."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.hh, self.hl, self.lh, self.ll = (nn.Conv2d(c, c, 3, padding=1, bias=False) for _ in range(4))
        self.pool = nn.AvgPool2d(2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        low = self.pool(x)
        high = self.hh(x) + F.interpolate(self.lh(low), size=x.shape[2:])
        return high + F.interpolate(self.ll(low) + self.hl(F.avg_pool2d(x, 2, ceil_mode=True)), x.shape[2:])


class Shared(nn.Module):
    """A convolution that two parents hold."""

    def __init__(self, c: int) -> None:
        super().__init__()
        conv = nn.Conv2d(c, c, 3, padding=1)
        self.left, self.right = nn.Sequential(conv, nn.ReLU()), nn.Sequential(conv, nn.BatchNorm2d(c))

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(self.left(x), self.right(x))


BLOCKS: Mapping[str, Block] = {
    "conv": lambda c: nn.Conv2d(c, c, 3, padding=1),
    "grouped": lambda c: nn.Conv2d(c, c, 3, padding=1, groups=2, bias=False),
    "depthwise": lambda c: nn.Conv2d(c, c, 3, padding=1, groups=c),
    "same": lambda c: nn.Conv2d(c, c, 3, padding="same"),
    "transposed": lambda c: nn.ConvTranspose2d(c, c, 2, 2),
    "bn": nn.BatchNorm2d,
    "norm": lambda c: nn.GroupNorm(2, c),
    "relu": lambda _: nn.ReLU(),
    "gelu": lambda _: nn.GELU(),
    "pool": lambda _: nn.AvgPool2d(2, ceil_mode=True),
    "up": lambda _: nn.Upsample(scale_factor=2),
    "functional": Functional,
    "attention": lambda c: Attention(c, "hand"),
    "fused": lambda c: Attention(c, "fused"),
    "multihead": lambda c: Attention(c, "module"),
    "lstm": lambda c: Recurrent(c, nn.LSTM, True),
    "gru": lambda c: Recurrent(c, nn.GRU),
    "octave": Octave,
    "shared": Shared,
}


def network(kinds: Sequence[str], width: int) -> nn.Module:
    """A network of blocks, of which the first runs twice."""
    torch.manual_seed(0)
    layers = [BLOCKS[kind](width) for kind in kinds]
    return nn.Sequential(*layers, *layers[:1]).eval()
