"""The plan "blocked" trains networks of any kind: outputs, gradients and statistics are the reference's."""

import copy
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as f

import pwoct
from pwoct.plan import BlockedGraph, plan_for, why_not, with_plan
from pwoct.plan.compiled.blocked_graph import is_narrow
from tests.pwoct.conversion.networks import KINDS, Depthwise, Grouped, Net, Residual, Unlike
from tests.pwoct.networks import needs_compiler, relative_error, skip_without
from tests.pwoct.plan.compiled.test_any_network import FUNCTIONS, Function

pytestmark = [needs_compiler, pytest.mark.usefixtures("one_thread")]

SIZE = (9, 11)
TAKEN = [kind for kind in KINDS if kind not in (Unlike, Grouped)]
IN_ORDER = [kind for kind in TAKEN if kind.__name__ not in ("Dense", "Shuffle")]


def images(count=16, size=SIZE, channels=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, channels, *size, generator=generator, dtype=torch.float64)


def converted(kind, alpha="1/2"):
    torch.manual_seed(0)
    return pwoct.convert(kind(), alpha=alpha, paths="HL,LH", inputs=(1, 3, *SIZE)).double().train()


def results(forward, model, x):
    """The output, the gradients of images and parameters, and the statistics after a step."""
    model.zero_grad()
    x = x.clone().requires_grad_()
    y = forward(x)
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return {"y": y.detach(), "x": x.grad, **gradients, **dict(model.named_buffers())}


def check(model, x, bound=1e-9):
    other = copy.deepcopy(model)
    expected, got = results(model, model, x), results(BlockedGraph(other), other, x)
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        if value is None:
            assert got[name] is None, name
            continue
        scale = max(1.0, float(value.abs().max()))
        torch.testing.assert_close(
            got[name], value, rtol=bound, atol=bound * scale, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("kind", TAKEN, ids=lambda kind: kind.__name__)
def test_networks_of_every_kind(kind):
    torch.manual_seed(0)
    check(kind().double().train(), images())


@pytest.mark.parametrize("kind", IN_ORDER, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("alpha", ["1/4", "3/4"])
def test_converted_networks(kind, alpha):
    check(converted(kind, alpha), images(24))


@pytest.mark.parametrize(
    "options",
    [
        {"alpha": "1/2"},
        {"alpha": "1/4", "paths": "HL,LH,LL", "between": "bn_relu"},
        {"alpha": "3/4", "stride_rule": "A"},
    ],
    ids=str,
)
def test_converted_resnets(options):
    torch.manual_seed(0)
    model = pwoct.convert(pwoct.build("resnet8"), inputs=(1, 3, 16, 16), **options)
    check(model.double().train(), images(16, (18, 14)))


# What is added twice, or is left out, would show.
@pytest.mark.parametrize(
    "name", [n for n in FUNCTIONS if n not in ("scale and shift", "subtract from", "in place")]
)
def test_operators(name):
    if name in ("hardswish", "hardsigmoid", "tanh", "sigmoid, far", "reflect"):
        torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 1), Function(lambda x: FUNCTIONS[name](x)))
    reason = why_not("blocked", model, images=16, size=(5, 7))
    if name in ("hardswish", "hardsigmoid", "tanh", "sigmoid, far"):  # they multiply by a number first
        assert reason.endswith("scales or shifts a feature map by numbers")
        return
    check(model.double(), images(16, (5, 7)))


ACTIVATIONS = {
    "relu": nn.ReLU(),
    "leaky": nn.LeakyReLU(0.3),
    "relu6": nn.ReLU6(),
    "hardsigmoid": nn.Hardsigmoid(),
    "hardswish": nn.Hardswish(),
    "sigmoid": nn.Sigmoid(),
    "silu": nn.SiLU(),
    "tanh": nn.Tanh(),
    "elu": nn.ELU(0.5),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_over_their_whole_range(name):
    torch.manual_seed(0)
    bound = 1e-7 if name == "hardsigmoid" else 1e-9  # PyTorch divides its gradient by 6 in float32
    check(nn.Sequential(nn.Conv2d(3, 4, 1), ACTIVATIONS[name]).double(), 5 * images(8, (6, 5)), bound)


CONVOLUTIONS = {
    "5x5": {"kernel_size": 5, "padding": 2},
    "even": {"kernel_size": 2, "stride": 2},
    "1x5": {"kernel_size": (1, 5), "padding": (0, 2)},
    "no padding": {"kernel_size": 3},
    "more padding": {"kernel_size": 3, "padding": 2},
    "7x7, stride 2": {"kernel_size": 7, "padding": 3, "stride": 2},
    "1x1, stride 2": {"kernel_size": 1, "stride": 2},
    "dilated": {"kernel_size": 3, "padding": 2, "dilation": 2, "stride": 2},
    "depthwise": {"kernel_size": 3, "padding": 1, "groups": 4, "stride": 2},
    "depthwise, two each": {"kernel_size": 3, "padding": 1, "groups": 4, "out_channels": 8},
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name):
    torch.manual_seed(0)
    conv = nn.Conv2d(4, **{"out_channels": 4, **CONVOLUTIONS[name]})
    check(nn.Sequential(conv, nn.ReLU()).double(), images(16, (8, 12), channels=4))


def test_normalisations_that_read_each_other():
    class Chain(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norms = nn.Conv2d(3, 4, 1), nn.ModuleList(nn.BatchNorm2d(4) for _ in range(3))

        def forward(self, x):
            x = self.conv(x)
            first = f.relu(self.norms[0](x))
            return f.relu(self.norms[2](f.relu(self.norms[1](first))) + first)

    torch.manual_seed(0)
    check(Chain().double(), images())


def test_frozen_weights_get_no_gradient():
    model = converted(Net)
    model.b.requires_grad_(False)
    check(model, images())


@pytest.mark.parametrize("kind", [Residual, Depthwise], ids=lambda kind: kind.__name__)
def test_a_step_under_autocast(kind):
    skip_without(torch.bfloat16)
    model = converted(kind).float()
    other, x = copy.deepcopy(model), images(32, (16, 16)).float()
    with torch.autocast("cpu", torch.bfloat16):
        got = results(with_plan(other, "blocked"), other, x)
        reference = results(model, model, x)
    expected = results(model.double(), model, x.double())
    for name, value in expected.items():
        is_zero = value is None or not value.is_floating_point() or value.abs().max() < 1e-9
        if not is_zero:  # the gradient of a bias before a normalisation is
            bound = 2 * relative_error(reference[name], value) + 0.1
            assert relative_error(got[name], value) < bound, name


def test_a_step_repeats_to_the_bit():
    first, second = (
        results(with_plan(model, "blocked"), model, images().float())
        for model in (converted(Residual).float() for _ in range(2))
    )
    assert all(
        torch.equal(a, b) for a, b in zip(first.values(), second.values(), strict=True) if a is not None
    )


def test_parameters_and_evaluation_are_the_networks():
    model = converted(Residual)
    blocked = with_plan(model, "blocked")
    assert blocked.state_dict().keys() == model.state_dict().keys()
    assert all(p is q for p, q in zip(blocked.parameters(), model.parameters(), strict=True))
    blocked.eval()
    assert not model.training
    torch.testing.assert_close(blocked(images(3)), model(images(3)))
    blocked.train()(images(16))
    assert len(blocked._recorded) == 1
    assert not copy.deepcopy(blocked)._recorded


def test_what_changes_between_steps_is_recorded_again():
    class Scaled(Net):
        slope = 0.1

        def body(self, x):
            return f.leaky_relu(super().body(x), self.slope)

    model = Scaled().double().train()
    blocked = with_plan(model, "blocked")
    blocked(images())
    model.slope = 0.5
    torch.testing.assert_close(blocked(images()), copy.deepcopy(model)(images()))


class Drops(Net):
    def body(self, x):
        return super().body(x) * (torch.rand(1).item() > 2)


class NormalisesAside(nn.Sequential):
    def forward(self, x):
        y = self[0](x)
        self[1](y)
        return y


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: Grouped(), "g2 is a convolution with 2 groups"),
        (lambda: Unlike(), "groups has the operator native_group_norm of a feature map"),
        (
            lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout()),
            "1 has the operator bernoulli_, which draws random numbers",
        ),
        (
            lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 1)),
            "the operator _weight_norm_interface",
        ),
        (lambda: converted(KINDS[2]), "a weight of a normalisation in another order than it is kept"),
        (
            lambda: NormalisesAside(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)),
            "the result does not depend on 1, which updates its statistics",
        ),
        (lambda: Drops(), "the network has the operator rand, which draws random numbers"),
    ],
)
def test_what_is_refused_by_name(model, message):
    with pytest.raises(ValueError, match=rf'{message}.*use the plan "(lean|reference)"'):
        with_plan(model().train(), "blocked")(images().float().to(next(model().parameters()).dtype))


@pytest.mark.parametrize("model", [Grouped, Unlike])
def test_the_reason_alone_is_told_before_training(model):
    network = model().train()
    reason = why_not("blocked", network, images=16, size=SIZE)
    assert "the plan" not in reason
    message = re.escape(f'the plan "blocked" does not compute this network: {reason}; use the plan')
    with pytest.raises(ValueError, match=f"^{message}"):
        with_plan(network, "blocked")(images(16).to(next(network.parameters()).dtype))


def test_batches_of_whole_blocks_are_needed():
    with pytest.raises(ValueError, match=r"needs batches of a multiple of \d+ images, got 3; use the plan"):
        with_plan(Net().train(), "blocked")(images(3).float())


def test_the_plan_is_chosen_for_octave_layers(monkeypatch):
    monkeypatch.setattr("pwoct.plan._is_measured", lambda: True)
    model, shape = converted(Net).float(), (32, 3, *SIZE)
    assert plan_for(model, shape, torch.float32, training=True) == "blocked"
    assert plan_for(model, (33, *shape[1:]), torch.float32, training=True) == "lean"
    assert plan_for(Net(), shape, torch.float32, training=True) == "reference"
    assert plan_for(converted(KINDS[2]).float(), shape, torch.float32, training=True) == "lean"
    assert not is_narrow(nn.Conv2d(3, 4, 5), 3, SIZE)
    assert not is_narrow(
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 130, 1), nn.Conv2d(130, 130, 1)), 3, SIZE
    )
