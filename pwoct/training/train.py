"""The training of one network: a loop that can be stopped or killed anywhere, and resumes bit-identically."""

import contextlib
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch

from pwoct.training.augment import Normalise
from pwoct.training.checkpoint import KEEP
from pwoct.training.config import Config, ConfigError, flatten
from pwoct.training.data import Dataset
from pwoct.training.device import keep_freed_memory, settle
from pwoct.training.distributed import Ranks, joined
from pwoct.training.evaluation import evaluate
from pwoct.training.inputs import Batches, split_validation
from pwoct.training.learner import Learner, settle_plan
from pwoct.training.loading import described
from pwoct.training.progress import Progress
from pwoct.training.record import Metrics, Result, RunFolder
from pwoct.training.reporter import Quiet, Reporter
from pwoct.training.restoring import check_keys, finished, remembered
from pwoct.training.saver import Keeping, Saver
from pwoct.training.schedule import rate
from pwoct.training.signals import Signals, StoppedError


def train(
    config: Config,
    dataset: Dataset,
    folder: Path,
    *,
    reporter: Reporter | None = None,
    checkpoint_minutes: float = 5.0,
    keep: int = KEEP,
    from_step: int | None = None,
    allow_change: Collection[str] = (),
    signals: Signals | None = None,
) -> Result:
    """Train a network in its run's folder, from the run's current state, and return the result.

    A finished run is not repeated. A checkpoint is written after every epoch and every `checkpoint_minutes`;
    the newest `keep` remain. Values that the configuration leaves to the machine are taken from the run, if
    it was begun before.

    Args:
        from_step: Resume from the checkpoint of this step, and set later ones aside.
        signals: Signal handling, already open, if the caller also handles signals before and after the run.

    Raises:
        ConfigError: if the configuration cannot be carried out on this machine or data, or differs by rank.
        RunError: if the run was begun with another configuration or data, but for keys in `allow_change`.
        CheckpointError: if checkpoints exist but none is good, or if they cannot be written from the start.
        StoppedError: if SIGINT, SIGTERM or SIGHUP stopped it; says whether its checkpoint is written.
        DivergedError: if the loss or a weight is no longer finite.
        LostRanksError: if another rank is gone.
    """
    reporter, run = reporter or Quiet(), RunFolder(folder)
    keeping = Keeping(checkpoint_minutes, keep, from_step)
    check_keys(allow_change, config)
    with (
        contextlib.nullcontext(signals) if signals is not None else Signals() as watch,
        joined(config.machine.device) as ranks,
    ):
        config = settled(remembered(config, run, allow_change), dataset, ranks)
        check_alike(ranks, config, dataset)
        result = finished(run, config, dataset.fingerprint, allow_change) if from_step is None else None
        if result is not None:
            reporter.note(f"{folder} is already finished: its result is shown")
            return result
        with run.locked() if ranks.first else contextlib.nullcontext():
            session = Session(config, dataset, run, ranks, watch, reporter, keeping)
            session.saver.resume(allow_change)
            with watch.at_work():
                session.fit()
                result = session.finish()
            if stop := ranks.most([watch.stop])[0]:
                raise StoppedError(stop, "at the end of the run" + _how_it_ended(result))
            return result


def settled(config: Config, dataset: Dataset, ranks: Ranks) -> Config:
    """Return `config` with every "auto" resolved for this machine, network and data."""
    h, w, channels = dataset.train.pixels.shape[1:]
    return settle_plan(settle(config, ranks.size), len(dataset.classes), channels, (h, w))


def check_alike(ranks: Ranks, config: Config, dataset: Dataset) -> None:
    """Raise ConfigError if ranks have different configurations or different data."""
    if found := ranks.disagreements({**flatten(config), "data": dataset.fingerprint}):
        raise ConfigError(
            f"all ranks must have the same configuration and data, but {'; '.join(found)}: set it for all"
        )


def _how_it_ended(result: Result) -> str:
    return f", which could not write its {result.unwritten[0]}" if result.unwritten else ", which is finished"


@dataclass(frozen=True)
class Trial:
    """An estimate of a run that has not begun, from a few steps."""

    config: Config
    parameters: int
    steps_per_epoch: int
    seconds_per_step: float
    loss: float

    @property
    def minutes(self) -> float:
        """The estimated time of all steps, without evaluation."""
        return self.config.epochs * self.steps_per_epoch * self.seconds_per_step / 60


def try_out(config: Config, dataset: Dataset, folder: Path) -> Trial:
    """Build everything, make four steps without touching the folder, and time the fastest of them.

    Raises:
        ConfigError: if the configuration cannot be carried out on this machine or data.
    """
    with joined(config.machine.device) as ranks:
        config = settled(config, dataset, ranks)
        session = Session(config, dataset, RunFolder(folder), ranks, Signals(), Quiet(), Keeping())
        seconds: list[float] = []
        for _ in range(min(4, len(session.batches))):
            session.make_step()
            seconds.append(session.progress.seconds - sum(seconds))
        parameters = sum(value.numel() for value in session.learner.model.parameters())
        return Trial(config, parameters, len(session.batches), min(seconds), session.progress.loss)


class Session:
    """One process's part in a run, from its start or resumption to its end or its next stop."""

    def __init__(
        self,
        config: Config,
        dataset: Dataset,
        run: RunFolder,
        ranks: Ranks,
        signals: Signals,
        reporter: Reporter,
        keeping: Keeping,
    ) -> None:
        self.config, self.ranks, self.signals, self.reporter = config, ranks, signals, reporter
        torch.set_num_threads(config.machine.threads)
        keep_freed_memory()
        device = torch.device(config.machine.device)
        images, held_out = split_validation(config.data, dataset.train)
        self.normalise = Normalise.fit(images, config.augmentation.normalise).to(device)
        self.batches = Batches(config, images.to(device), self.normalise, ranks)
        self.classes, self.test = len(dataset.classes), dataset.test.to(device)
        self.held_out = held_out.to(device) if held_out is not None else None
        self.learner = Learner(config, self.classes, images.pixels.shape[-1], ranks)
        self.progress = Progress.on(device, len(self.batches))
        inputs = described(self.normalise, dataset.classes, images.pixels.shape[1:])
        self.saver = Saver(
            config, dataset.fingerprint, run, ranks, reporter, self.learner, self.progress, keeping, inputs
        )

    def fit(self) -> None:
        """Train and evaluate, epoch after epoch."""
        progress = self.progress
        if self.config.model.is_own:
            machine = self.config.machine
            how = f"by the plan {machine.plan} in {machine.precision}"
            self.reporter.note(f"{self.config.model.name} is computed {how}")
        self.reporter.started(progress, self.config)
        while progress.epoch < self.config.epochs:
            while progress.step < progress.steps_per_epoch:
                self._heed_signals()
                self.make_step()
                self.reporter.stepped(progress)
            metrics = self._close_epoch()
            self.saver.save()
            self.saver.append(metrics)
            self.reporter.evaluated(metrics)
        self._heed_signals()

    def make_step(self) -> None:
        """Make the next step of the run."""
        progress, started = self.progress, time.perf_counter()
        x, labels = self.batches(progress.epoch, progress.step)
        now = rate(self.config, progress.steps, len(self.batches))
        loss, correct = self.learner.update(x, labels, now, progress.steps)
        progress.add(loss, correct, len(labels), time.perf_counter() - started)

    def finish(self) -> Result:
        """Write and return the result: of the last epoch, or of the epoch chosen on held-out images."""
        model, epoch, chosen_by = self.learner.evaluated, self.progress.epoch, "last epoch"
        if self.held_out is not None:
            model.load_state_dict(self.saver.chosen)
            epoch = max(self.progress.history, key=lambda m: m["validation_accuracy"])["epoch"]
            chosen_by = f"{len(self.held_out)} held-out training images"
        score = evaluate(model, self.test, self.normalise, self.config, self.classes, self.ranks)
        self.saver.check_loss(score.loss)
        return self.saver.finish(model, score, epoch, chosen_by)

    def _heed_signals(self) -> None:
        stop, save = self.ranks.most([self.signals.stop, int(self.signals.save or self.saver.due())])
        if stop or save:
            self.signals.save = False
            self.saver.save()
        if stop:
            raise StoppedError(stop, self._where())

    def _where(self) -> str:
        steps, saved = self.progress.steps, self.saver.saved_step
        where = f"in epoch {self.progress.epoch + 1}, after {steps} steps"
        return where if saved == steps else f"{where}, NOT saved: the newest checkpoint is of step {saved}"

    def _close_epoch(self) -> Metrics:
        progress, started = self.progress, time.perf_counter()
        totals, images = self.ranks.sum(progress.totals.cpu()), progress.images * self.ranks.size
        self.saver.check_finite(totals)
        loss, correct = totals.tolist()
        self.saver.check_loss(loss / images)
        which = "test" if self.held_out is None else "validation"
        self.ranks.align(self.learner.evaluated)  # each rank has its own statistics of BN
        judges = self.test if self.held_out is None else self.held_out
        score = evaluate(
            self.learner.evaluated, judges, self.normalise, self.config, self.classes, self.ranks
        )
        self.saver.check_loss(score.loss)
        metrics = {
            "epoch": progress.epoch + 1,
            "step": progress.steps,
            "rate": rate(self.config, progress.steps - 1, len(self.batches)),
            "train_loss": loss / images,
            "train_accuracy": correct / images,
            f"{which}_loss": score.loss,
            f"{which}_accuracy": score.accuracy,
            "seconds": progress.seconds,
            "images_per_second": images / progress.seconds,
            "evaluation_seconds": time.perf_counter() - started,
        }
        if self.held_out is not None and all(
            score.accuracy > m["validation_accuracy"] for m in progress.history
        ):
            self.saver.choose(self.learner.evaluated)
        progress.next_epoch(metrics)
        return metrics
