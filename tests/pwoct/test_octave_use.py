"""How an octave layer is used: formats, types, copies, paths of one's own, sizes that are symbols."""

import copy

import pytest
import sympy
import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.func import functional_call
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext
from torch.utils.flop_counter import FlopCounterMode

from pwoct.branches import Octave, pool
from pwoct.octave import OctConv


def test_a_path_of_ones_own():
    class Scaled(nn.Module):
        def __init__(self, path):
            super().__init__()
            self.conv = nn.Conv2d(path.c_in, path.c_out, 1)

        def forward(self, x):
            return 2 * self.conv(x)

    layer = OctConv(8, 8, alpha_in=0.5, alpha_out=0.5, path=Scaled)
    y = layer(Octave(torch.zeros(1, 4, 4, 4), torch.zeros(1, 4, 2, 2)))
    assert torch.allclose(y.high[0, :, 0, 0], 2 * (layer.hh.conv.bias + layer.lh.conv.bias))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("stride", "rule"), [(1, "C"), (2, "A"), (2, "B"), (2, "C")])
def test_memory_format_is_kept(memory_format, stride, rule):
    options = {"alpha_in": 0.5, "alpha_out": 0.5, "stride": stride, "stride_rule": rule}
    layer = OctConv(8, 8, **options).to(memory_format=memory_format)
    x = torch.randn(2, 8, 8, 8)
    high, low = (t.contiguous(memory_format=memory_format) for t in (x[:, :4], pool(x[:, 4:])))
    for y in layer(Octave(high, low)):
        assert y.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision(dtype):
    layer = OctConv(8, 8, alpha_in=0.5, alpha_out=0.5, stride=2, stride_rule="B", bias=True)
    x = Octave(torch.randn(2, 4, 5, 7), torch.randn(2, 4, 3, 4))
    expected = layer(x)
    y = copy.deepcopy(layer).to(dtype)(Octave(x.high.to(dtype), x.low.to(dtype)))
    for a, b in zip(y, expected, strict=True):
        assert a.dtype == dtype
        # a sum of 2 * 36 + 1 rounded products of size about 1/6
        torch.testing.assert_close(a.float(), b, rtol=0, atol=16 * torch.finfo(dtype).eps)


def test_repr_says_what_the_layer_is():
    text = repr(OctConv(8, 16, alpha_in=0.5, stride=2))
    assert "8, 16, kernel_size=(3, 3), alpha_in=1/2, alpha_out=0, stride=2, stride_rule='C'" in text


def symbols(*hints):
    """A fake tensor mode, and a symbolic size for each hint."""
    mode = FakeTensorMode(shape_env=ShapeEnv())
    context = StatelessSymbolicContext(dynamic_sizes=[DimDynamic.DYNAMIC] * len(hints))
    return mode, mode.from_tensor(torch.empty(hints, device="meta"), symbolic_context=context).shape


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize(("rule", "stride"), [("C", 1), ("A", 2), ("B", 2), ("C", 2)])
@pytest.mark.parametrize("odd", [0, 1])
def test_sizes_and_channels_may_be_symbols(rule, stride, odd, depthwise):
    options = {"stride": stride, "stride_rule": rule, "depthwise": depthwise}
    layer = OctConv(16, 16, alpha_in=0.5, alpha_out=0.5, **options)
    mode, (n, h, w, high_in, low_in, high_out, low_out) = symbols(3, 5, 7, 11, 13, 17, 19)
    if depthwise:
        high_out, low_out = high_in, low_in
    c_in, c_out = {"h": high_in, "l": low_in}, {"h": high_out, "l": low_out}
    with mode, FlopCounterMode(display=False) as counter:
        weights = {
            name: torch.empty(c_out[name[1]], 1 if depthwise else c_in[name[0]], 3, 3)
            for name, _ in layer.named_parameters()
        }
        high = torch.empty(n, high_in, 4 * h + odd, 4 * w + odd)
        low = torch.empty(n, low_in, 2 * h + odd, 2 * w + odd)
        y = functional_call(layer, weights, (Octave(high, low),))
    at_high = n * ((4 * h + odd + stride - 1) // stride) * ((4 * w + odd + stride - 1) // stride)
    at_low = n * ((2 * h + odd + stride - 1) // stride) * ((2 * w + odd + stride - 1) // stride)
    paths = {
        "hh": at_high * high_out * high_in,
        "hl": at_low * low_out * high_in,
        "lh": (at_high if rule == "A" and stride == 2 else at_low) * high_out * low_in,
        "ll": at_low * low_out * low_in,
    }
    if depthwise:
        paths = {"hh": at_high * high_in, "ll": at_low * low_in}
    difference = counter.get_total_flops() - sum(2 * 9 * macs for macs in paths.values())
    assert sympy.expand(difference.node.expr) == 0
    assert y.high.shape[1].node.expr.is_Symbol
    assert not any(isinstance(size, int) for size in (*y.high.shape, *y.low.shape))
