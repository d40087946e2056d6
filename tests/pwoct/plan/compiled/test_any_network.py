"""The plan "native" computes networks of any kind, recorded by the operators that run in them."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as f

import pwoct
from pwoct.octave import OctConv
from pwoct.plan import NativeNetwork, optimize_for_inference, plan_for, with_plan
from pwoct.plan.compiled import operations
from tests.pwoct.conversion.networks import KINDS, Net, Residual, Unlike
from tests.pwoct.conversion.test_reference import KINDS as BLOCKS
from tests.pwoct.conversion.test_reference import Random
from tests.pwoct.networks import needs_compiler, relative_error, skip_without, with_statistics

pytestmark = [needs_compiler, pytest.mark.usefixtures("one_thread")]

ERRORS = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2}
SIZE = (9, 11)
TAKEN = [kind for kind in KINDS if kind is not Unlike]


def randomised(model):
    """The network with normalisations that do something."""
    torch.manual_seed(0)
    return with_statistics(model).eval()


def images(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def check(model, shape, dtypes=(torch.float64, torch.float32)):
    """Compare with the network itself in float64."""
    x = images(shape)
    with torch.no_grad():
        expected = copy.deepcopy(model).double()(x)
    for dtype in dtypes:
        got = NativeNetwork(model, shape[2:], dtype, channels=shape[1])(x)
        assert got.shape == expected.shape
        assert got.dtype == dtype
        assert relative_error(got, expected) < ERRORS[dtype]


@pytest.mark.parametrize("kind", TAKEN, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("is_converted", [False, True], ids=["plain", "converted"])
def test_networks_of_every_kind(kind, is_converted):
    model = randomised(kind())
    if is_converted:
        model = randomised(pwoct.convert(model, alpha="1/2", paths="HL,LH", inputs=(1, 3, *SIZE)))
    check(model, (5, 3, *SIZE))


@pytest.mark.parametrize("kind", TAKEN, ids=lambda kind: kind.__name__)
def test_networks_of_every_kind_in_bfloat16(kind):
    skip_without(torch.bfloat16)
    model = randomised(pwoct.convert(kind(), alpha="1/4", inputs=(1, 3, *SIZE)))
    check(model, (3, 3, *SIZE), [torch.bfloat16])


@pytest.mark.parametrize("first", [kind for kind in BLOCKS if kind != "written"])
@settings(max_examples=4)
@given(
    others=st.lists(st.sampled_from([kind for kind in BLOCKS if kind != "written"]), max_size=2),
    alpha=st.sampled_from((0, 0.25, 0.5, 0.75)),
    paths=st.sampled_from(("none", "HL,LH,LL", "all")),
    rule=st.sampled_from("ABC"),
    size=st.tuples(st.integers(5, 20), st.integers(5, 20)),
    count=st.integers(1, 20),
)
def test_random_networks(first, others, alpha, paths, rule, size, count):
    torch.manual_seed(count)
    shape = (count, 3, *size)
    net = Random([first, *others])
    if alpha:
        net = pwoct.convert(net, alpha=alpha, paths=paths, stride_rule=rule, inputs=(2, *shape[1:]))
    check(randomised(net), shape)


class Own(nn.Module):
    """A user's own network of octave layers, of a kernel of 5, with pairs of branches in its own hands."""

    def __init__(self):
        super().__init__()
        self.first = OctConv(3, 8, 5, alpha_out="1/2")
        self.second = OctConv(8, 12, 3, alpha_in="1/2", alpha_out="1/3", stride=2, bias=True)
        self.last = OctConv(12, 6, 1, alpha_in="1/3")
        self.act = nn.LeakyReLU(0.1)

    def forward(self, x):
        x = self.first(x)
        x = self.second(type(x)(f.relu6(x.high), f.hardswish(x.low)))
        return self.last(type(x)(self.act(x.high), self.act(x.low))).high


@pytest.mark.parametrize("size", [(8, 12), (7, 9)])
def test_a_network_of_octave_layers_by_hand(size):
    check(Own().eval(), (17, 3, *size))


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def se_gate(x):
    return x * f.adaptive_avg_pool2d(x, 1).sigmoid()


FUNCTIONS = {
    "relu": f.relu,
    "leaky relu": lambda x: f.leaky_relu(x, 0.2),
    "relu6": f.relu6,
    "clamp below": lambda x: x.clamp(min=-0.25),
    "hardswish": lambda x: f.hardswish(3 * x),
    "hardsigmoid": lambda x: f.hardsigmoid(4 * x),
    "sigmoid": torch.sigmoid,
    "sigmoid, far": lambda x: torch.sigmoid(500 * x),
    "silu": f.silu,
    "tanh": lambda x: torch.tanh(3 * x),
    "elu": lambda x: f.elu(x, 0.7),
    "scale and shift": lambda x: 2 * x - 0.5,
    "subtract from": lambda x: 1 - x / 3,
    "in place": lambda x: (x + 1).mul_(2).relu_(),
    "square": lambda x: x * x,
    "sum of three": lambda x: x + f.relu(x) + f.silu(x),
    "broadcast": lambda x: x + x.mean((2, 3), keepdim=True),
    "gate": se_gate,
    "gate of pixels": lambda x: x * x[:, :1].sigmoid(),
    "max pool 3/2": lambda x: f.max_pool2d(x, 3, 2, 1),
    "max pool, ceil": lambda x: f.max_pool2d(x, 3, 2, ceil_mode=True),
    "max pool, dilated": lambda x: f.max_pool2d(x, 3, 1, 1, dilation=2),
    "max pool, not square": lambda x: f.max_pool2d(x, (3, 1), 2, (1, 0)),
    "mean pool 2": lambda x: f.avg_pool2d(x, 2),
    "mean pool 3/1": lambda x: f.avg_pool2d(x, 3, 1, 1),
    "mean pool, existing": lambda x: f.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "mean pool, ceil": lambda x: f.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    "adaptive mean": lambda x: f.adaptive_avg_pool2d(x, (2, 3)),
    "adaptive maximum": lambda x: f.adaptive_max_pool2d(x, (3, 2)),
    "global mean": lambda x: x.mean((2, 3)),
    "global maximum": lambda x: x.amax((2, 3), keepdim=True),
    "sum": lambda x: x.sum((2, 3)),
    "concatenate": lambda x: torch.cat((x, f.relu(x), x), 1),
    "concatenate zeros": lambda x: torch.cat((x, torch.zeros_like(x)[:, :3]), 1),
    "pad": lambda x: f.pad(x, (1, 2, 0, 1)),
    "pad by a number": lambda x: f.max_pool2d(f.pad(x, (0, 1, 0, 1), value=-9), 2),
    "reflect": lambda x: f.pad(x, (1, 1, 1, 1), mode="reflect"),
    "crop": lambda x: x[:, 1:4, 1:-1, ::2],
    "upsample": lambda x: f.interpolate(x, scale_factor=2),
    "upsample and add": lambda x: f.relu(x + f.interpolate(f.avg_pool2d(x, 2, ceil_mode=True), x.shape[2:])),
    "shuffle": lambda x: x.view(len(x), 2, 3, *x.shape[2:]).transpose(1, 2).reshape(x.shape),
    "shuffle by pixels": lambda x: f.pixel_shuffle(x[:, :4], 2),
    "flip": lambda x: x.flip(3),
    "chunks": lambda x: torch.cat(x.chunk(3, 1)[::-1], 1),
    "flatten": lambda x: f.silu(x.flatten(1)),
    "nothing": lambda x: x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operators(name):
    skip_without(torch.bfloat16)
    check(Function(FUNCTIONS[name]), (3, 6, 5, 7), ERRORS)


CONVOLUTIONS = {
    "even kernel": {"kernel_size": 2},
    "not square": {"kernel_size": (1, 5), "padding": (0, 2)},
    "padding of its own": {"kernel_size": 3, "padding": (2, 0)},
    "same": {"kernel_size": 3, "padding": "same"},
    "reflected": {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
    "stride 3": {"kernel_size": 3, "stride": 3},
    "dilated": {"kernel_size": 3, "padding": 2, "dilation": 2},
    "2 groups": {"kernel_size": 3, "padding": 1, "groups": 2},
    "depthwise": {"kernel_size": 3, "padding": 1, "groups": 8},
    "depthwise, stride 2": {"kernel_size": 5, "padding": 2, "groups": 8, "stride": 2},
    "depthwise, dilated": {"kernel_size": 3, "padding": 2, "groups": 8, "dilation": 2},
    "depthwise, three each": {"kernel_size": 3, "padding": 1, "groups": 8, "out_channels": 24},
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("bias", [False, True])
def test_convolutions(name, bias):
    skip_without(torch.bfloat16)
    torch.manual_seed(1)
    conv = nn.Conv2d(8, **{"out_channels": 8, "bias": bias, **CONVOLUTIONS[name]})
    check(nn.Sequential(conv, nn.ReLU()), (17, 8, 7, 10), ERRORS)


@pytest.mark.parametrize("name", ["depthwise", "depthwise, three each", "even kernel"])
def test_channels_that_fill_no_group(name):
    options = {**CONVOLUTIONS[name], "out_channels": 9 if "three" in name else 3}
    options["groups"] = 3 if "groups" in options else 1
    check(
        nn.Sequential(nn.Conv2d(3, **options), nn.BatchNorm2d(options["out_channels"]), nn.SiLU()).eval(),
        (2, 3, 6, 7),
        ERRORS,
    )


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("sigmoid, far", "flip")])
def test_what_is_no_number_stays_none(name):
    """In one image, and nowhere else."""
    x = images((3, 6, 5, 7))
    x[1, :, 2, 4] = float("nan")
    model = Function(FUNCTIONS[name])
    got = NativeNetwork(model, (5, 7), torch.float64, channels=6)(x)
    assert torch.equal(got.isnan(), model(x).isnan())
    assert got[1].isnan().any()


def test_infinite_numbers():
    x = images((1, 6, 5, 7))
    x[0, :, 1, 1], x[0, :, 2, 2] = float("inf"), -float("inf")
    for name in ("sigmoid", "silu", "tanh", "elu", "hardswish", "relu6", "max pool 3/2"):
        model = Function(FUNCTIONS[name])
        got = NativeNetwork(model, (5, 7), torch.float64, channels=6)(x)
        torch.testing.assert_close(got, model(x), equal_nan=True)


def test_a_map_that_two_read_is_computed_once():
    class Twice(Net):
        def body(self, x):
            x = self.a(x)
            return self.bn(x) + x

    native = NativeNetwork(randomised(Twice()), SIZE)
    kinds = [op.kind for op in native.program.operations]
    convolutions = (operations.CONVOLUTION, operations.WINOGRAD_CONVOLUTION)
    assert sum(kinds.count(kind) for kind in convolutions) == 3  # stem, a and fc
    check(randomised(Twice()), (2, 3, *SIZE))


def test_weights_that_are_computed():
    """A weight that depends on weights alone is computed once."""
    layer = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
    check(layer, (2, 3, 5, 5))


def test_an_image_is_computed_alone():
    model = randomised(pwoct.convert(Residual(), alpha="1/2", inputs=(1, 3, *SIZE)))
    native, x = with_plan(model, "native", size=SIZE), images((37, 3, *SIZE))
    assert torch.equal(native(x)[20:21], native(x[20:21]))


def test_the_network_stays_as_it_is():
    model = pwoct.convert(Net(), alpha="1/2", inputs=(1, 3, *SIZE)).train()
    before = copy.deepcopy(model.state_dict())
    with_plan(model, "native", size=SIZE)
    assert model.training
    assert not model.stem._forward_hooks
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))


def test_the_plan_is_chosen_for_inference(monkeypatch):
    monkeypatch.setattr("pwoct.plan._is_measured", lambda: True)
    monkeypatch.setattr("pwoct.plan._has_tiles", lambda dtype: False)
    model, shape = pwoct.convert(Net(), alpha="1/2", inputs=(1, 3, *SIZE)).eval(), (32, 3, *SIZE)
    assert plan_for(model, shape, torch.float32, training=False) == "native"
    assert plan_for(Net(), shape, torch.float32, training=False) == "native"
    assert plan_for(model, (1, *shape[1:]), torch.float32, training=False) == "lean"  # fills no block
    assert plan_for(model, shape, torch.float64, training=False) == "lean"
    assert plan_for(Unlike(), shape, torch.float32, training=False) == "reference"
    x = images(shape)
    assert relative_error(optimize_for_inference(model, SIZE)(x), copy.deepcopy(model).double()(x)) < 1e-5
    assert isinstance(optimize_for_inference(Unlike(), SIZE), Unlike)
