"""The execution plan of a run: what is asked for, and what becomes of the answer."""

import pytest
import torch
from torch import nn

from pwoct import convert
from pwoct.plan import plan_for
from pwoct.training import learner
from pwoct.training.config import ConfigError
from pwoct.training.distributed import Ranks
from pwoct.training.learner import Learner, settle_plan, under
from tests.pwoct.training.tiny import own, tiny


class Net(nn.Module):
    """Of three classes, on images of one channel."""

    def __init__(self):
        super().__init__()
        self.stem, self.one = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.two, self.fc = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(self.two(self.one(self.stem(x))).mean((2, 3)))


def converted():
    return convert(Net(), alpha="1/2")


def of(name, **values):
    values = {"machine__plan": "auto", **values}
    return own(name, **values) if ":" in name else tiny(model__name=name, **values)


@pytest.fixture
def answers(monkeypatch):
    """Answer for `plan_for`, `why_not` and the trial of a network, and keep the questions."""
    asked, says = [], {"plan_for": "blocked", "why_not": None, "network": Net}

    def best(model, shape, dtype, *, training, device="cpu"):
        asked.append((type(model).__name__, shape, dtype, training, device))
        return says["plan_for"]

    def refusal(plan, model, *, images, size):
        asked.append((type(model).__name__, plan, images, size))
        return says["why_not"]

    monkeypatch.setattr(learner, "plan_for", best)
    monkeypatch.setattr(learner, "why_not", refusal)
    monkeypatch.setattr(learner, "check_own", lambda name, model, *rest: asked.append(("trial", name, *rest)))
    build = learner.build_model

    def built(config, *rest):
        if not config.is_own:
            return build(config, *rest)
        assert rest == (3, 1, 0)  # classes, channels, seed
        return says["network"]()

    monkeypatch.setattr(learner, "build_model", built)
    return asked, says


@pytest.mark.parametrize("name", ["resnet8", "net.py:Net"])
@pytest.mark.parametrize(
    ("values", "images", "dtype"),
    [
        ({"machine__ranks": 0, "machine__precision": "fp32"}, 16, torch.float32),
        ({"machine__ranks": 1, "machine__precision": "bf16"}, 16, torch.bfloat16),
        ({"machine__ranks": 2, "machine__precision": "fp32"}, 8, torch.float32),
    ],
)
def test_the_best_plan_is_asked_for_what_one_rank_trains(name, values, images, dtype, answers):
    config = of(name, **values)
    settled = settle_plan(config, 3, 1, (20, 24))
    kind = "ResNet" if name == "resnet8" else "Net"
    asked = [question for question in answers[0] if question[0] == kind]
    assert asked == [(kind, (images, 1, 20, 24), dtype, True, "cpu")]
    assert settled.machine.plan == "blocked"
    assert settled == config.model_copy(update={"machine": settled.machine})


@pytest.mark.parametrize("name", ["resnet8", "net.py:Net"])
@pytest.mark.parametrize(
    ("best", "values", "external", "built_in"),
    [
        ("blocked", {"machine__sync_bn": True}, "lean", "lean"),
        ("blocked", {"machine__compile": True}, "reference", "lean"),
        ("lean", {"machine__compile": True}, "reference", "lean"),
        ("lean", {"machine__sync_bn": True}, "lean", "lean"),
        ("reference", {}, "reference", "reference"),
    ],
)
def test_a_best_plan_that_does_not_go_with_an_option_is_replaced(
    name, best, values, external, built_in, answers
):
    answers[1]["plan_for"] = best
    assert settle_plan(of(name, **values), 3, 1, (20, 24)).machine.plan == (
        external if ":" in name else built_in
    )


@pytest.mark.parametrize("plan", ["reference", "lean", "blocked"])
def test_a_plan_that_is_named_and_computes_the_network_stays(plan, answers):
    named = tiny(machine__plan=plan)
    assert settle_plan(named, 3, 1, (16, 16)) is named
    blocked = plan == "blocked"
    assert answers[0] == [("ResNet", "blocked", 16, (16, 16))] * blocked
    answers[1]["network"] = converted
    config = of("net.py:Net", machine__plan=plan, machine__ranks=2)
    assert settle_plan(config, 3, 1, (20, 24)).machine == config.machine
    assert ("trial", "net.py:Net", 3, (1, 20, 24)) in answers[0]
    assert (("Net", "blocked", 8, (20, 24)) in answers[0]) == blocked
    assert len(answers[0]) == 1 + 2 * blocked


@pytest.mark.parametrize(
    "values", [{"machine__device": "cuda"}, {"machine__compile": True}, {"machine__sync_bn": True}]
)
@pytest.mark.parametrize("name", ["resnet8", "net.py:Net"])
def test_blocked_refuses_what_its_kernels_do_not_do(name, values, answers):
    config = of(name, machine__plan="blocked", **values)
    with pytest.raises(ConfigError, match="blocked needs device cpu, without compile and sync_bn"):
        settle_plan(config, 3, 1, (16, 16))


@pytest.mark.parametrize(("network", "instead"), [(Net, "reference"), (converted, "lean")])
def test_a_refusal_names_the_plan_that_computes_the_network(network, instead, answers):
    answers[1].update(network=network, why_not="reason")
    config = of("net.py:Net", machine__plan="blocked")
    message = f"machine.plan: blocked does not compute net.py:Net: reason; use {instead}"
    with pytest.raises(ConfigError) as error:
        settle_plan(config, 3, 1, (16, 16))
    assert str(error.value) == message


def test_what_is_under_a_prefix():
    one, two = torch.zeros(1), torch.ones(2)
    assert under("a.", {"a.x": one, "b.a.x": two, "a.a.y": two}) == {"x": one, "a.y": two}


def test_the_seed_gives_the_weights_and_the_configuration_their_layout():
    def first(**values):
        return next(iter(Learner(tiny(**values), 10, 3, Ranks()).model.parameters()))

    torch.manual_seed(5)
    one = first(seed=1)
    torch.manual_seed(6)
    assert torch.equal(one, first(seed=1))
    assert not torch.equal(one, first(seed=2))
    assert first(machine__channels_last=True).is_contiguous(memory_format=torch.channels_last)
    assert first(machine__channels_last=False).is_contiguous()


def test_the_questions_fit_the_function_that_answers():
    assert plan_for(Net(), (16, 1, 20, 24), torch.float32, training=True, device="cuda") == "reference"
