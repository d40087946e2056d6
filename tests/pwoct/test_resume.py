"""Stopped, killed or crashed anywhere, and resumed in a fresh process: the same bits as never stopped."""

import signal
from itertools import count
from pathlib import Path

import pytest

from pwoct.training.checkpoint import CheckpointError, newest

STEPS = 12  # of the job: 3 epochs of 4
STOPS = {
    "at once": 0,
    "after a step": 1,
    "within an epoch": 6,
    "at the end of an epoch": 8,
    "before the last": 11,
}
VARIANTS = {
    "fp32": {},
    "bf16": {"machine.precision": "bf16"},
    "fp32, average": {"ema": 0.9},
    "bf16, average, Adam": {
        "machine.precision": "bf16",
        "ema": 0.9,
        "optimiser.name": "adam",
        "optimiser.lr": 1e-3,
        "optimiser.rest_lr": None,
        "optimiser.momentum": 0.0,
        "optimiser.nesterov": False,
    },
    "held out": {"data.validation": 16, "batch": 12},
    "reference plan": {"model.alpha": "1/2", "machine.plan": "reference"},
    "octave": {"model.alpha": "1/2", "model.paths": "HL,LL", "model.between": "bn", "machine.plan": "lean"},
    "blocked plan": {"model.alpha": "1/2", "machine.plan": "blocked"},
    "blocked plan, bf16": {
        "model.alpha": "1/4",
        "machine.plan": "blocked",
        "machine.precision": "bf16",
        "ema": 0.9,
    },
}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_stopped_and_resumed_is_never_stopped(
    variant, stop, tmp_path, train_run, state_of, uninterrupted, difference
):
    job = {"values": variant}
    if variant.get("machine.plan") == "blocked":
        job["dropout"] = 0.0  # the plan takes networks exactly as `pwoct` builds them
    whole = uninterrupted(**job)
    assert train_run(tmp_path, **job, signal_at=stop, signal=signal.SIGTERM) == 128 + signal.SIGTERM
    assert newest(tmp_path / "checkpoints")[0].step == stop
    assert train_run(tmp_path, **job) == 0
    assert difference(state_of(tmp_path), whole) == []


@pytest.mark.parametrize(
    ("part", "stop", "seen_in"),
    [
        ("optimiser", 6, "model fc.1.weight"),
        ("random", 6, "model fc.1.weight"),
        ("average", 6, "training average.fc.1.weight"),
        ("epoch", 6, "model fc.1.weight"),
    ],
)
def test_the_comparison_fails_if_a_part_is_forgotten(
    part, stop, seen_in, tmp_path, train_run, state_of, uninterrupted, difference
):
    values = {"ema": 0.9}
    assert train_run(tmp_path, values=values, signal_at=stop, signal=signal.SIGTERM) == 143
    assert train_run(tmp_path, values=values, **{"break": part}) == 0
    assert seen_in in difference(state_of(tmp_path), uninterrupted(values=values))


def test_interrupt_ends_with_130(tmp_path, train_run):
    assert train_run(tmp_path, signal_at=2, signal=signal.SIGINT) == 130
    assert newest(tmp_path / "checkpoints")[0].step == 2


def test_user_signal_saves_and_goes_on(tmp_path, train_run, state_of, uninterrupted, difference):
    assert train_run(tmp_path, signal_at=10, signal=signal.SIGUSR1) == 0
    # The newest two: the end, and the one asked for in the middle of the last epoch.
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-0000000010",
        "step-0000000012",
    ]
    assert difference(state_of(tmp_path), uninterrupted()) == []


def test_killed_at_twenty_random_moments(tmp_path, train_run, state_of, uninterrupted, difference):
    # 96 steps, a checkpoint after each: many kills fall within a save. Each process makes 2 to 4 steps.
    long = {"images": 512, "minutes": 0.0}
    for kill in range(20):
        code = train_run(tmp_path, **long, kill_after=2, **{"while": 0.03})
        assert code == -signal.SIGKILL
        assert newest(tmp_path / "checkpoints")[0].step > kill
    assert train_run(tmp_path, **long) == 0
    assert difference(state_of(tmp_path), uninterrupted(**long)) == []


def test_killed_before_every_operation_of_a_save(tmp_path, train_run, state_of, uninterrupted, difference):
    """The fourth save, as it also prunes."""
    stages = 0
    for stage in count():
        folder = tmp_path / str(stage)
        code = train_run(folder, stage=stage, save=4, minutes=0.0)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        stages += 1
        found, _ = newest(folder / "checkpoints")
        assert found.step in (2, 3)
        assert train_run(folder, minutes=0.0) == 0
        assert difference(state_of(folder), uninterrupted(minutes=0.0)) == []
    assert (
        stages >= 9
    )  # mkdir twice, three files, the manifest, two folders forced to disk, rename, one pruned


@pytest.mark.parametrize("save", [1, 2])
def test_killed_within_the_first_saves(save, tmp_path, train_run, state_of, uninterrupted, difference):
    assert train_run(tmp_path, stage=4, save=save, minutes=0.0) == -signal.SIGKILL
    assert train_run(tmp_path, minutes=0.0) == 0
    assert difference(state_of(tmp_path), uninterrupted(minutes=0.0)) == []


def test_a_damaged_checkpoint_is_passed_over(tmp_path, train_run, state_of, uninterrupted, difference):
    assert train_run(tmp_path, signal_at=6, signal=signal.SIGTERM) == 143
    flip_a_bit(tmp_path / "checkpoints" / "step-0000000006" / "training.safetensors")
    assert train_run(tmp_path) == 0
    assert difference(state_of(tmp_path), uninterrupted()) == []
    assert (tmp_path / "checkpoints" / "damaged-step-0000000006").is_dir()


def test_without_a_good_checkpoint_nothing_is_trained(tmp_path, train_run):
    assert train_run(tmp_path, signal_at=6, signal=signal.SIGTERM) == 143
    for path in (tmp_path / "checkpoints").glob("step-*"):
        flip_a_bit(path / "model.safetensors")
    assert train_run(tmp_path) == 5
    with pytest.raises(CheckpointError, match="no good checkpoint is left"):
        newest(tmp_path / "checkpoints")


def test_removed_checkpoints_are_no_fresh_start(tmp_path, train_run):
    assert train_run(tmp_path, signal_at=6, signal=signal.SIGTERM) == 143
    for path in sorted((tmp_path / "checkpoints").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert train_run(tmp_path) == 5


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
