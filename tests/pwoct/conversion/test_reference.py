"""Random small networks against a slow reference, which keeps everything in plain tensors.

In the reference a low channel is a channel that is constant over 2x2 blocks, and that is how its convolutions
find out which are low. The network's other operators are torch's own, on whole maps.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as f

import pwoct

WIDTH = 8


def conv(c_in: int, c_out: int, k: int = 3, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, k, stride, k // 2, groups=groups)


class Block(nn.Module):
    """One block of a kind; it keeps the number of channels."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.bn = nn.BatchNorm2d(WIDTH)
        nn.init.normal_(self.bn.weight)
        self.a, self.b = conv(WIDTH, WIDTH, stride=2 if kind == "stride" else 1), conv(WIDTH, WIDTH, 1)
        if kind == "dense":
            self.b = conv(2 * WIDTH, WIDTH)
        elif kind == "inception":
            self.a, self.c, self.b = conv(WIDTH, 4, 1), conv(WIDTH, 8, 3), conv(12, WIDTH, 1)
        elif kind == "squeeze":
            self.down, self.up = nn.Linear(WIDTH, 3), nn.Linear(3, WIDTH)
        elif kind == "depthwise":
            self.a = conv(WIDTH, WIDTH, groups=WIDTH)
        elif kind == "shuffle":
            self.a = conv(WIDTH // 2, WIDTH // 2)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "residual":
            return f.silu(x + self.b(f.silu(self.bn(self.a(x)))))
        if self.kind == "dense":
            return f.silu(self.b(torch.cat((x, self.a(x)), 1)))
        if self.kind == "inception":
            return self.b(torch.cat((self.a(x), self.c(x)), dim=1))
        if self.kind == "squeeze":
            x = self.a(x)
            gate = self.up(f.silu(self.down(x.mean((2, 3))))).sigmoid()
            return self.b(x * gate[:, :, None, None])
        if self.kind == "shuffle":
            left, right = x[:, ::2], x[:, 1::2]
            x = torch.cat((left, f.silu(self.a(right), inplace=True)), 1)
            n, c, h, w = x.shape
            return self.b(x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w))
        if self.kind == "written":
            y = self.a(x)
            y += x
            return self.b(torch.maximum(y.mul_(2), 0.1 * y))
        return self.b(self.bn(f.silu(self.a(x))))


class Random(nn.Module):
    def __init__(self, kinds: Sequence[str]) -> None:
        super().__init__()
        self.stem, self.first = conv(3, WIDTH), conv(WIDTH, WIDTH)
        self.blocks = nn.Sequential(*map(Block, kinds))
        self.last = conv(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.blocks(self.first(self.stem(x)))).flatten(1)


def doubled(x: Tensor, size: Sequence[int]) -> Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., : size[0], : size[1]]


class Slow(nn.Module):
    """A converted convolution on whole maps: its paths' weights, applied by the definition."""

    def __init__(self, layer: nn.Module, plain: nn.Conv2d, alpha: float, *, is_last: bool) -> None:
        super().__init__()
        self.paths = dict(layer.named_children())
        held = layer.spec.layout_in
        self.order = (*held.high, *held.low)  # in which its weights hold the channels; not which are low
        self.plain, self.low = plain, 0 if is_last else int(alpha * plain.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        size = [-(-n // self.plain.stride[0]) for n in x.shape[2:]]
        small = x[..., ::2, ::2]
        is_low = ((doubled(small, x.shape[2:]) - x).abs() < 1e-5).all(3).all(2).all(0).tolist()
        lows = sorted((k for k, low in enumerate(is_low) if low), key=self.order.index)
        highs = sorted((k for k, low in enumerate(is_low) if not low), key=self.order.index)
        even = f.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2), mode="replicate")
        inputs = {"h": x[:, highs], "l": small[:, lows], "pooled": f.avg_pool2d(even, 2)[:, highs]}
        found = {"h": 0, "l": 0}
        for name, path in self.paths.items():
            y = self.path(path, inputs["pooled" if name == "hl" else name[0]])
            found[name[1]] = found[name[1]] + (doubled(y, size) if name == "lh" else y)
        if self.plain.groups > 1:
            whole = x.new_empty(x.shape[0], len(is_low), *size)
            whole[:, highs], whole[:, lows] = found["h"], doubled(found["l"], size)
            return whole
        return torch.cat((found["h"], doubled(found["l"], size)), 1) if self.low else found["h"]

    def path(self, path: nn.Module, x: Tensor) -> Tensor:
        pad, stride = self.plain.padding, self.plain.stride
        if isinstance(path, nn.Conv2d):
            groups = x.shape[1] if self.plain.groups > 1 else 1
            return f.conv2d(x, path.weight, path.bias, stride, pad, groups=groups)
        y = f.conv2d(x, path.reduce.weight, stride=stride)
        return f.conv2d(f.conv2d(y, path.spatial.weight, padding=pad), path.expand.weight, path.expand.bias)


KINDS = ("residual", "dense", "inception", "squeeze", "depthwise", "stride", "shuffle", "written")


@pytest.mark.parametrize("first", KINDS)
@settings(max_examples=4, deadline=None)
@given(
    others=st.lists(st.sampled_from(KINDS), max_size=2),
    alpha=st.sampled_from((0.25, 0.5)),
    paths=st.sampled_from(("none", "HL,LH,LL", "all")),
    size=st.tuples(st.integers(3, 6), st.integers(3, 6), st.booleans()),
)
def test_random_networks_equal_a_slow_reference(
    first: str, others: list[str], alpha: float, paths: str, size: tuple[int, int, bool]
) -> None:
    kinds = [first, *others]
    torch.manual_seed(len(kinds))
    is_odd = size[2] and "squeeze" not in kinds  # an odd edge weighs more in a mean over the low branch
    shape = (2, 3, 4 * size[0] + is_odd, 4 * size[1] + is_odd)
    net = Random(kinds).eval()
    made = pwoct.convert(net, alpha=alpha, paths=paths, inputs=shape).eval()
    converted = [layer.name for layer in pwoct.conversion_of(made).converted]
    assert set(converted) == {n for n, m in net.named_modules() if isinstance(m, nn.Conv2d)} - {"stem"}
    slow = Random(kinds).eval()
    slow.load_state_dict(net.state_dict())
    for name in converted:
        layer, plain = made.get_submodule(name), net.get_submodule(name)
        assert isinstance(plain, nn.Conv2d)
        slow.set_submodule(name, Slow(layer, plain, alpha, is_last=name == "last"))
    x = torch.randn(shape)
    with torch.no_grad():
        torch.testing.assert_close(made(x), slow(x), atol=1e-5, rtol=1e-4)
