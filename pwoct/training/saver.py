"""The persistence of a run: its checkpoints, resumption from them, its record on disk."""

import hashlib
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from pwoct.training.checkpoint import (
    KEEP,
    Checkpoint,
    CheckpointError,
    chosen,
    finite,
    newest,
    set_aside,
    steps_kept,
    store,
    write_atomically,
)
from pwoct.training.config import Config
from pwoct.training.distributed import Ranks
from pwoct.training.evaluation import Score
from pwoct.training.learner import Learner
from pwoct.training.progress import Progress
from pwoct.training.record import Metrics, Result, RunError, RunFolder
from pwoct.training.reporter import Reporter
from pwoct.training.restoring import changes, check_tensors, chosen_weights, read_state, refuse
from pwoct.training.schedule import rate
from pwoct.training.session import environment

EXPLODED = 1e6  # a mean loss from which no training recovers: the labels' probabilities are e^-1,000,000


class DivergedError(Exception):
    """The loss or the weights are no longer finite, or the loss is beyond all bounds."""


@dataclass(frozen=True)
class Keeping:
    """How often checkpoints are written, how many are kept, and the step to resume from (default: last)."""

    minutes: float = 5.0
    keep: int = KEEP
    from_step: int | None = None


class Saver:
    """Saves and restores one process's part in a run; the first rank writes."""

    def __init__(
        self,
        config: Config,
        data: str,
        run: RunFolder,
        ranks: Ranks,
        reporter: Reporter,
        learner: Learner,
        progress: Progress,
        keeping: Keeping,
        inputs: dict[str, Any],
    ) -> None:
        self.config, self.data, self.run, self.ranks, self.reporter = config, data, run, ranks, reporter
        self.learner, self.progress, self.keeping, self.inputs = learner, progress, keeping, inputs
        self.chosen: dict[str, Tensor] = {}
        self.interval, self.saved_at = 60 * keeping.minutes, time.monotonic()
        self.saved_step, self.failures, self.reason = -1, 0, "on the first rank"

    def due(self) -> bool:
        """Return whether it is time to save again."""
        return time.monotonic() - self.saved_at >= self.interval

    def choose(self, model: nn.Module) -> None:
        """Keep a copy of the weights with the best accuracy on held-out images."""
        self.chosen = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}

    def resume(self, allow_change: Collection[str] = ()) -> None:
        """Restore the current state of the run, or begin it.

        Raises:
            RunError: if the configuration or the data changed.
            CheckpointError: if there are checkpoints, but none is good; if none can be written.
        """
        checkpoint = self._find()
        here = -1 if checkpoint is None else checkpoint.step
        least, most = self.ranks.most([-here, here])
        if -least != most:
            raise CheckpointError(
                "ranks see different checkpoints: the folder of a run must be on a disk that all see"
            )
        if checkpoint is not None:
            self._restore(checkpoint, allow_change)
        elif self.run.history():
            raise CheckpointError(f"{self.run.path} has metrics, but its checkpoints were removed")
        if not self._attempt("record", self._open_record, ends="the run cannot begin"):
            raise CheckpointError(f"{self.run.path} cannot be written: {self.reason}")
        if checkpoint is None:
            self.save()

    def save(self) -> None:
        """Write a checkpoint of this position, unless there is one; a full disk is reported, not fatal.

        Raises:
            DivergedError: if the loss or a weight is no longer finite.
            CheckpointError: if it is the first and cannot be written, or if the run's folder is gone.
        """
        self.saved_at = time.monotonic()
        if self.progress.steps == self.saved_step:
            return
        totals = self.ranks.gather(self.progress.totals.cpu())
        self.check_finite(torch.stack(totals))
        tensors = self.learner.tensors()
        for rank, random in enumerate(self.ranks.gather(self.learner.random_state())):
            tensors |= {f"random.{rank}": random, f"totals.{rank}": totals[rank]}
        tensors |= {f"chosen.{name}": value for name, value in self.chosen.items()}
        state = {
            "config": self.config.model_dump(mode="json"),
            "data": self.data,
            "progress": self.progress.as_json(),
        }
        checkpoint = Checkpoint(self.progress.steps, self.learner.model.state_dict(), tensors, state)
        first = self.saved_step < 0
        if self._attempt("checkpoint", lambda: self._store(checkpoint)):
            self.saved_step = self.progress.steps
        elif first:
            raise CheckpointError(f"the first checkpoint of {self.run.path} cannot be written: {self.reason}")

    def check_finite(self, totals: Tensor) -> None:
        """Raise DivergedError unless this rank's sums over the epoch and all weights are finite."""
        steps = self.progress.steps
        name = finite(self.learner.model.state_dict()) or finite(self.learner.evaluated.state_dict())
        if totals.isfinite().all() and name is None:
            return
        what = "the loss is" if not totals.isfinite().all() else f"the weights are ({name})"
        raise DivergedError(f"{what} not finite after {steps} steps; {self._advice()}")

    def check_loss(self, loss: float) -> None:
        """Raise DivergedError if the mean loss of an epoch or of an evaluation is beyond all bounds."""
        if not abs(loss) < EXPLODED:
            steps = self.progress.steps
            raise DivergedError(f"the loss is {loss:.3g} after {steps} steps; {self._advice()}")

    def append(self, metrics: Metrics) -> None:
        """Write the metrics of an epoch."""
        self._attempt("metrics", lambda: self.run.append_metrics(metrics))

    def finish(self, model: nn.Module, score: Score, epoch: int, chosen_by: str) -> Result:
        """Return the result; write it if the last checkpoint, the metrics and the weights were written."""
        history = self.progress.history
        weights = to_safetensors(
            {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
        )
        result = Result(
            name=self.run.name,
            accuracy=score.accuracy,
            correct=score.correct,
            images=score.images,
            loss=score.loss,
            epoch=epoch,
            epochs=self.config.epochs,
            chosen_by=chosen_by,
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            minutes=sum(line["seconds"] + line["evaluation_seconds"] for line in history) / 60,
            seed=self.config.seed,
            config=self.config.model_dump(mode="json"),
            data=self.data,
            changes=self.progress.changes,
            failures=self.failures,
            weights_sha256=hashlib.sha256(weights).hexdigest(),
        )
        unwritten = self._write_end(weights, result)
        return replace(result, failures=self.failures, unwritten=unwritten)

    def _write_end(self, weights: bytes, result: Result) -> list[str]:
        """Write the files of a finished run, the result last; return those that could not be written."""
        if self.saved_step != self.progress.steps:
            return ["checkpoint", "weights", "result"]
        ends = "the run is not finished"
        parts: dict[str, Callable[[], object]] = {
            "metrics": lambda: self.run.complete_metrics(self.progress.history),
            "weights": lambda: write_atomically(self.run.weights, weights),
        }
        unwritten = [what for what, write in parts.items() if not self._attempt(what, write, ends=ends)]
        if unwritten or not self._attempt("result", lambda: self.run.write_result(result), ends=ends):
            unwritten.append("result")
        return unwritten

    def _find(self) -> Checkpoint | None:
        """Return the checkpoint to resume from, if there is one."""
        if self.keeping.from_step is not None:
            return chosen(self.run.checkpoints, self.keeping.from_step)
        checkpoint, skipped = newest(self.run.checkpoints)
        for reason in skipped:
            self.reporter.note(f"a damaged checkpoint is skipped: {reason}")
        return checkpoint

    def _restore(self, checkpoint: Checkpoint, allow_change: Collection[str]) -> None:
        state, rank = read_state(checkpoint), self.ranks.rank
        changed = changes(state.config, self.config, state.data, self.data)
        refuse(self.run, changed, allow_change)
        if state.progress["steps_per_epoch"] != self.progress.steps_per_epoch:
            raise RunError("the number of steps per epoch cannot change within a run")
        if state.progress["epoch"] > self.config.epochs:
            raise RunError(f"epochs must be at least the {state.progress['epoch']} already completed")
        check_tensors(checkpoint, state, self.learner)
        self.learner.restore(checkpoint.model, checkpoint.training)
        if (random := checkpoint.training.get(f"random.{rank}")) is not None:  # otherwise this rank is new
            self.learner.set_random_state(random)
        self.progress.restore(state.progress, checkpoint.training.get(f"totals.{rank}"))
        self.progress.changes += [key for key in changed if key not in self.progress.changes]
        self.chosen = chosen_weights(checkpoint)
        self.saved_step = checkpoint.step
        self.reporter.note(f"resumed in epoch {self.progress.epoch + 1}, after {checkpoint.step} steps")
        self._tell_rate(state.config)

    def _tell_rate(self, before: Config) -> None:
        """Report how a changed configuration alters the learning rate, which the schedule would hide."""
        step, steps = self.progress.steps, self.progress.steps_per_epoch
        if step < self.config.epochs * steps and step < before.epochs * steps:
            old, new = (rate(config, step, steps) for config in (before, self.config))
            if old != new:
                self.reporter.note(f"the learning rate continues at {new:.3g} instead of {old:.3g}")

    def _open_record(self) -> None:
        size = sum(value.numel() * value.element_size() for value in self.learner.model.state_dict().values())
        needed = (
            (self.keeping.keep + 2) * 4 * size
        )  # with momentum, average and chosen weights; plus one being written
        free = shutil.disk_usage(self.run.path).free
        if free < needed:
            raise CheckpointError(
                f"{self.run.path} needs {_size(needed)} for checkpoints, free: {_size(free)}"
            )
        if self.saved_step >= 0:
            prefix = "damaged" if self.keeping.from_step is None else "left"
            set_aside(self.run.checkpoints, self.saved_step, prefix)
        self.run.reopen()
        self.run.write_config(self.config)
        self.run.write_inputs(self.inputs)
        self.run.add_session(environment(self.config, self.data))
        self.run.rewrite_metrics(self.progress.history)

    def _store(self, checkpoint: Checkpoint) -> None:
        self.run.check_place()
        store(self.run.checkpoints, checkpoint, self.keeping.keep)

    def _advice(self) -> str:
        return (
            "lower optimiser.lr, and start again or resume from an earlier checkpoint (those of step"
            f" {steps_kept(self.run.checkpoints)} are kept)"
        )

    def _attempt(self, what: str, write: Callable[[], object], ends: str = "the run continues") -> bool:
        """Let the first rank write; return on every rank whether that succeeded.

        Raises:
            CheckpointError: on every rank, if there is no point in continuing.
        """
        failed, fatal = False, False
        if self.ranks.first:
            try:
                write()
            except OSError as error:
                failed, self.reason = True, str(error)
                self.reporter.note(f"the {what} could not be written ({error}); {ends}")
            except CheckpointError as error:
                fatal, self.reason = True, str(error)
        failed, fatal = map(bool, self.ranks.most([failed, fatal]))
        if fatal:
            raise CheckpointError(self.reason)
        self.failures += failed
        return not failed


def _size(count: int) -> str:
    """Return a number of bytes in a readable unit."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"
