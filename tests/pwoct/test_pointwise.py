"""Strided 1x1 convolutions of few channels have the gradients of float64, at every size and width."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from pwoct.octave import OctConv
from pwoct.plan import with_plan
from pwoct.pointwise import NarrowPointwiseConv2d, conv_class, every, pointwise_conv
from pwoct.pwise_octave import PwiseOctConv
from pwoct.resnet import resnet
from tests.pwoct.networks import relative_error, step


def draw(*shape):
    x = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return x.contiguous(memory_format=torch.channels_last)


def gradients(layer, x):
    x = x.detach().requires_grad_(True)
    layer(x).square().sum().backward()
    return [x.grad, *(p.grad for p in layer.parameters())]


# Without its own gradients, most of the first 6 end the process by a signal.
@pytest.mark.parametrize(
    ("channels", "size"),
    [(2, 96), (3, 48), (4, 48), (8, 60), (12, 96), (15, 96), (8, 32), (5, 33), (2, 224), (16, 48), (64, 32)],
)
@pytest.mark.parametrize("bias", [False, True])
def test_gradients_are_those_of_float64(channels, size, bias):
    layer = pointwise_conv(channels, 2 * channels, 2, bias=bias).to(memory_format=torch.channels_last)
    twin = nn.Conv2d(channels, 2 * channels, 1, 2, bias=bias).double()
    twin.load_state_dict(layer.state_dict())
    x = draw(4, channels, size, size)
    for got, expected in zip(gradients(layer, x.float()), gradients(twin, x), strict=True):
        assert relative_error(got, expected) < 1e-5


@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format], ids=str)
@pytest.mark.parametrize("groups", [1, 2])
def test_strides_layouts_and_groups(stride, layout, groups):
    layer = NarrowPointwiseConv2d(6, 4, 1, stride, groups=groups).to(memory_format=layout)
    x = draw(2, 6, 17, 12).float().contiguous(memory_format=layout)
    twin = nn.Conv2d(6, 4, 1, stride, groups=groups).double()
    twin.load_state_dict(layer.state_dict())
    assert torch.equal(layer(x), conv2d(x, layer.weight, layer.bias, stride, groups=groups))
    for got, expected in zip(gradients(layer, x), gradients(twin, x.double()), strict=True):
        assert relative_error(got, expected) < 1e-5


def test_gradients_under_autocast_are_rounded_once():
    layer = pointwise_conv(8, 16, 2, bias=True)
    x = draw(4, 8, 48, 48)
    expected = gradients(copy.deepcopy(layer).double(), x)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x.float()).dtype == torch.bfloat16
        got = gradients(layer, x.float())
    assert [g.dtype for g in got] == [torch.float32] * 3
    assert all(relative_error(a, b) < 2e-2 for a, b in zip(got, expected, strict=True))


def test_gradients_of_gradients():
    layer, x = pointwise_conv(3, 4, 2), draw(2, 3, 5, 6)
    results = []
    for forward, images in ((layer, x.float()), (copy.deepcopy(layer).double(), x)):
        images = images.detach().requires_grad_()
        (first,) = torch.autograd.grad(forward(images).pow(3).sum(), images, create_graph=True)
        results.append(torch.autograd.grad(first.square().sum(), forward.weight)[0])
    assert relative_error(*results) < 1e-4


def test_transformed_and_compiled():
    layer, x = pointwise_conv(3, 4, 2), draw(2, 3, 8, 8).float()
    expected = gradients(copy.deepcopy(layer), x)
    got = torch.func.grad(lambda x: layer(x).square().sum())(x)
    assert relative_error(got, expected[0].double()) < 1e-5
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    compiled(x).square().sum().backward()
    assert relative_error(layer.weight.grad, expected[1].double()) < 1e-5


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("training", [False, True])
def test_traced_with_its_check_outside_of_no_grad(training):
    """The check traces again without gradients: both graphs must be the same."""
    layer, x = pointwise_conv(3, 4, 2).train(training), draw(2, 3, 8, 8).float()
    traced = torch.jit.trace(layer, x)
    torch.testing.assert_close(traced(x), layer(x))
    # Pixels are copied in both modes: the library's gradient, which writes out of bounds, is never asked for.
    assert "aten::slice" in str(traced.graph)
    for got, expected in zip(gradients(traced, x), gradients(layer, x), strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_traced_network_is_the_network():
    model = resnet(8, alpha="1/4").eval()
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(torch.jit.trace(model, x)(x + 1), model(x + 1))


@pytest.mark.parametrize("make", [
    lambda: OctConv(12, 16, 1, alpha_in="1/2", alpha_out="1/2", stride=2),
    lambda: PwiseOctConv(12, 16, 3, alpha_in="1/2", alpha_out="1/2", stride=2, paths="HH,HL,LH,LL"),
    lambda: resnet(8, width=8),
    lambda: resnet(8, alpha="1/2"),
])  # fmt: skip
def test_layers_use_it_and_keep_their_names(make):
    layer = make()
    strided = [
        m
        for m in layer.modules()
        if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1) and m.stride != (1, 1)
    ]
    assert strided
    assert all(isinstance(m, NarrowPointwiseConv2d) == (m.in_channels < 16) for m in strided)
    assert any(m.in_channels < 16 for m in strided)
    assert not [
        name for name in layer.state_dict() if "bias" in name and "bn" not in name and "fc" not in name
    ]


@pytest.mark.parametrize("plan", ["reference", "lean"])
@pytest.mark.parametrize(
    "options", [{"alpha": "1/2"}, {"width": 12}, {"alpha": "1/4", "paths": "HL,LH,LL"}], ids=str
)
def test_a_step_at_the_size_that_ended_by_a_signal(plan, options):
    torch.manual_seed(0)
    model = resnet(8, **options).to(memory_format=torch.channels_last)
    x = draw(4, 3, 60, 60)
    expected = step(copy.deepcopy(model).double(), x)
    got = step(with_plan(model, plan), x.float())
    assert relative_error(got[0], expected[0]) < 1e-4
    off = sum((a.double() - b).norm() for a, b in zip(got[2:], expected[2:], strict=True))
    assert off / sum(b.double().norm() for b in expected[2:]) < 1e-2  # a ReLU near zero may go either way


def test_only_what_is_affected_has_gradients_of_its_own():
    """Strided 1x1 convolutions of fewer than 16 channels."""
    kinds = {
        ((1, 1), 2, 15): NarrowPointwiseConv2d,
        ((1, 1), 1, 15): nn.Conv2d,
        ((1, 1), 2, 16): nn.Conv2d,
        ((3, 3), 2, 8): nn.Conv2d,
    }
    assert {given: conv_class(*given) for given in kinds} == kinds


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_every_pixel_of_a_stride_in_the_same_layout(layout):
    x = torch.rand(2, 3, 6, 6).contiguous(memory_format=layout)
    y = every(x, (2, 3))
    assert torch.equal(y, x[:, :, [0, 2, 4]][..., [0, 3]])
    assert y.is_contiguous(memory_format=layout)
