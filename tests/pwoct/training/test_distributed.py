"""Two processes that train one model, over gloo."""

import copy
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from pwoct.training.augment import Normalise
from pwoct.training.checkpoint import newest
from pwoct.training.config import compose
from pwoct.training.device import settle
from pwoct.training.distributed import Ranks
from pwoct.training.evaluation import Score, evaluate
from pwoct.training.inputs import Batches
from pwoct.training.learner import Learner
from pwoct.training.record import RunFolder
from pwoct.training.schedule import rate_factor
from pwoct.training.synthetic import synthetic
from tests.pwoct.networks import needs_compiler

TINY = {
    "model.name": "resnet8",
    "model.width": 4,
    "epochs": 2,
    "batch": 16,
    "label_smoothing": 0.0,
    "schedule.warmup": 1,
    "optimiser.name": "sgd",  # muon makes more of rounding errors
    "optimiser.rest_lr": None,
    "optimiser.lr": 0.05,
    "machine.threads": 1,
    "machine.precision": "fp32",
    "machine.plan": "reference",
}
STEPS = 8  # 2 epochs of 64 // 16


@pytest.fixture
def pair(train_begin, train_end):
    """Train with two ranks, each with a job of its own."""

    def run(folder: Path, *own: dict[str, Any], **values: Any) -> list[int]:
        # The meeting point is open before the ranks start: no port is guessed.
        store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        environment = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(store.port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "WORLD_SIZE": "2",
        }
        ranks = [
            train_begin(
                folder, environment={**environment, "RANK": str(rank)}, values={**TINY, **values}, **mine
            )
            for rank, mine in enumerate(own)
        ]
        return [train_end(rank) for rank in ranks]

    return run


def two_halves(config: Any) -> tuple[Learner, list[Score]]:
    """Train in one process that normalises the two half batches apart and averages their gradients."""
    images = synthetic(train=64, test=40, size=16)
    normalise = Normalise.fit(images.train, "channel")
    batches = Batches(config, images.train, normalise, Ranks())
    learner, scores = Learner(config, 10, 3, Ranks()), []
    for epoch in range(config.epochs):
        for step in range(len(batches)):
            x, labels = batches(epoch, step)
            other = copy.deepcopy(learner.model)  # its statistics are not kept: the first rank's are
            middle = config.batch // 2
            for model, half in ((learner.model, slice(middle)), (other, slice(middle, None))):
                cross_entropy(model(x[half]), labels[half]).backward()
            for mine, its in zip(learner.model.parameters(), other.parameters(), strict=True):
                mine.grad = (mine.grad + its.grad) / 2
            for group in learner.optimiser.param_groups:
                at = epoch * len(batches) + step
                group["lr"] = config.optimiser.lr * rate_factor(
                    config.schedule, at, len(batches), config.epochs
                )
            learner.optimiser.step()
            learner.optimiser.zero_grad()
        scores.append(evaluate(learner.model, images.test, normalise, config, 10, Ranks()))
    return learner, scores


@pytest.mark.parametrize(
    "values",
    [
        {},
        pytest.param(
            {"model.alpha": "1/2", "machine.plan": "blocked", "batch": 32}, marks=needs_compiler, id="blocked"
        ),
    ],
)
def test_two_ranks_equal_one_process_with_two_halves(values, pair, tmp_path):
    assert pair(tmp_path, {"dropout": 0.0}, {"dropout": 0.0}, **values) == [0, 0]
    learner, scores = two_halves(settle(compose("fast", values={**TINY, **values})))
    found = load_file(RunFolder(tmp_path).weights)
    for name, value in learner.model.state_dict().items():
        assert torch.allclose(found[name], value, rtol=1e-5, atol=1e-5), name
    history = RunFolder(tmp_path).history()
    assert [line["test_accuracy"] for line in history] == [score.accuracy for score in scores]
    # Only if both ranks evaluate with the first one's statistics.
    assert [line["test_loss"] for line in history] == pytest.approx(
        [score.loss for score in scores], rel=1e-5
    )
    assert RunFolder(tmp_path).result().images == 40


def test_two_ranks_with_dropout_stop_together_and_resume_to_the_same_bits(
    pair, tmp_path, difference, state_of
):
    """One of them is signalled; both leave with its code, at one step."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    job = {"dropout": 0.2}
    assert pair(whole, job, job) == [0, 0]
    signalled = {"signal_at": 5, "signal": signal.SIGTERM, **job}
    assert pair(stopped, job, signalled) == [143, 143]
    assert newest(stopped / "checkpoints")[0].step in (5, 6)
    assert pair(stopped, job, job) == [0, 0]
    assert difference(state_of(stopped), state_of(whole)) == []


def test_ranks_that_would_compute_differently_are_refused(pair, tmp_path):
    """As where one machine has a compiler and the other has none."""
    plans = ("reference", "lean")
    own = [{"values_too": {"machine.plan": plan}, "says": str(tmp_path / plan)} for plan in plans]
    assert pair(tmp_path / "run", *own) == [2, 2]
    for plan in plans:
        assert (tmp_path / plan).read_text() == (
            "all ranks must have the same configuration and data, but machine.plan is "
            "reference on rank 0, lean on rank 1: set it for all"
        )
    assert not (tmp_path / "run").exists()


def test_a_rank_that_is_killed_ends_the_other_in_one_line(pair, tmp_path):
    job = {"dropout": 0.0, "says": str(tmp_path / "said")}
    killed = {**job, "signal_at": 5, "signal": signal.SIGKILL}
    assert pair(tmp_path / "run", job, killed) == [1, -signal.SIGKILL]
    said = (tmp_path / "said").read_text()
    assert said == "another rank is gone, or cannot be reached: this one ends too"
    assert newest(tmp_path / "run" / "checkpoints")[0].step == 4
