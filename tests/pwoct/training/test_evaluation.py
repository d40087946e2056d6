"""Accuracy is exact, and the same by every plan."""

import math

import pytest
import torch
from torch import nn

import pwoct.training.evaluation
from pwoct import build
from pwoct.plan import plan_for, with_plan
from pwoct.training.augment import Normalise
from pwoct.training.data import Images
from pwoct.training.distributed import Ranks
from pwoct.training.evaluation import evaluate
from pwoct.training.examine import examine
from pwoct.training.record import RunError, RunFolder
from pwoct.training.synthetic import synthetic
from pwoct.training.train import train
from tests.pwoct.networks import needs_compiler
from tests.pwoct.training.notes import Notes
from tests.pwoct.training.tiny import tiny


class Parrot(nn.Module):
    """Says of every image what its first pixel says."""

    def forward(self, x):
        return 10 * nn.functional.one_hot(x[:, 0, 0, 0].long(), 3).float()


def test_evaluation_counts_every_image_once():
    said, true = torch.tensor([0, 1, 1, 2, 2, 2, 0] * 100), torch.tensor([0, 1, 2, 2, 2, 0, 0] * 100)
    images = Images(said.to(torch.uint8).view(-1, 1, 1, 1), true)
    identity = Normalise(torch.zeros(1), torch.ones(1))
    parts = [evaluate(Parrot(), images, identity, tiny(), 3, Ranks())]
    score = parts[0]
    assert score.confusion.tolist() == [[200, 0, 100], [0, 100, 0], [0, 100, 200]]
    assert (score.correct, score.images) == (500, 700)
    assert score.per_class == pytest.approx([2 / 3, 1, 2 / 3])
    # Right: log(1 + 2 e^-10); wrong: 10 more.
    assert score.loss == pytest.approx(math.log(1 + 2 * math.exp(-10)) + 10 * 200 / 700, rel=1e-6)


def test_the_weights_of_a_run_give_its_accuracy(tmp_path, images):
    result = train(tiny(ema=0.9), images, tmp_path / "run")
    model, score = examine(RunFolder(tmp_path / "run"), images)
    assert (score.correct, score.images) == (result.correct, 40)
    assert score.loss == result.loss
    assert result.parameters == sum(p.numel() for p in model.parameters())
    other = synthetic(train=64, test=39, size=16)
    with pytest.raises(RunError, match="trained on different data"):
        examine(RunFolder(tmp_path / "run"), other)


@pytest.mark.parametrize(
    "plan", ["reference", "lean", "folded", pytest.param("native", marks=needs_compiler)]
)
def test_a_run_can_be_evaluated_by_another_plan(plan, tmp_path, images, monkeypatch):
    result = train(tiny(model__alpha="1/2", machine__plan="lean"), images, tmp_path / "run")
    used = []
    monkeypatch.setattr(
        pwoct.training.evaluation, "with_plan", lambda *a, **k: used.append(a[1]) or with_plan(*a, **k)
    )
    model, score = examine(RunFolder(tmp_path / "run"), images, plan=plan)
    assert used == [plan]
    assert score.loss == pytest.approx(result.loss, rel=1e-5)
    assert result.parameters == sum(p.numel() for p in model.parameters())


@needs_compiler
@pytest.mark.parametrize("values", [{}, {"ema": 0.9}], ids=["weights", "average"])
def test_what_blocked_trains_is_evaluated_by_a_snapshot_of_the_moment(values, tmp_path, images, monkeypatch):
    """Wherever kernels for inference suit; every epoch sees its own weights, as the lean plan does."""
    used = []
    monkeypatch.setattr(
        pwoct.training.evaluation, "with_plan", lambda *a, **k: used.append(a[1]) or with_plan(*a, **k)
    )
    config = tiny(model__alpha="1/2", model__width=16, machine__plan="blocked", **values)
    told = Notes()
    result = train(config, images, tmp_path / "run", reporter=told)
    best = plan_for(build("resnet8", alpha="1/2"), (500, 3, 16, 16), torch.float32, training=False)
    assert used == [best] * 3
    assert result.loss == told.epochs[-1]["test_loss"] != told.epochs[0]["test_loss"]
    run = RunFolder(tmp_path / "run")
    assert examine(run, images)[1].loss == result.loss
    assert examine(run, images, plan="reference")[1].loss == pytest.approx(result.loss, rel=1e-5)
