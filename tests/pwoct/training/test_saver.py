"""What a saver writes when, what it reads again, and what it says where it cannot."""

import errno
import json
import re
import shutil
from types import SimpleNamespace

import pytest
import torch

from pwoct.training import saver as saver_module
from pwoct.training.checkpoint import CheckpointError, newest, read
from pwoct.training.distributed import Ranks
from pwoct.training.evaluation import Score
from pwoct.training.record import RunError, RunFolder
from pwoct.training.saver import DivergedError
from tests.pwoct.training.savers import STEPS, close_epoch, go_on, stored
from tests.pwoct.training.tiny import tiny


def test_it_is_due_after_its_minutes(saver, monkeypatch):
    now = SimpleNamespace(value=1000.0)
    monkeypatch.setattr(saver_module, "time", SimpleNamespace(monotonic=lambda: now.value))
    mine = saver(minutes=2)
    for now.value, due in ((1119.9, False), (1120.0, True)):
        assert mine.due() == due
    mine.resume()
    assert not mine.due()


def test_a_run_begins_with_a_checkpoint_and_resumes_from_its_newest(saver):
    one = saver(keep=3)
    one.resume()
    go_on(one, 3)
    one.save()
    one.save()  # there is one already
    assert stored(one) == ["step-0000000000", "step-0000000003"]
    other = saver(keep=3)
    other.resume()
    assert torch.equal(other.learner.model.fc.bias, one.learner.model.fc.bias)
    assert (other.progress.step, other.progress.images, other.progress.seconds) == (3, 48, 1.5)
    assert other.progress.totals.tolist() == [96, 9]
    assert other.saved_step == 3
    assert other.reporter.notes == ["resumed in epoch 1, after 3 steps"]
    first, second = other.run.sessions()
    assert first["instructions"] == second["instructions"] == torch.backends.cpu.get_cpu_capability()
    assert newest(one.run.checkpoints)[0].state["config"] == json.loads(one.config.model_dump_json())


def test_chosen_weights_are_resumed(saver):
    config = tiny(data__validation=16)
    one, other = saver(config), saver(config)
    one.resume()
    go_on(one, STEPS)
    one.choose(one.learner.model)
    close_epoch(one)
    go_on(one, 1)
    one.save()
    other.resume()
    assert other.chosen.keys() == one.learner.model.state_dict().keys()
    assert all(torch.equal(other.chosen[name], value) for name, value in one.chosen.items())
    assert not torch.equal(other.chosen["fc.bias"], other.learner.model.fc.bias)


def test_an_earlier_step_is_resumed_and_later_ones_are_set_aside(saver):
    one = saver(keep=3)
    one.resume()
    go_on(one, 2)
    one.save()
    other = saver(keep=3, from_step=0)
    other.resume()
    assert other.progress.steps == 0
    assert {path.name for path in other.run.checkpoints.iterdir()} == {
        "step-0000000000",
        "left-step-0000000002",
    }


def test_a_damaged_checkpoint_is_said_and_set_aside(saver):
    one = saver()
    one.resume()
    go_on(one, 2)
    one.save()
    (one.run.checkpoints / "step-0000000002" / "state.json").write_text("{}")
    other = saver()
    other.resume()
    assert other.reporter.notes[0].startswith("a damaged checkpoint is skipped: ")
    assert stored(other) == ["damaged-step-0000000002", "step-0000000000"]


def test_metrics_without_checkpoints_are_an_error(saver):
    one = saver()
    one.resume()
    go_on(one, STEPS)
    close_epoch(one)
    one.append(one.progress.history[0])
    shutil.rmtree(one.run.checkpoints)
    with pytest.raises(CheckpointError, match="has metrics, but its checkpoints were removed"):
        saver().resume()


def test_ranks_must_see_the_same_checkpoints(saver, monkeypatch):
    """This one sees none, the other one that of the first step."""
    monkeypatch.setattr(Ranks, "most", lambda _, values: [max(values[0], -1), max(values[1], 1)])
    with pytest.raises(CheckpointError, match="ranks see different checkpoints"):
        saver().resume()


@pytest.mark.parametrize("what", ["loss", "weight", "average"])
def test_what_is_not_finite_is_not_saved(what, saver):
    one = saver(tiny(ema=0.9))
    one.resume()
    go_on(one, 1)
    with torch.no_grad():
        if what == "loss":
            one.progress.totals[0] = float("nan")
        else:
            (one.learner.model if what == "weight" else one.learner.evaluated).fc.weight[0, 0] = float("inf")
    message = "the loss is not finite" if what == "loss" else r"the weights are \(fc.weight\) not finite"
    with pytest.raises(DivergedError, match=f"{message} after 1 steps; lower .*those of step 0 are kept"):
        one.save()


@pytest.mark.parametrize("loss", [-1e6, 1e6, float("nan")])
def test_a_loss_beyond_all_bounds(loss, saver):
    one = saver()
    one.resume()
    one.check_loss(999_999.0)
    with pytest.raises(DivergedError, match=re.escape(f"the loss is {loss:.3g} after 0 steps; lower")):
        one.check_loss(loss)


def test_a_full_disk_is_told_and_the_run_goes_on_but_not_at_its_beginning(saver, monkeypatch):
    one = saver()
    one.resume()
    go_on(one, 1)

    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(saver_module, "store", full)
    one.save()
    assert one.reporter.notes == ["the checkpoint could not be written ([Errno 28] full); the run continues"]
    assert (one.saved_step, one.failures) == (0, 1)
    assert one._write_end(b"", None) == ["checkpoint", "weights", "result"]
    shutil.rmtree(one.run.path)
    with pytest.raises(CheckpointError, match=r"the first checkpoint of .*run cannot be written: .* full"):
        saver().resume()
    shutil.rmtree(one.run.path)
    monkeypatch.setattr(RunFolder, "write_config", full)
    other = saver()
    with pytest.raises(CheckpointError, match=r"run cannot be written: \[Errno 28\] full"):
        other.resume()
    assert other.reporter.notes == ["the record could not be written ([Errno 28] full); the run cannot begin"]


@pytest.mark.parametrize("keep", [1, 3])
def test_the_space_for_all_checkpoints_is_asked_for(keep, saver, monkeypatch):
    """Weights, momentum, average and chosen weights, for those kept, a new one and one more."""
    one = saver(keep=keep)
    size = sum(value.numel() * value.element_size() for value in one.learner.model.state_dict().values())
    needed = (keep + 2) * 4 * size
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=needed - 1))
    with pytest.raises(CheckpointError, match=f"needs {saver_module._size(needed)} for checkpoints, free: "):
        one.resume()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=needed))
    one.resume()


def test_what_cannot_change_within_a_run(saver):
    one = saver()
    one.resume()
    with pytest.raises(RunError, match="different values of label_smoothing"):
        saver(tiny(label_smoothing=0.5)).resume()
    other = saver()
    other.progress.steps_per_epoch = STEPS + 1
    with pytest.raises(RunError, match="the number of steps per epoch cannot change within a run"):
        other.resume()
    for _ in range(2):
        go_on(one, STEPS)
        close_epoch(one)
    one.save()
    saver(tiny(epochs=2)).resume(["epochs"])
    with pytest.raises(RunError, match="epochs must be at least the 2 already completed"):
        saver(tiny(epochs=1)).resume(["epochs"])


def test_a_run_ends_with_its_result(saver):
    one = saver()
    one.resume()
    for _ in range(2):
        go_on(one, STEPS)
        close_epoch(one)
    one.save()
    score = Score(torch.tensor([[3, 1], [0, 4]]), 0.5)
    result = one.finish(one.learner.model, score, 2, "last epoch")
    assert (result.accuracy, result.correct, result.images, result.loss) == (7 / 8, 7, 8, 0.5)
    assert (result.minutes, result.epoch, result.epochs, result.failures) == (4.0, 2, 2, 0)
    assert result.unwritten == []
    assert result.parameters == sum(p.numel() for p in one.learner.model.parameters())
    assert one.run.result() == result
    assert one.run.incomplete(result) is None
    assert [line["epoch"] for line in one.run.history()] == [1, 2]


@pytest.mark.parametrize("what", ["metrics", "weights", "result"])
def test_an_end_that_cannot_be_written_is_no_end(what, saver, monkeypatch):
    one = saver()
    one.resume()
    go_on(one, STEPS)
    close_epoch(one)
    one.save()

    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    names = {"metrics": "complete_metrics", "result": "write_result"}
    if what == "weights":
        monkeypatch.setattr(saver_module, "write_atomically", full)
    else:
        monkeypatch.setattr(RunFolder, names[what], full)
    result = one.finish(one.learner.model, Score(torch.eye(2), 0.5), 1, "last epoch")
    assert result.unwritten == ([what] if what == "result" else [what, "result"])
    assert result.failures == 1
    said = f"the {what} could not be written ([Errno 28] full); the run is not finished"
    assert one.reporter.notes == [said]
    assert one.run.result() is None


def test_a_run_whose_folder_was_replaced_is_not_written_into(saver):
    one = saver()
    with one.run.locked():
        one.resume()
        go_on(one, 1)
        one.run.path.rename(one.run.path.with_name("elsewhere"))
        one.run.path.mkdir()
        with pytest.raises(CheckpointError, match="was moved or removed while it was trained"):
            one.save()


def test_as_many_checkpoints_stay_as_are_kept(saver):
    one = saver(keep=1)
    one.resume()
    go_on(one, 1)
    one.save()
    (left,) = one.run.checkpoints.iterdir()
    assert read(left).step == 1
