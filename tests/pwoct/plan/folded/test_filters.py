"""Rewritten filters compute the same convolutions."""

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d

from pwoct.branches import Octave, pool, upsample
from pwoct.octave import OctConv
from pwoct.plan.folded.convolve import Convolution, Geometry
from pwoct.plan.folded.filters import join_low, merge, pack_filters, scale_and_shift, two_pixels
from pwoct.plan.folded.packed import pack, unpack
from pwoct.plan.folded.sums import Pairs, as_pairs, as_pixels, double_rows
from pwoct.plan.shared.choose import fill, merges_bottleneck
from pwoct.plan.shared.resample import double, halve


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def image(*shape, seed=0):
    return random(*shape, seed=seed).contiguous(memory_format=torch.channels_last)


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_merge_is_three_convolutions():
    reduce, spatial, expand = random(2, 5, 1, 1), random(2, 2, 3, 5), random(4, 2, 1, 1)
    x = image(1, 5, 6, 7)
    close(
        conv2d(x, merge(reduce, spatial, expand), padding=(1, 2)),
        conv2d(conv2d(conv2d(x, reduce), spatial, padding=(1, 2)), expand),
    )


@pytest.mark.parametrize("affine", [True, False])
def test_scale_and_shift_is_the_normalisation(affine):
    norm = nn.BatchNorm2d(3, affine=affine).double().eval()
    for value in [norm.running_mean, norm.running_var, *norm.parameters()]:
        nn.init.uniform_(value, 0.5, 2)
    scale, shift = scale_and_shift(norm)
    x = image(2, 3, 4, 4)
    close(x * scale[:, None, None] + shift[:, None, None], norm(x))


def test_scale_and_shift_needs_statistics():
    with pytest.raises(ValueError, match="running statistics"):
        scale_and_shift(nn.BatchNorm2d(3, track_running_stats=False))


def test_join_low_is_three_paths():
    ll, hl, lh = random(3, 2, 3, 3), random(3, 4, 3, 3), random(5, 2, 3, 3)
    low, high = image(1, 2, 4, 4), image(1, 4, 4, 4, seed=1)
    y = conv2d(torch.cat((low, high), 1), join_low(ll, hl, lh), padding=1)
    close(y[:, :3], conv2d(low, ll, padding=1) + conv2d(high, hl, padding=1))
    close(y[:, 3:], conv2d(low, lh, padding=1))


def test_two_pixels_by_hand():
    # taps 1, 2, 3: the left pixel reads columns 0 to 2, the right one columns 1 to 3
    kernel = torch.tensor([[[[1.0, 2, 3]]]])
    assert two_pixels(kernel).tolist() == [[[[1, 2, 3, 0]]], [[[0, 1, 2, 3]]]]


@pytest.mark.parametrize("kernel", [(3, 3), (1, 5), (5, 3)])
def test_pairs_are_the_convolution(kernel):
    weight, bias, x = random(4, 3, *kernel), random(4), image(2, 3, 5, 6)
    convolution = Convolution(weight, bias, Geometry((kernel[0] // 2, kernel[1] // 2)))
    plus = image(2, 4, 5, 6, seed=2)
    assert convolution.can_pair
    expected = conv2d(x, weight, bias, padding=(kernel[0] // 2, kernel[1] // 2))
    close(Pairs(convolution)(x), expected)
    close(Pairs(convolution)(x, plus=plus, relu=True), (expected + plus).relu())
    onto = plus.clone(memory_format=torch.channels_last)
    close(Pairs(convolution)(x, onto=onto), expected + plus)
    close(onto, expected + plus)


def test_what_cannot_pair():
    weight = random(4, 4, 3, 3)
    assert not Convolution(weight, None, Geometry((1, 1), stride=(2, 2))).can_pair
    assert not Convolution(weight, None).can_pair
    assert not Convolution(weight, None, Geometry((2, 2), dilation=(2, 2))).can_pair


def test_pairs_and_pixels_are_views():
    x = image(2, 3, 4, 6)
    assert as_pairs(x).data_ptr() == x.data_ptr()
    assert torch.equal(as_pixels(as_pairs(x)), x)


def test_double_rows():
    x, plus = image(2, 3, 2, 4), image(2, 3, 4, 4, seed=1)
    expected = x.repeat_interleave(2, 2)
    assert torch.equal(double_rows(x, None), expected)
    assert torch.equal(double_rows(x, plus), expected + plus)


@pytest.mark.parametrize("size", [(4, 6), (5, 6), (3, 3), (1, 1)])
def test_halve_and_double_are_pool_and_upsample(size):
    like = image(2, 3, *size)
    close(halve(like), pool(like))
    assert torch.equal(double(pool(like), size), upsample(pool(like), size))


@pytest.mark.parametrize("size", [(4, 6), (3, 5)])
def test_the_gradient_of_halve(size):
    x = image(1, 2, *size).requires_grad_()
    assert torch.autograd.gradcheck(halve, (x,))


def test_the_gradient_of_double():
    x = image(1, 2, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: double(x, (3, 6)), (x,))


def test_unpack_undoes_pack():
    x = Octave(image(2, 3, 4, 6), image(2, 2, 2, 3, seed=1))
    packed = pack(x, 16)
    assert packed.shape == (2, 16, 2, 3)
    assert torch.equal(packed[:, 14:], torch.zeros(2, 2, 2, 3, dtype=torch.float64))
    for got, expected in zip(unpack(packed, (3, 2)), x, strict=True):
        assert torch.equal(got, expected)


def test_pack_by_hand():
    high = torch.tensor([[[[1.0, 2], [3, 4]]]])
    assert pack(Octave(high, torch.tensor([[[[5.0]]]])), 6).flatten().tolist() == [1, 2, 3, 4, 5, 0]


@pytest.mark.parametrize("kernel", [(3, 3), (1, 1), (5, 5), (3, 5)])
def test_packed_filters_are_the_octave_convolution(kernel):
    torch.manual_seed(0)
    layer = OctConv(7, 8, kernel, alpha_in="3/7", alpha_out="1/4").double()
    x = Octave(image(2, 4, 6, 8), image(2, 3, 3, 4, seed=1))
    filters = {name: path.weight for name, path in layer.named_children()}
    weight = pack_filters(filters, layer.split_in, layer.split_out)
    y = conv2d(pack(x, 19), weight, padding=[k // 2 for k in kernel])
    for got, expected in zip(unpack(y, layer.split_out), layer(x), strict=True):
        close(got, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("relu", [True, False])
def test_convolution_adds_and_rectifies(dtype, relu):
    x, other = image(2, 3, 5, 5).to(dtype), image(2, 4, 3, 3, seed=1).to(dtype)
    weight, bias = random(4, 3, 3, 3).to(dtype), random(4).to(dtype)
    convolution = Convolution(weight, bias, Geometry((1, 1), (2, 2)))
    expected = conv2d(x, weight, bias, 2, 1)

    def rectified(y):
        return y.relu() if relu else y

    bounds = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(convolution(x, relu=relu), rectified(expected), **bounds)
    torch.testing.assert_close(convolution(x, plus=other, relu=relu), rectified(expected + other), **bounds)
    onto = other.clone(memory_format=torch.channels_last)
    assert convolution(x, onto=onto, relu=relu).data_ptr() == onto.data_ptr()
    torch.testing.assert_close(onto, rectified(expected + other), **bounds)


def test_padded_convolution_adds_zero_channels():
    weight, bias = random(2, 3, 3, 3), random(2)
    padded = Convolution(weight, bias, Geometry((1, 1))).padded(4, 5)
    x = image(1, 5, 4, 4)
    y = padded(x)
    close(y[:, :2], conv2d(x[:, :3], weight, bias, padding=1))
    assert torch.equal(y[:, 2:], torch.zeros_like(y[:, 2:]))


def test_halve_reads_2x2_windows():
    x = image(1, 2, 4, 4)
    close(halve(x), avg_pool2d(x, 2))


def test_bottlenecks_merge_where_vectors_are_hardly_filled():
    assert fill(17) == 32
    assert merges_bottleneck(12, 6, 12, (3, 3))  # 9*12*16 vectors against 1.5 (12*16 + 9*6*16 + 6*16)
    assert not merges_bottleneck(24, 12, 24, (3, 3))
