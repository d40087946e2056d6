import copy
import errno
import fcntl
import json
import math
import os
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

import pwoct.training.evaluation
import pwoct.training.saver
import pwoct.training.train
from pwoct.training.checkpoint import CheckpointError, newest
from pwoct.training.config import ConfigError
from pwoct.training.distributed import Ranks
from pwoct.training.evaluation import Score, evaluate
from pwoct.training.learner import Learner
from pwoct.training.record import RunError, RunFolder
from pwoct.training.saver import DivergedError
from pwoct.training.synthetic import synthetic
from pwoct.training.train import train, try_out
from tests.pwoct.training.notes import Notes
from tests.pwoct.training.tiny import tiny


def test_the_synthetic_set_is_learned(tmp_path):
    """After 128 steps of a small network: far above the 10 % of a guess."""
    config = tiny(model__width=8, epochs=8, batch=32, optimiser__lr=0.1)
    result = train(config, synthetic(train=512, test=200, size=16), tmp_path / "run")
    assert result.accuracy >= 0.9


def test_a_finished_run_is_recorded_and_not_repeated(tmp_path, images):
    told = Notes()
    result = train(tiny(), images, tmp_path / "run", reporter=told)
    run = RunFolder(tmp_path / "run")
    assert run.result() == result
    assert run.config().machine.ranks == 1
    assert [line["epoch"] for line in run.history()] == [1, 2]
    assert run.history() == told.epochs
    assert result.accuracy == run.history()[-1]["test_accuracy"] == result.correct / 40
    assert result.chosen_by == "last epoch"
    [session] = run.sessions()
    assert session["versions"]["torch"] == torch.__version__
    assert session["data"] == images.fingerprint
    again = Notes()
    assert train(tiny(), images, tmp_path / "run", reporter=again) == result
    assert again.epochs == []
    assert "is already finished: its result is shown" in again.notes[0]
    assert len(run.sessions()) == 1


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        ({"epochs": 3}, "epochs"),
        ({"optimiser__lr": 1.0, "label_smoothing": 0.2}, "label_smoothing, optimiser.lr"),
        ({"model__width": 8}, "model.width"),
    ],
)
def test_another_configuration_is_refused_by_its_keys(values, keys, tmp_path, images):
    train(tiny(), images, tmp_path / "run")
    with pytest.raises(RunError, match=f"was begun with different values of {keys}: "):
        train(tiny(**values), images, tmp_path / "run")


def test_other_data_are_refused(tmp_path, images):
    train(tiny(), images, tmp_path / "run")
    with pytest.raises(RunError, match="was begun with different values of data: "):
        train(tiny(), synthetic(train=64, test=39, size=16), tmp_path / "run")


def test_an_allowed_change_is_made_and_recorded(tmp_path, images):
    train(tiny(), images, tmp_path / "run")
    before = RunFolder(tmp_path / "run").config(), RunFolder(tmp_path / "run").result()
    shown = train(tiny(machine__plan="lean"), images, tmp_path / "run", allow_change=["machine.plan"])
    assert (RunFolder(tmp_path / "run").config(), shown) == before  # nothing to do with another plan
    result = train(tiny(epochs=3), images, tmp_path / "run", allow_change=["epochs"])
    assert (result.epochs, result.changes) == (3, ["epochs"])
    assert [line["epoch"] for line in RunFolder(tmp_path / "run").history()] == [1, 2, 3]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 1}, "epochs must be at least the 2 already completed"),
        ({"model__width": 8}, "different values of model.width: choose another name$"),
        ({"data__train_images": 32}, "the number of steps per epoch cannot change within a run"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(values, message, tmp_path, images):
    train(tiny(), images, tmp_path / "run")
    keys = [name.replace("__", ".") for name in values]
    with pytest.raises(RunError, match=message):
        train(tiny(**values), images, tmp_path / "run", allow_change=keys)


def test_held_out_images_choose_the_epoch_and_the_test_set_does_not(tmp_path, images, monkeypatch):
    """Held-out images say 3, 5, 4, 5 of 24 right: the second epoch is the first of the best."""
    said, weights = iter([3, 5, 4, 5]), []

    def told(model, judges, *rest):
        if len(judges) == 40:  # the test set, at the end
            return evaluate(model, judges, *rest)
        weights.append(copy.deepcopy(model.state_dict()))
        right = next(said)
        return Score(torch.tensor([[right, 24 - right], [0, 0]]), 1.0)

    monkeypatch.setattr(pwoct.training.train, "evaluate", told)
    config = tiny(data__validation=24, epochs=4, batch=10)
    result = train(config, images, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert all("test_accuracy" not in line for line in run.history())
    assert (result.epoch, result.images) == (2, 40)
    assert result.chosen_by == "24 held-out training images"
    assert all(torch.equal(weights[1][name], value) for name, value in load_file(run.weights).items())
    assert not all(torch.equal(weights[3][name], value) for name, value in load_file(run.weights).items())


def test_a_full_disk_does_not_end_the_run(tmp_path, images, monkeypatch):
    """Later saves fail, all but the last: the run is finished and says what failed."""
    store, calls = pwoct.training.saver.store, []

    def full(folder, checkpoint, keep):
        calls.append(checkpoint.step)
        if checkpoint.step == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return store(folder, checkpoint, keep)

    monkeypatch.setattr(pwoct.training.saver, "store", full)
    told = Notes()
    result = train(tiny(), images, tmp_path / "run", reporter=told)
    assert calls == [0, 4, 8]
    assert result.failures == 1
    assert (
        "the checkpoint could not be written ([Errno 28] No space left on device); the run continues"
        in told.notes
    )
    assert RunFolder(tmp_path / "run").result() == result


def test_a_run_whose_last_checkpoint_failed_is_not_finished(tmp_path, images, monkeypatch):
    store = pwoct.training.saver.store

    def full(folder, checkpoint, keep):
        if checkpoint.step > 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return store(folder, checkpoint, keep)

    monkeypatch.setattr(pwoct.training.saver, "store", full)
    first = train(tiny(), images, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert first.failures == 1
    assert run.result() is None
    assert newest(run.checkpoints)[0].step == 4
    monkeypatch.undo()
    second = train(tiny(), images, tmp_path / "run")  # resumes from step 4
    assert second.failures == 0
    assert second.correct == first.correct


def test_no_room_at_the_start_is_said(tmp_path, images, monkeypatch):
    monkeypatch.setattr(pwoct.training.saver.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(CheckpointError, match=r"needs 339\.2 kB for checkpoints, free: 1\.0 kB"):
        train(tiny(), images, tmp_path / "run")


def test_two_processes_cannot_train_one_run(tmp_path, images):
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="is being trained by another process"):
            train(tiny(), images, tmp_path / "run")


def test_a_loss_that_is_not_finite_ends_the_run_and_is_not_saved(tmp_path, images, monkeypatch):
    update = Learner.update

    def overflow(self, x, labels, rate, step):
        loss, correct = update(self, x, labels, rate, step)
        return loss * (math.inf if step == 6 else 1), correct

    monkeypatch.setattr(Learner, "update", overflow)
    with pytest.raises(DivergedError, match=r"the loss is not finite after 8 steps; lower optimiser.lr"):
        train(tiny(), images, tmp_path / "run")
    assert newest(tmp_path / "run" / "checkpoints")[0].step == 4


def test_a_cut_line_of_metrics_is_repaired(tmp_path, images):
    train(tiny(), images, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    whole = run.metrics.read_text()
    run.metrics.write_text(whole[: len(whole) // 2 + 30])
    (tmp_path / "run" / "result.json").unlink()
    train(tiny(), images, tmp_path / "run")
    assert run.metrics.read_text() == whole
    assert [json.loads(line)["epoch"] for line in whole.splitlines()] == [1, 2]


def test_a_trial_touches_nothing(tmp_path, images):
    trial = try_out(tiny(), images, tmp_path / "run")
    assert trial.steps_per_epoch == 4  # 64 // 16
    assert trial.seconds_per_step > 0
    assert trial.minutes == pytest.approx(2 * 4 * trial.seconds_per_step / 60)
    assert list(tmp_path.iterdir()) == []


def test_frozen_pointwise_kernels_keep_their_first_values(tmp_path, images):
    config = tiny(model__alpha="1/2", model__paths="HL,LL", model__freeze_pointwise=True)
    first = Learner(config, 10, 3, Ranks()).model
    train(config, images, tmp_path / "run")
    last = load_file(RunFolder(tmp_path / "run").weights)
    frozen = {name for name, _ in first.named_parameters() if ".reduce." in name or ".expand." in name}
    assert frozen
    for name, value in first.named_parameters():
        assert torch.equal(last[name], value) == (name in frozen), name


def test_a_batch_larger_than_the_set_is_said(tmp_path, images):
    with pytest.raises(ConfigError, match="batch must be at most 64 images, got 65"):
        train(tiny(batch=65), images, tmp_path / "run")
