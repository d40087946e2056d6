"""Normalisation over joined pixels is batch normalisation."""

import copy

import pytest
import torch
from torch import nn

from pwoct.plan.shared.normalise import joined_pixels, normalise


def image(c, w=8, dtype=torch.float64):
    x = torch.randn(2, c, 3, w, dtype=torch.float64, generator=torch.Generator().manual_seed(c)) + 1
    return x.to(dtype, memory_format=torch.channels_last)


def layer(c, dtype=torch.float64):
    torch.manual_seed(c)
    norm = nn.BatchNorm2d(c, momentum=0.3).to(dtype)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.normal_(norm.bias)
    return norm


def step(function, norm, x):
    """Outputs, gradients and statistics of two steps; the second reads the statistics of the first."""
    results = []
    for scale in (1, 2):
        x = x.detach().mul(scale).requires_grad_()
        y = function(norm, x)
        torch.manual_seed(0)
        y.backward(torch.randn_like(y))
        results += [y, x.grad, norm.weight.grad, norm.bias.grad, *copy.deepcopy(norm).buffers()]
    return results


@pytest.mark.parametrize("c", [1, 4, 8, 12, 24, 16, 7])
@pytest.mark.parametrize("training", [True, False])
def test_is_batch_normalisation(c, training):
    norm = layer(c).train(training)
    w = 16 if c in (1, 7) else 8
    expected = step(lambda norm, x: norm(x), copy.deepcopy(norm), image(c, w))
    got = step(normalise, norm, image(c, w))
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_a_bfloat16_map_keeps_float32_statistics():
    norm = layer(8, torch.float32)
    x = image(8, dtype=torch.bfloat16)
    expected = step(lambda norm, x: norm(x), copy.deepcopy(norm).double(), x.double())
    for a, b in zip(step(normalise, norm, x), expected, strict=True):
        assert a.dtype in (torch.bfloat16, torch.float32, torch.long)
        assert (a.double() - b).abs().max() < 0.02 * b.abs().max()


@pytest.mark.parametrize(("c", "pixels"), [(1, 16), (4, 4), (8, 2), (12, 4), (16, 1), (24, 2), (48, 1)])
def test_channels_fill_cache_lines_of_16(c, pixels):
    x = image(c, w=16)
    assert joined_pixels(x) == pixels
    assert c * pixels % 16 == 0


def test_what_is_left_to_the_library():
    assert joined_pixels(image(8, w=7)) == 1  # no pairs in a row of 7
    assert joined_pixels(image(8).contiguous()) == 1
    for norm in (layer(8).eval(), nn.BatchNorm2d(8, affine=False).double(), nn.Identity()):
        x = image(8)
        torch.testing.assert_close(normalise(norm, x), copy.deepcopy(norm)(x), rtol=0, atol=0)


def test_the_output_may_be_rectified_in_place():
    norm, x = layer(8), image(8).requires_grad_()
    y = normalise(norm, x).relu_()
    y.sum().backward()
    other = image(8).requires_grad_()
    layer(8)(other).relu().sum().backward()
    torch.testing.assert_close(x.grad, other.grad, rtol=1e-10, atol=1e-10)
