"""What a saver does to the record of a run that is resumed, changed or finished."""

import hashlib
import shutil
from dataclasses import replace

import pytest
import torch

from pwoct.training.checkpoint import CheckpointError, read, store
from pwoct.training.evaluation import Score
from tests.pwoct.training.savers import INPUTS, STEPS, close_epoch, go_on
from tests.pwoct.training.tiny import tiny


def test_a_changed_configuration_is_recorded_and_its_learning_rate_told(saver):
    one = saver()
    one.resume()
    go_on(one, 3)
    one.save()
    other = saver(tiny(optimiser__lr=0.06))
    other.resume(["optimiser.lr"])
    assert other.progress.changes == ["optimiser.lr"]
    assert other.reporter.notes[1].startswith("the learning rate continues at ")
    last = saver(tiny(epochs=3, optimiser__lr=0.06))
    last.resume(["epochs", "optimiser.lr"])
    assert last.progress.changes == ["epochs", "optimiser.lr"]


def after(saver, epochs, steps, config=None):
    """A run with a checkpoint after so many epochs and steps."""
    one = saver(config)
    one.resume()
    for _ in range(epochs):
        go_on(one, STEPS)
        close_epoch(one)
    go_on(one, steps)
    one.save()
    return one


@pytest.mark.parametrize(
    ("epochs", "steps", "before", "now", "told"),
    [
        (1, 3, {}, {"optimiser__lr": 0.06}, True),  # the last step of all
        (2, 0, {}, {"epochs": 3}, False),  # the end as it was
        (2, 0, {"epochs": 3}, {"epochs": 2}, False),  # the end as it is now
        (1, 3, {"epochs": 3}, {"epochs": 2}, True),
    ],
)
def test_a_learning_rate_is_told_where_there_was_one_and_is_one(epochs, steps, before, now, told, saver):
    after(saver, epochs, steps, tiny(**before))
    other = saver(tiny(**now))
    other.resume(["epochs", "optimiser.lr"])
    assert [note.startswith("the learning rate continues at") for note in other.reporter.notes[1:]] == [
        True
    ] * told


def test_a_resumed_run_draws_the_same_random_numbers(saver):
    after(saver, 0, 1)
    drawn = torch.rand(3)
    torch.manual_seed(0)
    other = saver()
    other.resume()
    assert torch.equal(torch.rand(3), drawn)


def test_a_tensor_that_is_unknown_is_refused(saver):
    one = after(saver, 0, 1)
    path = one.run.checkpoints / "step-0000000001"
    found = read(path)
    shutil.rmtree(path)
    store(one.run.checkpoints, replace(found, training={**found.training, "more": torch.ones(1)}))
    with pytest.raises(CheckpointError, match="unknown tensor training more"):
        saver().resume()


def test_a_resumed_run_is_not_finished_and_has_the_epochs_of_its_checkpoint(saver):
    one = after(saver, 1, 0)
    one.append(one.progress.history[0])
    one.append({**one.progress.history[0], "epoch": 2, "step": 8})
    (one.run.path / "result.json").write_text("{}")
    other = saver()
    other.resume()
    assert not (other.run.path / "result.json").exists()
    assert [line["epoch"] for line in other.run.history()] == [1]
    assert other.run.inputs() == INPUTS


def test_a_result_names_its_weights(saver):
    one = after(saver, 2, 0)
    result = one.finish(one.learner.model, Score(torch.eye(2, dtype=torch.int64), 0.5), 2, "last epoch")
    assert result.weights_sha256 == hashlib.sha256(one.run.weights.read_bytes()).hexdigest()
