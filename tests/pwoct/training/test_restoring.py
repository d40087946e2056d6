"""Checkpoints whose sums are right and whose content is wrong: each is named, none is gone on from."""

import copy
import json
import shutil

import pytest
import torch

from pwoct.training.checkpoint import Checkpoint, CheckpointError, newest, store
from pwoct.training.distributed import Ranks
from pwoct.training.learner import Learner
from pwoct.training.record import DamagedError, RunFolder
from pwoct.training.train import train
from tests.pwoct.training.tiny import SGD, tiny


@pytest.fixture(scope="module")
def begun(tmp_path_factory, images):
    """A run that stands in its second epoch, with an average."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    train(tiny(ema=0.9), images, folder)
    (folder / "result.json").unlink()
    shutil.rmtree(folder / "checkpoints" / "step-0000000008")
    return folder


@pytest.fixture
def rewrite(begun, tmp_path):
    """Replace the only checkpoint by one that was changed, with sums that are right, and return the run."""

    def rewritten(change):
        shutil.copytree(begun, tmp_path / "run")
        run = RunFolder(tmp_path / "run")
        found = copy.deepcopy(newest(run.checkpoints)[0])
        shutil.rmtree(run.checkpoints)
        store(run.checkpoints, change(found) or found)
        return run

    return rewritten


def without(part, key):
    def change(checkpoint):
        del getattr(checkpoint, part)[key]

    return change


def no_history(checkpoint):
    del checkpoint.state["progress"]["history"]


def with_progress(**values):
    return lambda checkpoint: checkpoint.state["progress"].update(values)


def another_shape(checkpoint):
    checkpoint.model["fc.bias"] = torch.zeros(11)


def another_type(checkpoint):
    checkpoint.model["fc.bias"] = torch.zeros(10, dtype=torch.int64)


def no_momentum(checkpoint):
    for name in [name for name in checkpoint.training if name.startswith("optimiser.")]:
        del checkpoint.training[name]


def one_more(checkpoint):
    checkpoint.training["optimiser.999.momentum_buffer"] = torch.zeros(1)


def another_step(checkpoint):
    return Checkpoint(5, checkpoint.model, checkpoint.training, checkpoint.state)


def text_in_the_history(checkpoint):
    checkpoint.state["progress"]["history"][0]["seconds"] = "long"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("state", "config"), "config is missing"),
        (without("state", "data"), "data is missing"),
        (without("state", "progress"), "progress is missing"),
        (no_history, "history is missing"),
        (lambda c: c.state.update(config={"epochs": 1}), "recipe is missing"),
        (lambda c: c.state.update(data=7), "data must be a text"),
        (lambda c: c.state.update(progress=[]), "it must be an object with keys, got \\[\\]"),
        (with_progress(step=4), "step 4 of an epoch of 4"),
        (with_progress(step=-1), "step must be greater than or equal to 0, got -1"),
        (with_progress(steps_per_epoch=0), "steps_per_epoch must be greater than or equal to 1, got 0"),
        (with_progress(epoch="1"), "epoch must be a valid integer, got '1'"),
        (with_progress(epoch=2), "epoch 2 and step 0 are not step 4 of the run"),
        (with_progress(seconds=float("nan")), "seconds must be a finite number"),
        (with_progress(history=[]), "0 epochs in the history, not 1"),
        (text_in_the_history, "seconds must be a valid number, got 'long'"),
        (another_step, "epoch 1 and step 0 are not step 5 of the run"),
        (without("model", "fc.bias"), "no tensor model fc.bias"),
        (another_shape, r"tensor model fc.bias is \(11,\) torch.float32, not \(10,\) torch.float32"),
        (another_type, r"tensor model fc.bias is \(10,\) torch.int64, not \(10,\) torch.float32"),
        (no_momentum, r"no tensor training optimiser.0.momentum_buffer"),
        (
            without("training", "optimiser.3.momentum_buffer"),
            "no tensor training optimiser.3.momentum_buffer",
        ),
        (without("training", "average.fc.bias"), "no tensor training average.fc.bias"),
        (without("training", "random.0"), "no tensor training random.0"),
        (without("training", "totals.0"), "no tensor training totals.0"),
        (one_more, "unknown tensor training optimiser.999.momentum_buffer"),
    ],
)
def test_wrong_content_under_a_right_sum_is_named(change, message, rewrite, images):
    run = rewrite(change)
    step = newest(run.checkpoints)[0].step
    with pytest.raises(CheckpointError, match=f"the checkpoint of step {step} is invalid: .*{message}"):
        train(tiny(ema=0.9), images, run.path)


def test_without_a_change_it_goes_on(rewrite, images):
    assert train(tiny(ema=0.9), images, rewrite(lambda _: None).path).epoch == 2


ADAM = {
    "optimiser__name": "adam",
    "optimiser__rest_lr": None,
    "optimiser__momentum": 0.0,
    "optimiser__nesterov": False,
}
NETWORKS = [
    {"model__alpha": "0"},
    {"model__alpha": "1/2", "model__paths": "HL,LL"},
    {"model__alpha": "1"},
    {"model__alpha": "1/4", "model__paths": "HH,HL,LH,LL", "model__freeze_pointwise": True},
]


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@pytest.mark.parametrize(
    "optimiser",
    [{}, SGD, {**SGD, "optimiser__momentum": 0.0, "optimiser__nesterov": False}, ADAM],
    ids=["muon", "momentum", "plain", "adam"],
)
def test_what_a_checkpoint_must_hold_is_what_is_written(optimiser, network, tmp_path, images):
    """For every optimiser, and for networks with frozen kernels or a single branch."""
    config = tiny(epochs=1, batch=32, **optimiser, **network)
    train(config, images, tmp_path / "run")
    again = train(config.model_copy(update={"epochs": 2}), images, tmp_path / "run", allow_change=["epochs"])
    assert again.epoch == 2


def test_every_rank_draws_numbers_of_its_own():
    """Ranks begin with equal weights, and then drop other activations out."""
    learners = [Learner(tiny(seed=3), 10, 3, Ranks(rank, 1)) for rank in (0, 1)]
    assert torch.equal(learners[0].model.fc.weight, learners[1].model.fc.weight)
    for rank in (0, 1):
        state = Learner(tiny(seed=3), 10, 3, Ranks(rank, 1)).random_state()
        assert torch.equal(state, torch.Generator().manual_seed(3 + 1 + rank).get_state())


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("environment.json", '{"sessions": []}', "it must have sessions"),
        ("environment.json", "[]", "it must have sessions"),
        ("environment.json", '{"sessions": [3]}', "it must be an object with keys, got 3"),
        ("environment.json", '{"sessions": [{"started": 7}]}', "started must be a valid string, got 7"),
        ("environment.json", "[" * 100_000, "nested too deeply"),
        ("config.json", "[" * 100_000, "nested too deeply"),
    ],
)
def test_records_that_hold_something_else_are_damaged(file, content, why, begun, tmp_path):
    shutil.copytree(begun, tmp_path / "run")
    (tmp_path / "run" / file).write_text(content)
    run = RunFolder(tmp_path / "run")
    with pytest.raises(DamagedError, match=f"(?i){file} is damaged: .*{why}"):
        run.sessions() if file == "environment.json" else run.config()


@pytest.mark.parametrize("key", ["accuracy", "loss", "minutes", "images", "epoch", "config", "changes"])
def test_a_result_with_a_text_for_a_number_is_damaged(key, images, tmp_path):
    train(tiny(epochs=1), images, tmp_path / "run")
    file = tmp_path / "run" / "result.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), key: "some"}))
    with pytest.raises(DamagedError, match=f"result.json is damaged: {key} must be .*, got 'some'"):
        RunFolder(tmp_path / "run").result()


def test_a_result_of_an_earlier_version_is_read(images, tmp_path):
    train(tiny(epochs=1), images, tmp_path / "run")
    file = tmp_path / "run" / "result.json"
    values = json.loads(file.read_text())
    file.write_text(json.dumps({k: v for k, v in values.items() if k not in ("weights_sha256", "unwritten")}))
    assert RunFolder(tmp_path / "run").result().weights_sha256 is None
    assert train(tiny(epochs=1), images, tmp_path / "run").epoch == 1
