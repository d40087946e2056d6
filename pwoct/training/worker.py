"""The worker's side of a study on a cluster: trains one run at a time and reports its progress."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pwoct.training.config import Config, Data
from pwoct.training.data import DataError, Dataset
from pwoct.training.inputs import load_dataset
from pwoct.training.progress import Progress
from pwoct.training.schema import FOLDER
from pwoct.training.signals import SAVE, STOP, Signals
from pwoct.training.study import Study, carry_out_run

EVERY = 2.0  # seconds between two reports of a run's steps


@dataclass(frozen=True)
class News:
    """A worker's report on a run: its progress, and a message or the metrics of an epoch."""

    run: str
    worker: str
    kind: str  # "started", "stepped", "evaluated", "note", "ended"
    epochs: int = 0
    epoch: int = 0
    done: float = 0.0  # fraction of all steps
    loss: float = 0.0
    seconds: float = 0.0  # of the training so far in this epoch
    message: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Order:
    """Everything a worker needs to train one run of a study."""

    folder: Path
    run: Config
    data: Path | None
    topic: str
    fingerprint: str | None = None  # of the images where the study was started

    @property
    def study(self) -> Study:
        """A study of this run alone."""
        return Study(self.folder, (self.run,), self.fingerprint)


_ONE_AT_A_TIME = threading.Lock()  # runs in one process would share torch's random state
_OPEN: list[tuple[str, Signals]] = []
_STOPPED: dict[str, int] = {}  # studies, by their topics, and the signals that stopped them


def carry_out_order(order: Order) -> Exception | None:
    """Train a run on this worker; return the error that ended it, if any.

    Raises:
        DataError: if this worker reads other images than the study was started with.
    """
    from distributed import get_worker

    worker, path = get_worker(), order.study.path(order.run)

    def tell(kind: str, **what: Any) -> None:
        worker.log_event(order.topic, asdict(News(path.name, str(worker.name), kind, **what)))

    with _ONE_AT_A_TIME, _heeding(order.topic) as signals:
        images = _images(order)
        if order.fingerprint not in (None, images.fingerprint):
            dataset = order.run.data.dataset
            raise DataError(
                f"worker {worker.name} reads other images of {dataset} than the study was started with"
            )
        trouble = carry_out_run(
            order.study,
            order.run,
            images,
            reporting=lambda _: _told(tell),
            note=lambda text: tell("note", message=text),
            signals=signals,
        )
    tell("ended", message=str(trouble or ""))
    return trouble


def dask_setup(worker: object) -> None:  # noqa: ARG001 - Dask gives it
    """Leave signals to whoever started the study: a Ctrl-C in a terminal reaches its local workers too.

    Dask calls this in each worker that is started with this module as preload.
    """
    for number in STOP if SAVE is None else (*STOP, SAVE):
        signal.signal(number, signal.SIG_IGN)


def heed(topic: str, number: int) -> None:
    """Stop this worker's run of a study, as if by the signal with that number; if it is 0, save the run."""
    if number:
        _STOPPED[topic] = number
    for study, signals in _OPEN.copy():  # runs begin and end in different threads
        if study == topic:
            signals.stop, signals.save = number or signals.stop, number == 0


@contextmanager
def _heeding(topic: str) -> Iterator[Signals]:
    """Yield the signals of a run that begins; if its study was already stopped, they stop it at once."""
    signals = Signals()
    signals.stop = _STOPPED.get(topic, 0)
    _OPEN.append((topic, signals))
    try:
        yield signals
    finally:
        _OPEN.remove((topic, signals))


def _images(order: Order) -> Dataset:
    """Return the images of a run, read once for all runs of a study."""
    data = order.run.data
    return _dataset(data.dataset, data.image_size, order.data, order.fingerprint)


@lru_cache(maxsize=1)
def _dataset(
    name: str,
    size: tuple[int, int] | None,
    where: Path | None,
    fingerprint: str | None,  # noqa: ARG001 - images that were changed meanwhile are read again
) -> Dataset:
    data = Data.model_validate({"dataset": name, "image_size": size})
    if data.folder is not None and where is not None:  # a worker may run in another directory
        data = data.model_copy(update={"dataset": f"{FOLDER}{where}"})
    return load_dataset(data, where)


@contextmanager
def _told(tell: Callable[..., None]) -> Iterator[Telling]:
    yield Telling(tell)


class Telling:
    """The reporter of a run on a worker: informs the process that started the study, a few times a minute."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell, self._told_at, self._epochs = tell, 0.0, 0

    def started(self, progress: Progress, config: Config) -> None:
        """Report where the run begins."""
        self._epochs = config.epochs
        self._tell("started", **self._place(progress))

    def stepped(self, progress: Progress) -> None:
        """Report the run's progress, unless it was reported just before."""
        if (now := time.monotonic()) - self._told_at >= EVERY:
            self._told_at = now
            self._tell("stepped", loss=progress.loss, seconds=progress.seconds, **self._place(progress))

    def evaluated(self, metrics: dict[str, Any]) -> None:
        """Report the metrics of the epoch."""
        done = metrics["epoch"] / self._epochs
        self._tell("evaluated", epochs=self._epochs, epoch=metrics["epoch"], done=done, metrics=metrics)

    def note(self, message: str) -> None:
        """Pass a message on."""
        self._tell("note", message=message)

    def _place(self, progress: Progress) -> dict[str, Any]:
        done = progress.steps / (self._epochs * progress.steps_per_epoch)
        return {"epochs": self._epochs, "epoch": progress.epoch + 1, "done": done}
