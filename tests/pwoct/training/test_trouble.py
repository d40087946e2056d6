"""Disks that fail, losses that explode, folders that move, links that mislead: what a run makes of them."""

import errno
import os
import shutil

import pytest

import pwoct.training.checkpoint
import pwoct.training.saver
import pwoct.training.train
from pwoct.training.checkpoint import CheckpointError
from pwoct.training.examine import examine
from pwoct.training.learner import Learner
from pwoct.training.record import RunError, RunFolder
from pwoct.training.signals import Signals, StoppedError
from pwoct.training.train import train
from tests.pwoct.training.notes import Notes
from tests.pwoct.training.tiny import tiny


def no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# Writing


@pytest.mark.parametrize("part", ["_write", "_sync"])
def test_a_first_save_that_fails_is_an_error_at_once(part, tmp_path, images, monkeypatch):
    steps = []
    monkeypatch.setattr(Learner, "update", lambda *_: steps.append(1))
    original = getattr(pwoct.training.checkpoint, part)

    def failing(path, *rest):
        return no_space() if "checkpoints" in str(path) else original(path, *rest)

    monkeypatch.setattr(pwoct.training.checkpoint, part, failing)
    with pytest.raises(CheckpointError, match=r"the first checkpoint of .*run cannot be written: .*No space"):
        train(tiny(), images, tmp_path / "run")
    assert steps == []
    monkeypatch.undo()
    assert train(tiny(), images, tmp_path / "run").unwritten == []  # and nothing is in its way later


@pytest.mark.parametrize("name", ["weights", "result", "metrics"])
def test_what_fails_at_the_very_end_is_no_finished_run(name, tmp_path, images, monkeypatch, finished):
    """Whatever cannot be written last is written by the next call."""
    original = pwoct.training.checkpoint.write_atomically

    def failing(path, content):
        ends = {"weights": "weights.safetensors", "result": "result.json", "metrics": "metrics.jsonl"}
        if path.name == ends[name] and content:
            no_space()
        original(path, content)

    for module in (pwoct.training.saver, pwoct.training.record):
        monkeypatch.setattr(module, "write_atomically", failing)
    if name == "metrics":
        monkeypatch.setattr(RunFolder, "append_metrics", no_space)
    told = Notes()
    first = train(tiny(), images, tmp_path / "run", reporter=told)
    run = RunFolder(tmp_path / "run")
    assert first.unwritten == ([name] if name == "result" else [name, "result"])
    assert (
        f"the {name} could not be written ([Errno 28] No space left on device); the run is not finished"
        in told.notes
    )
    assert run.result() is None
    monkeypatch.undo()
    second = train(tiny(), images, tmp_path / "run")
    assert second.unwritten == []
    assert (second.correct, run.result()) == (first.correct, second)
    assert run.weights.read_bytes() == RunFolder(finished).weights.read_bytes()
    assert [line["epoch"] for line in run.history()] == [1, 2]


def test_one_passing_error_is_noted_and_forgotten(tmp_path, images, monkeypatch):
    appended, calls = RunFolder.append_metrics, []

    def failing_once(self, line):
        calls.append(1)
        return no_space() if len(calls) == 1 else appended(self, line)

    monkeypatch.setattr(RunFolder, "append_metrics", failing_once)
    result = train(tiny(), images, tmp_path / "run")
    assert (result.failures, result.unwritten) == (1, [])
    assert [line["epoch"] for line in RunFolder(tmp_path / "run").history()] == [1, 2]
    assert train(tiny(), images, tmp_path / "run").unwritten == []


def spoil_weights(run):
    run.weights.write_bytes(b"old")


def remove_weights(run):
    run.weights.unlink()


def cut_metrics(run):
    run.metrics.write_text(run.metrics.read_text().splitlines()[0] + "\n")


def spoil_metrics(run):
    run.metrics.write_text("no JSON\n")


@pytest.mark.parametrize("damage", [spoil_weights, remove_weights, cut_metrics, spoil_metrics])
def test_a_finished_run_that_lacks_something_is_completed(damage, run, images, finished):
    whole = RunFolder(finished)
    damage(run)
    faults = {spoil_weights: "does not match its result", remove_weights: "is missing"}
    if damage in faults:
        with pytest.raises(
            CheckpointError, match=rf"is finished, but weights\.safetensors {faults[damage]}: train it again"
        ):
            examine(run, images)
    result = train(tiny(), images, run.path)
    assert (result.accuracy, result.loss) == (whole.result().accuracy, whole.result().loss)
    assert run.weights.read_bytes() == whole.weights.read_bytes()
    assert run.history() == whole.history()
    damage(run)
    shutil.rmtree(run.checkpoints)
    with pytest.raises(
        CheckpointError, match=r"is finished, but .* and there is no checkpoint to restore it"
    ):
        train(tiny(), images, run.path)


def test_a_finished_run_without_checkpoints_is_still_shown(run, images):
    shutil.rmtree(run.checkpoints)
    assert train(tiny(), images, run.path) == run.result()


def test_a_stop_that_could_not_be_saved_says_so(tmp_path, images, monkeypatch):
    store = pwoct.training.saver.store

    def full(folder, checkpoint, keep):
        return no_space() if checkpoint.step else store(folder, checkpoint, keep)

    monkeypatch.setattr(pwoct.training.saver, "store", full)
    with Signals() as signals:
        stop = Notes(3, lambda: setattr(signals, "stop", 15))
        with pytest.raises(
            StoppedError,
            match=r"SIGTERM in epoch 1, after 3 steps, NOT saved: the newest checkpoint is of step 0",
        ):
            train(tiny(), images, tmp_path / "run", reporter=stop, signals=signals)


def test_a_stop_in_the_final_evaluation_is_not_lost(tmp_path, images, monkeypatch):
    evaluate, calls = pwoct.training.train.evaluate, []

    with Signals() as signals:

        def stopped(*arguments):
            calls.append(1)
            if len(calls) == 3:  # after those of two epochs
                signals.stop = 15
            return evaluate(*arguments)

        monkeypatch.setattr(pwoct.training.train, "evaluate", stopped)
        with pytest.raises(StoppedError, match="stopped by SIGTERM at the end of the run, which is finished"):
            train(tiny(), images, tmp_path / "run", signals=signals)
    assert RunFolder(tmp_path / "run").result().epoch == 2


# Places


@pytest.mark.parametrize("how", ["moved", "removed", "another in its place"])
def test_a_folder_that_went_away_ends_the_run(how, tmp_path, images):
    folder = tmp_path / "run"

    def go():
        folder.rename(tmp_path / "elsewhere")
        if how == "removed":
            shutil.rmtree(tmp_path / "elsewhere")
        if how == "another in its place":
            folder.mkdir()

    with pytest.raises(CheckpointError, match="run was moved or removed while it was trained"):
        train(tiny(), images, folder, reporter=Notes(2, go))
    assert not folder.exists() or list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "target"),
    [
        (".lock", "precious"),
        (".config.json.part", "precious"),
        (".environment.json.part", "precious"),
        (".metrics.jsonl.part", "precious"),
        (".weights.safetensors.part", "precious"),
        (".result.json.part", "precious"),
        ("config.json", "precious"),
        ("result.json", "missing"),
        ("weights.safetensors", "precious"),
    ],
)
def test_a_planted_link_reaches_no_other_file(name, target, tmp_path, images):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(tmp_path / target)
    if name == ".lock":
        with pytest.raises(RunError, match=r"\.lock cannot be used: "):
            train(tiny(), images, tmp_path / "run")
    else:
        assert train(tiny(), images, tmp_path / "run").unwritten == []
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "missing").exists()


def test_a_link_in_the_place_of_the_metrics_is_replaced(tmp_path, images):
    (tmp_path / "precious").write_text("")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").symlink_to(tmp_path / "precious")
    train(tiny(), images, tmp_path / "run")
    assert (tmp_path / "precious").read_text() == ""
    assert len(RunFolder(tmp_path / "run").history()) == 2


def test_a_lock_that_is_a_folder_and_runs_in_a_file_are_said(tmp_path, images):
    (tmp_path / "run" / ".lock").mkdir(parents=True)
    with pytest.raises(RunError, match=r"\.lock cannot be used: Is a directory"):
        train(tiny(), images, tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file/run cannot be used: Not a directory"):
        train(tiny(), images, tmp_path / "file" / "run")


def test_checkpoints_that_are_links_are_removed_and_not_what_they_lead_to(run, images, tmp_path):
    """One checkpoint was moved to another disk, and one of another run is linked in."""
    old = run.checkpoints / "step-0000000004"
    old.rename(tmp_path / "moved")
    old.symlink_to(tmp_path / "moved")
    result = train(tiny(epochs=3), images, run.path, allow_change=["epochs"])
    assert (result.epoch, result.failures, result.unwritten) == (3, 0, [])
    assert not old.is_symlink()
    assert {path.name for path in (tmp_path / "moved").iterdir()} >= {"model.safetensors"}
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["step-0000000008", "step-0000000012"]


def test_bytes_in_a_readable_unit():
    assert [pwoct.training.saver._size(count) for count in (999_900, 1_000_000)] == ["999.9 kB", "1.0 MB"]
