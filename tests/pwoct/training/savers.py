"""Savers of a run, and what a training does between two of their checkpoints."""

import torch

from pwoct.training.distributed import Ranks
from pwoct.training.learner import Learner
from pwoct.training.progress import Progress
from pwoct.training.record import RunFolder
from pwoct.training.saver import Keeping, Saver
from tests.pwoct.training.notes import Notes
from tests.pwoct.training.tiny import tiny

STEPS = 4  # per epoch
INPUTS = {"classes": ["a"], "shape": [1, 1, 1], "mean": [0.0], "scale": [1.0]}


def saver_of(folder, config=None, **keeping):
    """One process's saver of the run in a folder."""
    config = config or tiny()
    run, learner = RunFolder(folder), Learner(config, 10, 3, Ranks())
    run.path.mkdir(exist_ok=True)
    progress = Progress.on(torch.device("cpu"), STEPS)
    return Saver(config, "data", run, Ranks(), Notes(), learner, progress, Keeping(**keeping), INPUTS)


def go_on(saver, steps):
    for step in range(steps):
        saver.learner.update(torch.randn(4, 3, 16, 16), torch.arange(4), 0.01, step)
        saver.progress.add(torch.tensor(2.0), torch.tensor(3), 16, 0.5)


def close_epoch(saver):
    numbers = ("rate", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "images_per_second")
    counted = {"epoch": saver.progress.epoch + 1, "step": saver.progress.steps}
    times = {"seconds": 90.0, "evaluation_seconds": 30.0}
    saver.progress.next_epoch({**counted, **dict.fromkeys(numbers, 0.5), **times})


def stored(saver):
    return sorted(path.name for path in saver.run.checkpoints.iterdir())
