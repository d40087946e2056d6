"""A study on a Dask cluster: one run per worker; a run whose worker dies resumes from its checkpoint.

The folders of the runs and of the data must be on a disk that all workers see under the same path.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import uuid4

from pwoct.training.checkpoint import CheckpointError
from pwoct.training.config import Config, ConfigError
from pwoct.training.data import DataError
from pwoct.training.signals import Signals, StoppedError
from pwoct.training.study import Shard, Study
from pwoct.training.worker import News, Order, carry_out_order, heed

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")
LOOK = 0.2  # seconds between two checks for signals and workers


class ClusterError(ValueError):
    """A cluster cannot be reached, or cannot train."""


class UnexpectedError(Exception):
    """An error that no code expects ended a run on a worker."""


class Watcher(Protocol):
    """Receives the progress of all workers' runs, in a separate thread."""

    def told(self, news: News) -> None:
        """Handle a report: a run began, made a few steps, finished an epoch, or ended."""


@contextmanager
def connected(
    address: str, threads: int | None, runs: int, patience: float = 20.0
) -> Iterator[tuple[Client, int]]:
    """Open a client of an existing or a new cluster; yield it and the number of threads per run.

    A local cluster has as many workers as the cores can serve with `threads` threads each, but no more than
    there are runs; without `threads`, each run has one thread, or more if cores are left over.

    On an existing cluster, a run has one thread unless `threads` says otherwise.

    Args:
        address: Address of a scheduler, such as tcp://10.0.0.1:8786, or "local".
        threads: Threads of each run.
        runs: Number of runs.
        patience: Seconds to wait for a scheduler.

    Raises:
        ClusterError: if nothing answers at the address.
    """
    from distributed import Client, LocalCluster

    if address != "local":
        with _reached(address, patience) as client:
            yield client, threads or 1
        return
    workers, threads = local_shape(threads, runs)
    with (
        _quick_starts(),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            silence_logs=logging.CRITICAL,
            memory_limit=0,  # a limit on memory would not make a run smaller, only kill it
            host="127.0.0.1",
            preload="pwoct.training.worker",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client, threads


@contextmanager
def _quick_starts() -> Iterator[None]:
    """Let processes of workers be forked from one that has imported torch, where the system can fork.

    An import takes a worker three seconds. That process does nothing else, and has no threads to lose.
    """
    import dask
    from distributed.utils import get_mp_context

    if "forkserver" not in multiprocessing.get_all_start_methods():
        yield
        return
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        get_mp_context().set_forkserver_preload(["distributed", "pwoct.training.worker", "torch._dynamo"])
        yield


def local_shape(threads: int | None, runs: int) -> tuple[int, int]:
    """Return the number of workers of a local cluster, and of threads per run."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = max(1, min(runs, cores // (threads or 1)))
    return workers, threads or cores // workers


@contextmanager
def _reached(address: str, patience: float) -> Iterator[Client]:
    from distributed import Client

    log = logging.getLogger("distributed.client")
    level = log.level
    log.setLevel(logging.CRITICAL)  # tracebacks of what is raised as one line
    try:
        try:
            client = Client(address, timeout=patience)
        except (OSError, ValueError) as error:
            raise ClusterError(f"no Dask scheduler answers at {address}: {error}") from None
        with client:
            yield client
    finally:
        log.setLevel(level)


def carry_out_on(
    client: Client,
    study: Study,
    data: Path | None,
    shard: Shard | None = None,
    *,
    watcher: Watcher,
    note: Callable[[str], object] = lambda _: None,
    signals: Signals | None = None,
) -> dict[str, Exception]:
    """Train a shard's unfinished runs on the workers of a cluster; return the errors that ended runs.

    Runs begin in the study's order. If a worker dies, only the work since its run's last checkpoint is lost:
    another worker resumes it there. A run that kills several workers in turn is given up, as the scheduler
    decides (distributed.scheduler.allowed-failures). A signal stops all runs after their checkpoints.

    Args:
        client: Client of the cluster.
        study: The study to train, in a folder that all workers see.
        data: Folder of the data set, which all workers see; None for images that are computed, or whose
            configuration names their folder.
        shard: The part of the study to train.
        watcher: Receives the progress of the runs.
        note: Receives one-line messages about the cluster.
        signals: Signal handling, already open, to stop or to save all runs.

    Raises:
        StoppedError: if a signal stopped the study.
        ClusterError: if a worker cannot train at all, for example because a package is missing, or if the
            scheduler is lost.
    """
    signals = signals or Signals()
    topic = f"pwoct-study-{uuid4().hex}"
    client.subscribe_topic(topic, lambda event: watcher.told(News(**event[1])))
    are_there = _describe(client, note)
    orders = [_order(study, run, data, topic) for run in (shard or Shard()).take(study.runs)]
    futures = {
        client.submit(carry_out_order, order, key=f"{order.study.path(order.run).name}-{topic}"): order
        for order in orders
    }
    try:
        with signals.at_work():
            _await(client, list(futures), topic, signals, note, are_there)
        return dict(_troubles(futures, note))
    finally:
        client.unsubscribe_topic(topic)


def _order(study: Study, run: Config, data: Path | None, topic: str) -> Order:
    """Return the order for a run; its paths hold in any directory."""
    if run.data.folder is not None:
        data = Path(run.data.folder)
    return Order(study.folder.absolute(), run, data and data.absolute(), topic, study.fingerprint)


def _describe(client: Client, note: Callable[[str], object]) -> bool:
    """Say what a cluster has; return whether it has workers."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    count = f"{len(workers) or 'no'} worker{'' if len(workers) == 1 else 's'}"
    note(f"{count}{'' if workers else ' yet'}; dashboard: {client.dashboard_link}")
    for name, worker in workers.items():
        if worker["nthreads"] > 1:
            note(f"{name} trains one run at a time: start it with --nthreads 1, not {worker['nthreads']}")
    return bool(workers)


def _await(
    client: Client,
    futures: list[Future],
    topic: str,
    signals: Signals,
    note: Callable[[str], object],
    were_there: bool = True,
) -> None:
    """Wait for all runs, and pass signals on to the workers; `were_there` says whether there are any."""
    from distributed import wait

    stopping = 0
    while True:
        try:
            _asked(wait, futures, timeout=LOOK)
            break
        except TimeoutError:
            pass
        are_there = bool(_asked(client.nthreads))
        if were_there and not are_there:
            note("no worker is left: runs wait for the next one")
        were_there = are_there
        stopping = stopping or signals.stop
        if stopping or signals.save:
            signals.save = False
            # Sent repeatedly: a worker may be new, and one that dies meanwhile does not answer.
            _asked(client.run, heed, topic, stopping, on_error="ignore")
        if stopping and not are_there:
            raise StoppedError(stopping, "while no worker was training")
    if stopping := stopping or signals.stop:  # a stop may arrive just as the last run ends
        raise StoppedError(stopping, "while runs were being trained; each was saved")


def _asked(ask: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Return the answer of the scheduler. Raises ClusterError if it is lost."""
    from distributed import CancelledError

    try:
        return ask(*arguments, **options)
    except TimeoutError:  # an OSError, too
        raise
    except (OSError, CancelledError):
        raise ClusterError("the Dask scheduler is lost; begun runs resume from their checkpoints") from None


def _troubles(
    futures: Mapping[Future, Order], note: Callable[[str], object]
) -> Iterator[tuple[str, Exception]]:
    """Yield the errors that ended runs by the runs' names; note those that no worker could tell of."""
    from distributed.scheduler import KilledWorker

    for future, order in futures.items():
        name = order.study.path(order.run).name
        try:
            trouble = _asked(future.result)
        except KilledWorker as error:
            trouble = CheckpointError(f"given up: {error}")
            note(f"{name}: {trouble}")
        except ImportError as error:
            raise ClusterError(f"a worker cannot train: {error}") from None
        except (ClusterError, ConfigError):
            raise  # the same in every run
        except (DataError, ValueError) as error:
            trouble = error
            note(f"{name}: {trouble}")
        except Exception as error:  # whatever it is, it must not hide what the other runs did
            trouble = UnexpectedError(f"{type(error).__name__}: {error}")
            note(f"{name}: {trouble}")
        if trouble is not None:
            yield name, trouble
