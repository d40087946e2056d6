"""One training in a process of its own, started by `processes.start`, which puts `JOB` into the globals.

The network has dropout, so that random numbers matter. JOB may stop or kill the process at a moment, and may
break a part of the resumption on purpose.
"""

import os
import random
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from torch import Tensor, nn

import pwoct.training.checkpoint
import pwoct.training.learner
import pwoct.training.train
from pwoct.training.checkpoint import CheckpointError
from pwoct.training.config import ConfigError, compose
from pwoct.training.distributed import LostRanksError
from pwoct.training.learner import Learner
from pwoct.training.progress import Progress
from pwoct.training.signals import StoppedError
from pwoct.training.synthetic import synthetic

JOB: dict[str, Any] = globals().get("JOB", {})

TINY = {
    "model.name": "resnet8",
    "model.width": 4,
    "epochs": 3,
    "batch": 16,
    "schedule.warmup": 1,
    "machine.threads": 1,
    "machine.precision": "fp32",
}


def with_dropout(*arguments: Any) -> nn.Module:
    model: Any = build_model(*arguments)
    if JOB.get("dropout", 0.2):
        model.fc = nn.Sequential(nn.Dropout(JOB.get("dropout", 0.2)), model.fc)
    return model  # type: ignore[no-any-return]


build_model = pwoct.training.learner.build_model


class Watch:
    """Sends the signals that the job asks for: at a step, or a random while after some steps."""

    def started(self, progress: Progress, config: Any) -> None:
        self.first = progress.steps
        self.at(progress)

    def stepped(self, progress: Progress) -> None:
        self.at(progress)

    def evaluated(self, metrics: dict[str, Any]) -> None:
        pass

    def note(self, message: str) -> None:
        print(message, file=sys.stderr)

    def at(self, progress: Progress) -> None:
        if progress.steps == JOB.get("signal_at"):
            os.kill(os.getpid(), JOB["signal"])
        if "kill_after" in JOB:
            self.kill(progress.steps - self.first, random.Random(progress.steps).uniform(0, JOB["while"]))

    def kill(self, done: int, seconds: float) -> None:
        if done == JOB["kill_after"]:
            self.timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
            self.timer.start()
        if done == JOB["kill_after"] + 2:
            self.timer.join()  # however fast the machine is, it gets no further than this


def kill_in_save(stage: int, save: int) -> None:
    """Kill this process before the `stage`-th operation on the disk within the `save`-th save."""
    operations = {"left": -1}
    saves = {"left": save}

    def counted(name: str, owner: Any) -> None:
        original = getattr(owner, name)

        def replaced(*arguments: Any, **options: Any) -> Any:
            if operations["left"] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            operations["left"] -= 1
            return original(*arguments, **options)

        setattr(owner, name, replaced)

    store = pwoct.training.checkpoint.store

    def watched_store(*arguments: Any) -> Path:
        saves["left"] -= 1
        operations["left"] = stage if saves["left"] == 0 else -1
        try:
            return store(*arguments)
        finally:
            operations["left"] = -1

    counted("_write", pwoct.training.checkpoint)
    counted("_sync", pwoct.training.checkpoint)
    counted("mkdir", Path)
    counted("rename", Path)
    counted("rmtree", pwoct.training.checkpoint.shutil)
    pwoct.training.train.Saver.save.__globals__["store"] = watched_store


def break_on_purpose(part: str) -> None:
    """Let the resumption forget one thing."""
    restore = Learner.restore
    if part == "optimiser":

        def forget(self: Learner, model: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
            restore(self, model, {k: v for k, v in tensors.items() if not k.startswith("optimiser.")})

        Learner.restore = forget  # type: ignore[method-assign]
    elif part == "average":

        def keep_average(self: Learner, model: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
            assert self.average is not None
            before = {k: v.clone() for k, v in self.average.model.state_dict().items()}
            restore(self, model, tensors)
            self.average.model.load_state_dict(before)

        Learner.restore = keep_average  # type: ignore[method-assign]
    elif part == "random":
        Learner.set_random_state = lambda self, state: None  # type: ignore[method-assign]
    elif part == "epoch":
        take_back = Progress.restore

        def wrong_epoch(self: Progress, given: dict[str, Any], totals: Tensor | None) -> None:
            take_back(self, {**given, "epoch": given["epoch"] - 1}, totals)

        Progress.restore = wrong_epoch  # type: ignore[method-assign]


def main() -> int:
    os.environ.update(JOB.get("environment", {}))
    pwoct.training.learner.build_model = with_dropout
    if "stage" in JOB:
        kill_in_save(JOB["stage"], JOB["save"])
    if "break" in JOB:
        break_on_purpose(JOB["break"])
    config = compose("fast", values={**TINY, **JOB.get("values", {}), **JOB.get("values_too", {})})
    images = synthetic(train=JOB.get("images", 64), test=40, size=16)
    try:
        result = pwoct.training.train.train(
            config,
            images,
            Path(JOB["folder"]),
            reporter=Watch(),
            checkpoint_minutes=JOB.get("minutes", 60.0),
            allow_change=JOB.get("allow", ()),
        )
    except StoppedError as stopped:
        return stopped.exit_code
    except (CheckpointError, ConfigError, LostRanksError) as error:
        if "says" in JOB:
            Path(JOB["says"]).write_text(str(error))
        return {CheckpointError: 5, ConfigError: 2, LostRanksError: 1}[type(error)]
    return 6 if result.unwritten else 0


if __name__ == "<run_path>":  # and not when pytest looks for doctests
    sys.exit(main())
