"""What keeps a run alive: its checkpoints, resumption from them, its record on disk."""

import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import replace

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from pwoct.training.checkpoint import (
    KEEP,
    Checkpoint,
    CheckpointError,
    newest,
    set_aside_damaged,
    store,
    write_atomically,
)
from pwoct.training.config import Config, differences
from pwoct.training.distributed import Ranks
from pwoct.training.evaluation import Score
from pwoct.training.learner import Learner, under
from pwoct.training.progress import Progress
from pwoct.training.record import Metrics, Result, RunError, RunFolder, environment
from pwoct.training.reporter import Reporter

# Tensors of a checkpoint would not fit, or the position in an epoch would lose its meaning.
FIXED = ("seed", "batch", "ema", "optimiser.name", "optimiser.decay")


class DivergedError(Exception):
    """The loss is no longer finite."""


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
        minutes: float,
    ) -> None:
        self.config, self.data, self.run, self.ranks, self.reporter = config, data, run, ranks, reporter
        self.learner, self.progress = learner, progress
        self.chosen: dict[str, Tensor] = {}
        self.interval, self.saved_at = 60 * minutes, time.monotonic()
        self.saved_step, self.failures = -1, 0

    def due(self) -> bool:
        """Return whether the last attempt to save is long enough ago."""
        return time.monotonic() - self.saved_at >= self.interval

    def choose(self, model: nn.Module) -> None:
        """Keep a copy of the weights that did best on held-out images."""
        self.chosen = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}

    def resume(self, allow_change: Collection[str] = ()) -> None:
        """Go to where the run stands, or begin it.

        Raises:
            RunError: if the configuration or the data changed.
            CheckpointError: if there are checkpoints, but none is good.
        """
        checkpoint, skipped = newest(self.run.checkpoints)
        for reason in skipped:
            self.reporter.note(f"a damaged checkpoint is passed over: {reason}")
        here = -1 if checkpoint is None else checkpoint.step
        least, most = self.ranks.most([-here, here])
        if -least != most:
            raise CheckpointError(
                "ranks see different checkpoints: the folder of a run must be on a shared disk"
            )
        if checkpoint is not None:
            self._restore(checkpoint, allow_change)
        elif self.run.history():
            raise CheckpointError(f"{self.run.path} has metrics but no checkpoint: they were removed")
        if self.ranks.first:
            self._open_record()
        if checkpoint is None:
            self.save()

    def save(self) -> None:
        """Write a checkpoint of this position, unless it has one; a full disk is noted, not fatal.

        Raises:
            DivergedError: if the loss is no longer finite.
        """
        self.saved_at = time.monotonic()
        if self.progress.steps == self.saved_step:
            return
        totals = self.ranks.gather(self.progress.totals.cpu())
        check_finite(torch.stack(totals), self.progress.steps)
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
        written = self._attempt("checkpoint", lambda: store(self.run.checkpoints, checkpoint))
        if written:
            self.saved_step = self.progress.steps

    def append(self, metrics: Metrics) -> None:
        """Write the metrics of an epoch."""
        self._attempt("metrics", lambda: self.run.append_metrics(metrics))

    def finish(self, model: nn.Module, score: Score, epoch: int, chosen_by: str) -> Result:
        """Return the result; write it and its weights, if the last checkpoint could be written."""
        history = self.progress.history
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
        )
        if self.saved_step == self.progress.steps:
            weights = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
            self._attempt("weights", lambda: write_atomically(self.run.weights, to_safetensors(weights)))
            self._attempt("result", lambda: self.run.write_result(result))
        return replace(result, failures=self.failures)

    def _restore(self, checkpoint: Checkpoint, allow_change: Collection[str]) -> None:
        state, rank = checkpoint.state, self.ranks.rank
        changed = changes(Config.model_validate(state["config"]), self.config, state["data"], self.data)
        refuse(self.run, changed, allow_change)
        if state["progress"]["steps_per_epoch"] != self.progress.steps_per_epoch:
            raise RunError("the steps of an epoch cannot change within a run")
        if state["progress"]["epoch"] > self.config.epochs:
            raise RunError(f"epochs must be at least the {state['progress']['epoch']} already made")
        self.learner.restore(checkpoint.model, checkpoint.training)
        if (random := checkpoint.training.get(f"random.{rank}")) is not None:  # else a rank that is new
            self.learner.set_random_state(random)
        self.progress.restore(state["progress"], checkpoint.training.get(f"totals.{rank}"))
        self.progress.changes += [key for key in changed if key not in self.progress.changes]
        self.chosen = under("chosen.", checkpoint.training)
        self.saved_step = checkpoint.step
        if self.ranks.first:
            set_aside_damaged(self.run.checkpoints, checkpoint.step)
        self.reporter.note(f"resumed in epoch {self.progress.epoch + 1}, after {checkpoint.step} steps")

    def _open_record(self) -> None:
        size = sum(value.numel() * value.element_size() for value in self.learner.model.state_dict().values())
        needed = (KEEP + 2) * 4 * size  # with momentum, average and chosen weights; one being written
        free = shutil.disk_usage(self.run.path).free
        if free < needed:
            raise CheckpointError(
                f"{self.run.path} needs {needed / 1e6:.0f} MB for checkpoints, free: {free / 1e6:.0f}"
            )
        self.run.write_config(self.config)
        self.run.add_session(environment(self.config, self.data))
        self.run.rewrite_metrics(self.progress.history)

    def _attempt(self, what: str, write: Callable[[], object]) -> bool:
        """Let the first rank write, and return on every rank whether that went well."""
        failed = False
        if self.ranks.first:
            try:
                write()
            except OSError as error:
                failed = True
                self.reporter.note(f"the {what} could not be written ({error}); the run goes on")
        failed = bool(self.ranks.most([failed])[0])
        self.failures += failed
        return not failed


def check_finite(totals: Tensor, steps: int) -> Tensor:
    """Return sums over an epoch, or raise DivergedError if one of them is no number."""
    if not totals.isfinite().all():
        raise DivergedError(f"the loss is not finite after {steps} steps; lower optimiser.lr")
    return totals


def finished(run: RunFolder, config: Config, data: str, allow_change: Collection[str]) -> Result | None:
    """Return the result of a run that ended, or None if there is still something to do.

    Raises:
        RunError: if it ended with another configuration or data.
    """
    result = run.result()
    if result is None:
        return None
    changed = changes(Config.model_validate(result.config), config, result.data, data)
    refuse(run, changed, allow_change)
    # How it is computed matters no more: going on would only rewrite the record.
    return result if all(key.startswith("machine.") for key in changed) else None


def changes(old: Config, new: Config, old_data: str, new_data: str) -> list[str]:
    """Return the keys whose values differ, and "data" if the content of the images does."""
    return differences(old, new) + (["data"] if old_data != new_data else [])


def refuse(run: RunFolder, changed: Collection[str], allow_change: Collection[str]) -> None:
    """Raise RunError naming the changed keys that are not allowed, or that nobody can allow."""
    fixed = [key for key in changed if key in FIXED or key.startswith("model.")]
    if fixed:
        raise RunError(f"{run.path} was begun with other values of {', '.join(fixed)}: choose another name")
    forbidden = [key for key in changed if key not in allow_change]
    if forbidden:
        raise RunError(
            f"{run.path} was begun with other values of {', '.join(forbidden)}:"
            " choose another name, or allow the change"
        )
