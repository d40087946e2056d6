"""Small checkpoints."""

from pathlib import Path

import torch

from pwoct.training.checkpoint import MANIFEST, STATE, TRAINING, WEIGHTS, Checkpoint, store

FILES = (WEIGHTS, TRAINING, STATE, MANIFEST)


def made(step: int) -> Checkpoint:
    return Checkpoint(
        step,
        {"weight": torch.full((2, 3), float(step)), "count": torch.tensor(step)},
        {"momentum": torch.full((4,), step, dtype=torch.bfloat16)},
        {"config": {"seed": 0}, "rate": 0.1 + step},
    )


def steps(folder: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in folder.glob("step-*"))


def two_in(folder: Path) -> Path:
    """Store the checkpoints of steps 10 and 20."""
    for step in (10, 20):
        store(folder, made(step))
    return folder
