"""What the plan "blocked" refuses, in words, and what it is chosen for."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import pwoct.plan as plan_package
import pwoct.plan.compiled.blocked as plan_blocked
from pwoct.plan import plan_for, with_plan
from pwoct.plan.compiled import library
from pwoct.plan.compiled.blocked import BlockedNetwork
from tests.pwoct.networks import images, needs_compiler, network, skip_without

pytestmark = [needs_compiler, pytest.mark.usefixtures("one_thread")]

SIZE = (16, 16)

MEASURED = (32, 64)  # bytes of the vectors of AVX2 and AVX-512


def changed(**layers):
    model = network({})
    for name, layer in layers.items():
        setattr(model, name, layer)
    return model


def half_frozen():
    model = network({})
    model.stages[1][0].bn1.eval()
    return model


def parametrized():
    model = network({})
    nn.utils.parametrizations.weight_norm(model.stem)
    return model


def mixed():
    model = network({})
    model.stages[1][0].bn1.double()
    return model


def synchronised():
    return nn.SyncBatchNorm.convert_sync_batchnorm(network({}))


X = images(SIZE, 16).float()
STEM = {"kernel_size": 3, "bias": False, "padding": 1}


@pytest.mark.parametrize(
    ("model", "x", "message"),
    [
        (network({}), images(SIZE, 17).float(), r"batches of a multiple of \d+ images, got 17"),
        (network({}), images(SIZE, 0).float(), r"batches of a multiple of \d+ images, got 0"),
        (network({"alpha": "1/2"}), images((18, 17), 16).float(), "even sizes pooled by 2, got 18 x 17 by 2"),
        (
            network({"alpha": 1}),
            images((12, 20), 16).float(),
            "even sizes where a map is upsampled, got 3 x 5",
        ),
        (network({}), X[:, :1], r"images \(n, 3, h, w\) on the CPU, got \(16, 1, 16, 16\) on cpu"),
        (network({}), X.to("meta"), r"images \(n, 3, h, w\) on the CPU, got \(16, 3, 16, 16\) on meta"),
        (changed(stem=nn.Conv2d(3, 9, groups=3, **STEM)), X, "1x1 or 3x3 convolutions without groups"),
        (
            changed(stem=nn.Conv2d(3, 8, 5, padding=2, bias=False)),
            X,
            "1x1 or 3x3 convolutions without groups",
        ),
        (changed(stem=nn.Conv2d(3, 8, 3, padding=1)), X, "convolutions without bias, got Conv2d"),
        (changed(stem=nn.Conv2d(3, 9, **STEM)), X, "normalisations that fit, got 9 channels for BatchNorm2d"),
        (half_frozen(), X, "all normalisations in training mode, or all in eval"),
        (network({}).half(), X.half(), "parameters in float32 or float64, got torch.float16"),
        (mixed(), X, "parameters in float32 or float64, got torch.float32, torch.float64"),
    ],
)
def test_what_it_refuses(model, x, message):
    with pytest.raises(ValueError, match=f'the plan "blocked" needs {message}'):
        BlockedNetwork(model)(x)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (parametrized(), "stem is a ParametrizedConv2d, which is not a convolution that it knows"),
        (synchronised(), "stem_bn is a SyncBatchNorm, which is not a normalisation that it knows"),
    ],
)
def test_layers_that_it_does_not_know(model, message):
    with pytest.raises(ValueError, match=f'does not compute this network: {message}; use the plan "lean"'):
        BlockedNetwork(model)(X)


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(3, 8, 3, bias=False),
        nn.Conv2d(3, 8, 3, padding=1, bias=False, padding_mode="reflect"),
        nn.Conv2d(3, 8, 3, padding=1, bias=False, stride=(1, 2)),
        nn.Conv2d(3, 8, 3, padding=(1, 2), bias=False, dilation=(1, 2)),
    ],
    ids=str,
)
@pytest.mark.parametrize("plan", ["blocked", "native", "folded"])
def test_a_geometry_that_no_plan_has(plan, convolution):
    model = changed(stem=convolution).train(plan == "blocked")
    with pytest.raises(ValueError, match="convolutions that keep the size at stride 1 by zero padding"):
        with_plan(model, plan, size=SIZE)(X)


def test_a_machine_without_a_compiler(monkeypatch):
    monkeypatch.setattr(plan_blocked, "why_not", lambda _: "it needs a C++ compiler")
    model = network({"alpha": "1/2"})
    with pytest.raises(ValueError, match=r'"blocked" does not run here: it needs a C\+\+ compiler'):
        with_plan(model, "blocked")(X)
    assert with_plan(model.eval(), "blocked")(X).shape == (16, 10)  # by "lean"
    assert plan_for(model, (16, 3, 16, 16), torch.float32, training=True) == "lean"


@pytest.mark.parametrize("has_tiles", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_where_the_library_multiplies_by_tiles(has_tiles, dtype, monkeypatch):
    skip_without(dtype)
    kernels = SimpleNamespace(pwoct_has_tiles=lambda: has_tiles, pwoct_vector_bytes=lambda: 64)
    monkeypatch.setattr(plan_package, "load", lambda: kernels)
    by_the_library = has_tiles and dtype == torch.bfloat16
    plain, octave = network({}), network({"alpha": "1/2"})
    shape = (128, 3, 32, 32)
    assert plan_for(plain, shape, dtype, training=True) == ("lean" if by_the_library else "blocked")
    assert plan_for(octave, shape, dtype, training=True) == "blocked"
    for model in (plain, octave):
        plan = plan_for(model, shape, dtype, training=False)
        assert plan == ("folded" if by_the_library else "native")


@pytest.mark.parametrize("width", [16, 32, 64])
def test_which_vectors_were_measured(width, monkeypatch):
    kernels = SimpleNamespace(pwoct_has_tiles=lambda: False, pwoct_vector_bytes=lambda: width)
    monkeypatch.setattr(plan_package, "load", lambda: kernels)
    model, shape = network({"alpha": "1/2"}), (128, 3, 32, 32)
    is_measured = width in MEASURED
    for training, ours, library_s in ((True, "blocked", "lean"), (False, "native", "folded")):
        plan = plan_for(model, shape, torch.float32, training=training)
        assert plan == (ours if is_measured else library_s)


@pytest.mark.parametrize(
    ("model", "shape", "plan"),
    [
        (network({"alpha": "1/2"}), (128, 3, 32, 32), "blocked"),
        (network({"alpha": 0, "paths": "HH"}), (16, 3, 8, 24), "blocked"),
        (network({}), (128, 3, 32, 32), "blocked"),
        (network({"width": 65}), (128, 3, 32, 32), "lean"),
        (network({"alpha": "1/2"}), (100, 3, 32, 32), "lean"),
        (network({"alpha": "1/2"}), (128, 3, 28, 28), "lean"),
        (network({"alpha": "1/2"}).bfloat16(), (128, 3, 32, 32), "lean"),
        (nn.SyncBatchNorm.convert_sync_batchnorm(network({"alpha": "1/2"})), (128, 3, 32, 32), "lean"),
    ],
)
def test_what_it_is_chosen_for(model, shape, plan):
    if library.load().pwoct_vector_bytes() not in MEASURED:
        plan = "lean"
    assert plan_for(model, shape, torch.bfloat16, training=True) == plan
    with_plan(model, plan)
