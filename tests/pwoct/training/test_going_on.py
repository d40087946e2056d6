"""Losses that explode, damaged checkpoints, other rates: how a run is gone on with after trouble."""

import json
import math
import shutil

import pytest
import torch

import pwoct.training.checkpoint
import pwoct.training.saver
import pwoct.training.train
from pwoct.training.checkpoint import CheckpointError, newest, read
from pwoct.training.config import ConfigError
from pwoct.training.evaluation import Score
from pwoct.training.learner import Learner
from pwoct.training.record import RunFolder
from pwoct.training.saver import DivergedError
from pwoct.training.signals import Signals, StoppedError
from pwoct.training.train import train
from tests.pwoct.training.notes import Notes
from tests.pwoct.training.tiny import SGD, tiny


@pytest.mark.parametrize("loss", [math.nan, math.inf, 1e25])
def test_a_test_loss_beyond_all_bounds_is_no_result(loss, tmp_path, images, monkeypatch):
    broken = Score(torch.tensor([[1, 39], [0, 0]]), loss)
    monkeypatch.setattr(pwoct.training.train, "evaluate", lambda *_: broken)
    with pytest.raises(
        DivergedError, match=r"the loss is (nan|inf|1e\+25) after 4 steps; lower optimiser.lr"
    ):
        train(tiny(), images, tmp_path / "run")
    assert RunFolder(tmp_path / "run").result() is None
    assert newest(tmp_path / "run" / "checkpoints")[0].step == 0


def spoil(learner):
    with torch.no_grad():
        learner.model.stem.weight[0, 0, 0, 0] = math.nan


def test_weights_that_are_not_finite_are_never_saved(tmp_path, images, monkeypatch):
    """Though the loss of the step before them is."""
    update = Learner.update

    def explode(self, x, labels, rate, step):
        told = update(self, x, labels, rate, step)
        if step == 3:
            spoil(self)
        return told

    monkeypatch.setattr(Learner, "update", explode)
    with pytest.raises(
        DivergedError, match=r"the weights are \(stem.weight\) not finite after 4 steps; .*step 3 are kept"
    ):
        train(tiny(), images, tmp_path / "run", checkpoint_minutes=0.0, keep=1)


def test_a_checkpoint_that_is_not_finite_is_never_the_one_to_go_on_from(run, images):
    (run.path / "result.json").unlink()
    path = run.checkpoints / "step-0000000008"
    good = read(path)
    good.model["stem.weight"].view(-1)[0] = math.inf
    shutil.rmtree(path)
    pwoct.training.checkpoint.store(run.checkpoints, good)
    told = Notes()
    result = train(tiny(), images, run.path, reporter=told)
    assert "the weights are not finite: stem.weight" in told.notes[0]
    assert "resumed in epoch 2, after 4 steps" in told.notes[1]
    assert result.epoch == 2


def test_an_earlier_step_is_gone_on_from_with_another_rate(tmp_path, images):
    """As after a divergence: with the same settings it comes to the same bits, with others elsewhere."""
    config = tiny(**SGD, optimiser__lr=0.05)
    first = train(config, images, tmp_path / "run", keep=3)
    run = RunFolder(tmp_path / "run")
    assert sorted(path.name[-2:] for path in run.checkpoints.iterdir()) == ["00", "04", "08"]
    weights = run.weights.read_bytes()
    again = train(config, images, run.path, from_step=4, keep=3)
    assert (again.loss, run.weights.read_bytes()) == (first.loss, weights)
    assert {path.name for path in run.checkpoints.iterdir()} >= {"step-0000000004", "left-step-0000000008"}
    lower = config.model_copy(update={"optimiser": config.optimiser.model_copy(update={"lr": 0.01})})
    told = Notes()
    other = train(lower, images, run.path, from_step=0, allow_change=["optimiser.lr"], reporter=told)
    assert other.changes == ["optimiser.lr"]
    assert [line["rate"] for line in run.history()] == pytest.approx([0.01, 0.0025])
    assert "the learning rate continues at 0.0025 instead of 0.0125" in told.notes
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 5 in .*; there are 4, 8$"):
        train(lower, images, run.path, from_step=5, allow_change=["optimiser.lr"])


def test_in_the_middle_of_the_fall_more_epochs_move_it(tmp_path, images):
    with Signals() as signals, pytest.raises(StoppedError):
        train(
            tiny(),
            images,
            tmp_path / "run",
            reporter=Notes(6, lambda: setattr(signals, "stop", 15)),
            signals=signals,
        )
    told = Notes()
    train(tiny(epochs=3), images, tmp_path / "run", allow_change=["epochs"], reporter=told)
    # Step 6 of 8 and of 12: 0.03 (8 - 6) / (8 - 4) and 0.03 (12 - 6) / (12 - 4).
    assert "the learning rate continues at 0.0225 instead of 0.015" in told.notes


def test_a_change_of_what_is_no_key_cannot_be_allowed(tmp_path, images):
    with pytest.raises(ConfigError, match="no change of foo can be allowed: there is no such key"):
        train(tiny(), images, tmp_path / "run", allow_change=["foo"])
    assert not (tmp_path / "run").exists()


def test_what_was_settled_is_taken_from_the_run(run, images, monkeypatch):
    """Begun where no compiler was, gone on with where there is one; and on another number of cores."""
    (run.path / "result.json").unlink()
    shutil.rmtree(run.checkpoints / "step-0000000008")
    auto = {"machine__plan": "auto", "machine__threads": 0, "machine__precision": "auto"}
    monkeypatch.setattr("pwoct.training.learner.plan_for", lambda *_, **__: "lean")
    result = train(tiny(**auto), images, run.path)
    assert (result.changes, result.config["machine"]["plan"]) == ([], "reference")
    assert result.config["machine"]["threads"] == 1


def test_what_may_change_is_settled_anew(run, images, monkeypatch):
    shutil.rmtree(run.checkpoints / "step-0000000008")
    (run.path / "result.json").unlink()
    monkeypatch.setattr("pwoct.training.learner.plan_for", lambda *_, **__: "lean")
    result = train(tiny(machine__plan="auto"), images, run.path, allow_change=["machine.plan"])
    assert (result.changes, result.config["machine"]["plan"]) == (["machine.plan"], "lean")


def test_a_damaged_configuration_does_not_keep_a_run_from_going_on(run, images):
    (run.path / "result.json").unlink()
    (run.path / "config.json").write_text("{")
    assert train(tiny(), images, run.path).epoch == 2
    assert json.loads((run.path / "config.json").read_text())["epochs"] == 2
