"""Every plan computes the function of the reference: outputs, gradients, statistics."""

import copy

import pytest
import torch
from torch import nn

from pwoct.plan import (
    PLANS,
    FoldedNetwork,
    LeanNetwork,
    NativeNetwork,
    optimize_for_inference,
    plan_for,
    with_plan,
)
from pwoct.plan.shared import choose
from pwoct.resnet import resnet
from tests.pwoct.networks import ALL, assert_same, cases, images, network, relative_error, sizes


@cases
@sizes
@pytest.mark.parametrize("training", [True, False])
def test_lean_is_the_reference(options, size, training):
    model = network(options).double().train(training)
    lean = with_plan(copy.deepcopy(model), "lean")
    x = images(size)
    results = []
    for forward in (model, lean):
        x.requires_grad_(True).grad = None
        y = forward(x)
        y.square().sum().backward()
        results.append([y, x.grad, *(p.grad for p in forward.parameters()), *forward.buffers()])
    assert_same(results[1], results[0], atol=1e-12)


@cases
@sizes
def test_folded_is_the_reference(options, size):
    model = network(options).double().eval()
    with torch.no_grad():
        expected = model(images(size))
    folded = with_plan(model, "folded", size=size, dtype=torch.float64)
    assert relative_error(folded(images(size)), expected) < 1e-10


@cases
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 5e-2)])
def test_folded_in_short_types(options, dtype, bound):
    model = network({"width": 16, **options}).eval()
    size = (16, 16)
    with torch.no_grad():
        expected = copy.deepcopy(model).double()(images(size))
    assert relative_error(with_plan(model, "folded", size=size, dtype=dtype)(images(size)), expected) < bound


@cases
def test_lean_under_autocast(options):
    model = network(options).eval()
    x = images((16, 16))
    with torch.no_grad():
        expected = copy.deepcopy(model).double()(x)
        with torch.autocast("cpu", torch.bfloat16):
            got = with_plan(model, "lean")(x.float())
    assert relative_error(got, expected) < 5e-2


def test_packed_stages_are_the_reference_in_float64(monkeypatch):
    monkeypatch.setitem(choose.PACKED_CHANNELS, torch.float64, 256)
    for options in ({"alpha": "1/4"}, {"alpha": "3/4", "paths": ALL}):
        model = network(options, depth=20).double().eval()
        folded = with_plan(model, "folded", size=(16, 16), dtype=torch.float64)
        assert "PackedBlocks" in [type(block).__name__ for block in folded.blocks]
        with torch.no_grad():
            assert relative_error(folded(images((16, 16))), model(images((16, 16)))) < 1e-10


def test_lean_shares_the_parameters_and_the_state_dict():
    model = network({"alpha": "1/2"})
    lean = with_plan(model, "lean")
    assert all(p is q for p, q in zip(model.parameters(), lean.parameters(), strict=True))
    other = network({"alpha": "1/2"})
    other.load_state_dict(lean.state_dict())
    with_plan(other, "lean").load_state_dict(model.state_dict())


def test_a_lean_step_repeats_to_the_bit():
    grads = []
    for _ in range(2):
        model = network({"alpha": "1/2"})
        with_plan(model, "lean")(images((16, 16)).float()).square().sum().backward()
        grads.append([p.grad for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_folded_is_a_snapshot():
    model = network({"alpha": "1/2"}).eval()
    folded = with_plan(model, "folded", size=(16, 16))
    before = folded(images((16, 16)))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(folded(images((16, 16))), before)
    assert not list(folded.parameters())
    assert not before.requires_grad


def test_folded_refuses_another_size():
    folded = with_plan(network({}), "folded", size=(16, 16))
    with pytest.raises(ValueError, match=r"folded for images of \(16, 16\), got \(32, 32\)"):
        folded(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize(
    ("options", "dtype"),
    [
        ({"batch": 1}, torch.float32),
        ({"batch": 128}, torch.float32),
        ({}, torch.bfloat16),
        ({}, torch.float64),
    ],
)
def test_inference_is_optimised_by_the_best_plan(options, dtype):
    model, x = network({"alpha": "1/2"}).eval(), images((16, 16))
    network_ = optimize_for_inference(model, (16, 16), dtype, **options)
    best = plan_for(model, (options.get("batch", 128), 3, 16, 16), dtype, training=False)
    assert type(network_) is (NativeNetwork if best == "native" else FoldedNetwork)
    with torch.no_grad():
        assert relative_error(network_(x), copy.deepcopy(model).double()(x)) < 5e-2


def test_the_reference_is_the_model_itself():
    model = network({})
    assert with_plan(model, "reference") is model


@pytest.mark.parametrize(
    ("plan", "model", "message"),
    [
        ("fast", resnet(8), "plan must be one of reference, lean, blocked, folded, native, got 'fast'"),
        ("lean", nn.Linear(1, 1), "plan 'lean' needs a ResNet of this package, got Linear"),
    ],
)
def test_with_plan_refuses(plan, model, message):
    with pytest.raises(ValueError, match=message):
        with_plan(model, plan)


def test_plan_for():
    model, shape = resnet(8), (2, 3, 32, 32)
    assert plan_for(model, shape, torch.bfloat16, training=True) == "lean"
    assert plan_for(model, shape, torch.float32, training=False) == "folded"  # too few images for a block
    assert plan_for(resnet(8, width=128), (128, 3, 32, 32), torch.float32, training=False) == "folded"
    assert plan_for(model, shape, torch.float64, training=False) == "lean"
    assert plan_for(model, shape, torch.float32, training=True, device="cuda") == "reference"
    assert plan_for(nn.Linear(1, 1), shape, torch.float32, training=True) == "reference"
    assert set(PLANS) == {"reference", "lean", "blocked", "folded", "native"}
    with pytest.raises(ValueError, match="input_shape must be"):
        plan_for(model, (3, 32, 32), torch.float32, training=True)


def test_inference_of_grouped_layers_is_that_of_others():
    model, shape = network({"width": 9}), (128, 3, 16, 16)
    before = plan_for(model, shape, torch.float32, training=False)
    model.stem = nn.Conv2d(3, 9, 3, padding=1, groups=3, bias=False)
    assert plan_for(model, shape, torch.float32, training=False) == before != "lean"


def test_lean_pools_each_map_once(monkeypatch):
    from pwoct.plan.shared import maps

    calls = []
    monkeypatch.setattr(maps, "halve", lambda x: calls.append(x) or nn.functional.avg_pool2d(x, 2))
    model = network({"alpha": "1/2"}, depth=8).eval()
    LeanNetwork(model)(images((16, 16)).float())
    # 6 octave layers with a high input, but the last has no HL; the shortcuts of a stage change pool no more
    assert len(calls) == 5
