"""Networks that are not exactly this package's: each plan computes what the reference does, or refuses."""

import copy

import pytest
import torch
import torch.nn.utils.prune

from pwoct.blocks import OctSequential
from pwoct.plan import PLANS, plan_for, why_not, with_plan
from tests.pwoct.networks import images, needs_compiler, network, relative_error
from tests.pwoct.plan.changes import CHANGES, octave

pytestmark = [needs_compiler, pytest.mark.usefixtures("one_thread")]

SIZE, SHAPE = (16, 16), (16, 3, 16, 16)
SNAPSHOTS, ALL_PLANS = {"folded", "native"}, {"lean", "blocked", "folded", "native"}
KERNELS = {"blocked", "folded", "native"}


def run(plan, model, x):
    model.train(plan == "blocked")
    return with_plan(model, plan, size=SIZE)(x)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("plan", PLANS[1:])
def test_right_or_refused(plan, name):
    make, refusing = CHANGES[name]
    model, x = make(), images(SIZE, 16).float()
    assert (why_not(plan, model, images=16, size=SIZE) is not None) == (plan in refusing)
    if plan in refusing:
        with pytest.raises(ValueError, match=r'; use the plan "(lean|reference)"$'):
            run(plan, model, x)
        return
    expected = run("reference", model.train(plan == "blocked"), x) if plan != "blocked" else model.train()(x)
    assert relative_error(run(plan, model, x), expected.double()) < 1e-4


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("training", [True, False])
def test_what_is_offered_computes(name, training):
    model = CHANGES[name][0]().train(training)
    plan = plan_for(model, SHAPE, torch.float32, training)
    expected = model(images(SIZE, 16).float())
    got = with_plan(model, plan, size=SIZE)(images(SIZE, 16).float())
    assert relative_error(got, expected.double()) < 1e-4


@pytest.mark.parametrize("plan", ["lean", "blocked"])
def test_hooks_that_come_later_are_seen(plan):
    model, x = octave(), images(SIZE, 16).float()
    forward = with_plan(model, plan)
    forward(x)
    model.stages[0][0].register_full_backward_hook(lambda *_: None)
    with pytest.raises(ValueError, match=r'stages.0.0 has hooks .*; use the plan "reference"'):
        forward(x)


def test_what_a_hook_keeps_is_not_written():
    kept = {}
    model, x = octave().eval(), images(SIZE, 2).float()
    layers = {
        name: model.get_submodule(name)
        for name in ("stem", "stem_bn", "stages.0.0.bn1.low", "stages.1.0.conv1.hh")
    }
    for name, layer in layers.items():
        layer.register_forward_hook(lambda _, __, y, name=name: kept.setdefault(name, []).append(y))
    model(x)
    with_plan(model, "lean")(x)
    for first, second in kept.values():
        torch.testing.assert_close(second, first)


def test_backward_hooks_of_layers_are_called():
    model, x, seen = octave(), images(SIZE, 2).float(), []
    for layer in (model.stem, model.stem_bn, model.stages[1][0].conv1.lh, model.fc):
        layer.register_full_backward_hook(lambda module, *_: seen.append(module))
    with_plan(model, "lean")(x.requires_grad_()).sum().backward()
    assert seen == [model.fc, model.stages[1][0].conv1.lh, model.stem_bn, model.stem]


@pytest.mark.parametrize("plan", sorted(SNAPSHOTS))
def test_a_snapshot_in_float64_is_that_of_the_network_in_float64(plan):
    model, x = network({"alpha": "1/4", "paths": "HL"}).eval(), images(SIZE, 4)
    snapshot = with_plan(model, plan, size=SIZE, dtype=torch.float64)
    assert relative_error(snapshot(x), copy.deepcopy(model).double()(x)) < 1e-13


def test_an_octave_map_before_a_plain_block():
    model = octave()
    model.stages[2] = OctSequential(*network({}, depth=8).stages[2])
    with pytest.raises(ValueError, match="needs a high branch alone, got a low one too"):
        with_plan(model, "lean")(images(SIZE, 2).float())
