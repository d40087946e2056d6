"""Trainings in fresh processes, and the comparison of where they end."""

import multiprocessing
import runpy
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from pwoct.training.checkpoint import newest
from pwoct.training.record import RunFolder

JOB = Path(__file__).with_name("training_job.py")
# Metrics that depend on the clock and not on the run.
CLOCK = ("seconds", "evaluation_seconds", "images_per_second")
PATIENCE = 300  # seconds, far beyond what a job takes: a test hangs only so long

# A server that has done nothing but import: its children are as fresh as new interpreters, only quicker.
# torch loads torch._dynamo at the first optimiser, which takes longer than a whole job.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    ["pwoct.training.train", "pwoct.training.synthetic", "torch._dynamo", "pytest"]
)


def begin(folder: Path, **job: Any) -> ForkServerProcess:
    """Start a training in a process of its own."""
    globals_ = {"JOB": {"folder": str(folder), **job}}
    process = processes.Process(target=runpy.run_path, args=(str(JOB),), kwargs={"init_globals": globals_})
    process.start()
    return process


def end(process: ForkServerProcess) -> int:
    """Wait for a process, and return its exit code; negative for a signal that killed it."""
    process.join(PATIENCE)
    code = process.exitcode
    process.kill()  # does nothing to one that has ended
    assert code is not None, "the process did not end"
    return code


def run(folder: Path, **job: Any) -> int:
    """Train in a process of its own, and return its exit code."""
    return end(begin(folder, **job))


def end_state(folder: Path) -> dict[str, Any]:
    """Return all that must not depend on interruptions: every tensor and number but for the clock."""
    record = RunFolder(folder)
    checkpoint, skipped = newest(record.checkpoints)
    result = record.result()
    assert checkpoint is not None
    assert result is not None
    assert not skipped
    progress = checkpoint.state["progress"]
    tensors = {f"model {name}": value for name, value in checkpoint.model.items()}
    tensors |= {f"training {name}": value for name, value in checkpoint.training.items()}
    return {
        **{
            name: (str(value.dtype), value.flatten().view(torch.uint8).tolist())
            for name, value in tensors.items()
        },
        "weights": record.weights.read_bytes(),
        "position": (checkpoint.step, progress["epoch"], progress["step"]),
        "checkpoint's history": [without_clock(line) for line in progress["history"]],
        "metrics": [without_clock(line) for line in record.history()],
        "result": (result.accuracy, result.correct, result.loss, result.epoch),
    }


def without_clock(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name not in CLOCK}


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return the names of what differs; an empty list, if nothing does."""
    return [name for name in one | other if one.get(name) != other.get(name)]


@pytest.fixture(scope="session")
def train_run() -> Callable[..., int]:
    return run


@pytest.fixture(scope="session")
def train_begin() -> Callable[..., ForkServerProcess]:
    return begin


@pytest.fixture(scope="session")
def train_end() -> Callable[..., int]:
    return end


@pytest.fixture(scope="session")
def state_of() -> Callable[[Path], dict[str, Any]]:
    return end_state


@pytest.fixture(scope="session")
def difference() -> Callable[..., list[str]]:
    return differing


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Where a training ends that was never stopped; each is made once."""
    made: dict[str, dict[str, Any]] = {}

    def state(**job: Any) -> dict[str, Any]:
        key = repr(sorted(job.items()))
        if key not in made:
            folder = tmp_path_factory.mktemp("uninterrupted")
            assert run(folder, **job) == 0
            made[key] = end_state(folder)
        return made[key]

    return state


@pytest.fixture
def one_thread():
    """Threads that wait for each other are slow where other tests have the processors."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
