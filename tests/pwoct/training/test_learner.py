"""One step of training by hand, and the execution plan that a run settles on."""

import copy
import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from pwoct.plan.compiled.operations import lanes_of
from pwoct.training.config import ConfigError
from pwoct.training.distributed import Ranks
from pwoct.training.learner import Learner
from pwoct.training.muon import orthogonal_all
from pwoct.training.record import RunError, RunFolder
from pwoct.training.train import settled, train
from tests.pwoct.networks import needs_compiler
from tests.pwoct.training.tiny import SGD, tiny


def test_one_step_by_hand():
    """Nesterov momentum's first step is lr (1 + momentum) (gradient + decay weight), clipped before."""
    config = tiny(
        **SGD,
        batch=4,
        optimiser__weight_decay=0.01,
        optimiser__decay="all",
        label_smoothing=0.1,
        optimiser__clip_norm=0.5,
    )
    learner = Learner(config, 10, 3, Ranks())
    before = copy.deepcopy(learner.model).train()
    x, y = torch.randn(4, 3, 16, 16), torch.tensor([1, 2, 3, 4])
    loss = cross_entropy(before(x), y, label_smoothing=0.1)
    loss.backward()
    norm = math.sqrt(sum(float(p.grad.square().sum()) for p in before.parameters()))
    assert norm > 0.5
    told, _ = learner.update(x, y, 0.1, 0)
    assert torch.allclose(told, loss)
    for old, new in zip(before.parameters(), learner.model.parameters(), strict=True):
        gradient = old.grad * (0.5 / norm) + 0.01 * old
        assert torch.allclose(new, old - 0.1 * 1.9 * gradient, atol=1e-6)


def test_one_step_of_muon_by_hand():
    """At half the schedule's height, kernels step at half of lr, and all else at half of rest_lr."""
    rates = {"optimiser__lr": 0.03, "optimiser__rest_lr": 0.2, "optimiser__weight_decay": 0.01}
    config = tiny(batch=4, label_smoothing=0.1, **rates)
    learner = Learner(config, 10, 3, Ranks())
    before = copy.deepcopy(learner.model).train()
    x, y = torch.randn(4, 3, 16, 16), torch.tensor([1, 2, 3, 4])
    cross_entropy(before(x), y, label_smoothing=0.1).backward()
    learner.update(x, y, 0.5 * 0.03, 0)
    for old, new in zip(before.parameters(), learner.model.parameters(), strict=True):
        lr = 0.015 if old.dim() == 4 else 0.1
        step = 1.9 * old.grad
        if old.dim() == 4:
            (step,) = orthogonal_all([step])
        shrunk = old * (1 - 0.01 * lr) if old.dim() >= 2 else old
        assert torch.allclose(new, shrunk - lr * step, atol=1e-5)


def test_the_plan_is_settled_recorded_and_kept(tmp_path, images):
    train(tiny(machine__plan="auto", batch=4), images, tmp_path / "run")
    assert RunFolder(tmp_path / "run").config().machine.plan == "lean"  # that needs no whole blocks
    with pytest.raises(RunError, match=r"was begun with different values of machine.plan: "):
        train(tiny(machine__plan="reference", batch=4), images, tmp_path / "run")


@needs_compiler
@pytest.mark.parametrize("alpha", ["0", "1/2"])
def test_it_trains_by_the_packages_kernels(alpha, tmp_path, images):
    config = tiny(machine__plan="auto", model__alpha=alpha)
    blocked = train(config, images, tmp_path / "run")
    assert RunFolder(tmp_path / "run").config().machine.plan == "blocked"
    reference = train(tiny(model__alpha=alpha), images, tmp_path / "reference")
    assert blocked.loss == pytest.approx(reference.loss, rel=1e-2)
    assert settled(config.model_copy(update={"batch": 4}), images, Ranks()).machine.plan == "lean"


@needs_compiler
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch": 20}, 'the plan "blocked" needs batches of a multiple of {lanes} images, got 20'),
        ({"machine__compile": True}, "blocked needs device cpu, without compile and sync_bn"),
    ],
)
def test_what_the_plan_blocked_refuses(values, message, tmp_path, images):
    with pytest.raises(ConfigError, match=message.format(lanes=lanes_of(torch.float32))):
        train(tiny(machine__plan="blocked", model__alpha="1/2", **values), images, tmp_path / "run")


def test_the_plan_blocked_needs_a_compiler(tmp_path, images, monkeypatch):
    monkeypatch.setattr("pwoct.plan.compiled.blocked.why_not", lambda dtype: "it needs a C++ compiler")
    with pytest.raises(ConfigError, match=r'"blocked" does not run here: it needs a C\+\+ compiler'):
        train(tiny(machine__plan="blocked"), images, tmp_path / "run")


def steps_of(learner, count, start=0):
    generator = torch.Generator().manual_seed(start)
    for step in range(start, start + count):
        x, labels = torch.randn(16, 3, 16, 16, generator=generator), torch.arange(16) % 10
        yield learner.update(x, labels, 0.1, step)


@pytest.mark.parametrize("values", [{}, SGD, {"ema": 0.9}], ids=["muon", "sgd", "average"])
def test_a_restored_learner_makes_the_same_steps(values):
    one, other = (Learner(tiny(seed=seed, **values), 10, 3, Ranks()) for seed in (0, 1))
    list(steps_of(one, 2))
    saved = one.model.state_dict(), one.tensors()  # in the layout in which a file gives them
    state = [{name: value.contiguous().clone() for name, value in part.items()} for part in saved]
    list(steps_of(other, 1))
    other.restore(*state)
    told, again = ([loss for loss, _ in steps_of(each, 2, start=2)] for each in (one, other))
    assert told == again
    expected, found = ((x.model.state_dict(), x.evaluated.state_dict(), x.tensors()) for x in (one, other))
    for its, mine in zip(found, expected, strict=True):
        assert its.keys() == mine.keys()
        assert all(torch.equal(its[name], mine[name]) for name in mine)
    for parameter, kept in other.optimiser.state.items():
        assert all(value.stride() == parameter.stride() for value in kept.values() if value.dim() == 4)


def test_a_step_tells_how_many_are_right_and_leaves_no_gradient():
    learner = Learner(tiny(ema=0.5), 10, 3, Ranks())
    x, before = torch.randn(16, 3, 16, 16), copy.deepcopy(learner.evaluated.state_dict())
    guessed = copy.deepcopy(learner.model).train()(x).argmax(1)
    labels = torch.where(torch.arange(16) < 5, guessed, (guessed + 1) % 10)
    _, right = learner.update(x, labels, 0.1, 20)
    assert int(right) == 5
    assert all(parameter.grad is None for parameter in learner.model.parameters())
    average, now = learner.evaluated.state_dict(), learner.model.state_dict()
    for name in ("fc.weight", "stem_bn.running_mean"):
        assert torch.allclose(average[name], (before[name] + now[name]) / 2)


def test_the_random_state_is_taken_and_given_back():
    learner = Learner(tiny(seed=3), 10, 3, Ranks())
    assert torch.initial_seed() == 4
    state, drawn = learner.random_state(), torch.rand(3)
    learner.set_random_state(state)
    assert torch.equal(torch.rand(3), drawn)
