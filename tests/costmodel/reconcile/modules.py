"""Modules on which counters disagree with one another."""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn
from torch.nn.utils import parametrizations

Seq = nn.Sequential


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
        self.fc = nn.Linear((self.rnn.proj_size or 8) * (2 if self.rnn.bidirectional else 1), 3)

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


class UNet(nn.Module):
    """Down and up again by transposed convolutions, one of them with padding."""

    def __init__(self) -> None:
        super().__init__()
        self.down = Seq(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.middle = Seq(nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, padding=1), nn.Hardswish())
        self.up = nn.ConvTranspose2d(8, 4, 3, 2, padding=1, output_padding=1)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return self.out(torch.cat([self.up(self.middle(x)), x], 1))


class Vision(nn.Module):
    """Patches, a class token, and fused attention on axes that are computed from sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.token = nn.Conv2d(3, 16, 4, 4), nn.Parameter(torch.zeros(1, 1, 16))
        self.norm, self.qkv, self.head = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        b, n, c = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, n, 3, 2, c // 2).permute(2, 0, 3, 1, 4).unbind(0)
        x = x + F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c)
        return self.head(F.gelu(x[:, 0]))


class Reparametrised(nn.Module):
    """Weights that are computed in each run, in the new way and in the old one."""

    def __init__(self) -> None:
        super().__init__()
        self.new = parametrizations.weight_norm(nn.Conv1d(4, 8, 3, padding=1))
        self.linear = parametrizations.weight_norm(nn.Linear(8, 8))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            self.old = nn.utils.weight_norm(nn.Conv1d(8, 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.new(x), 0.1)
        return torch.tanh(self.old(self.linear(x.transpose(1, 2)).transpose(1, 2)))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(6, 8, num_layers=2, bidirectional=True, batch_first=True)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.head(self.norm(self.rnn(x)[0].mean(1))), -1)
