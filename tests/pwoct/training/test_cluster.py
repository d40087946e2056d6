"""A study on a local cluster of two workers: a killed one loses nothing, and the bits stay the same."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pwoct.training import worker
from pwoct.training.checkpoint import CheckpointError
from pwoct.training.config import ConfigError
from pwoct.training.signals import Signals, StoppedError
from pwoct.training.study import Shard, Study, carry_out, plan
from pwoct.training.synthetic import synthetic
from pwoct.training.worker import News, heed

pytest.importorskip("distributed")

NETWORKS = [{"model.alpha": "0"}, {"model.alpha": "1/2"}]
TINY = {
    "model.name": "resnet8",
    "model.width": 4,
    "data.dataset": "synthetic",
    "data.train_images": 64,
    "epochs": 3,
    "batch": 32,
    "machine.threads": 1,
    "machine.precision": "fp32",
    "machine.plan": "lean",
}


class Heard:
    """Keeps what workers tell, and may act on it."""

    def __init__(self, act: Callable[[News], object] = lambda _: None) -> None:
        self.news: list[News] = []
        self.notes: list[str] = []
        self._act = act

    def told(self, news: News) -> None:
        self.news.append(news)
        self._act(news)

    def of(self, run: str, kind: str) -> list[News]:
        return [news for news in self.news if (news.run, news.kind) == (run, kind)]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    from pwoct.training.cluster import connected

    with connected("local", 1, 2) as (client, threads):
        assert threads == 1
        yield client


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The same study, carried out in this process."""
    study = plan(tmp_path_factory.mktemp("alone"), NETWORKS, [0], values=TINY)
    assert carry_out(study, synthetic()) == {}
    return study


def carry_out_here(
    client: Any, study: Study, heard: Heard, signals: Signals | None = None
) -> dict[str, Exception]:
    from pwoct.training.cluster import carry_out_on

    return carry_out_on(client, study, None, watcher=heard, note=heard.notes.append, signals=signals)


def measured(folder: Path) -> list[dict[str, Any]]:
    """What a run measured in each epoch, but for times."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{k: v for k, v in row.items() if "second" not in k} for row in rows]


def assert_same(study: Study, other: Study) -> None:
    for run in study.runs:
        here, there = study.path(run), other.path(run)
        assert (here / "weights.safetensors").read_bytes() == (there / "weights.safetensors").read_bytes()
        assert measured(here) == measured(there)


def test_a_killed_worker_loses_nothing_and_changes_no_bit(client: Any, alone: Study, tmp_path: Path) -> None:
    study = plan(tmp_path, NETWORKS, [0], values=TINY)
    pids = client.run(os.getpid)
    killed: list[str] = []

    def kill(news: News) -> None:
        if news.kind == "evaluated" and news.epoch == 1 and not killed:
            killed.append(news.run)
            os.kill(pids[news.worker], signal.SIGKILL)

    heard = Heard(kill)
    assert carry_out_here(client, study, heard) == {}
    assert_same(study, alone)
    begun = [(news.epoch, news.done) for news in heard.of(killed[0], "started")]
    assert begun[0] == (1, 0.0)
    assert begun[-1][1] > 0  # it went on from its checkpoint
    assert len(begun) == 2


def test_runs_may_choose_their_plans(client: Any, tmp_path: Path) -> None:
    """Recording a network watches for random numbers, which the worker's own threads draw too."""
    values = {**TINY, "epochs": 1, "machine.plan": "auto"}
    study = plan(tmp_path, NETWORKS, [0, 1, 2], values=values)
    assert carry_out_here(client, study, Heard()) == {}
    assert {study.state(run) for run in study.runs} == {"done"}


def test_the_view_is_told_of_every_run_and_epoch(client: Any, alone: Study, tmp_path: Path) -> None:
    study = plan(tmp_path, NETWORKS, [0], values=TINY)
    heard = Heard()
    assert carry_out_here(client, study, heard) == {}
    for run in study.runs:
        name = study.path(run).name
        assert [news.epoch for news in heard.of(name, "evaluated")] == [1, 2, 3]
        assert [news.message for news in heard.of(name, "ended")] == [""]
        assert heard.of(name, "stepped")[0].loss > 0
    assert any("dashboard: http://" in note for note in heard.notes)
    again = Heard()
    assert carry_out_here(client, study, again) == {}
    assert sorted(news.message for news in again.news if news.kind == "note") == sorted(
        f"{study.path(run).name}: done before" for run in study.runs
    )


def test_a_stop_saves_all_runs_which_then_resume_to_the_same_bits(
    client: Any, alone: Study, tmp_path: Path
) -> None:
    study = plan(tmp_path, NETWORKS, [0], values=TINY)
    signals = Signals()

    def stop(news: News) -> None:
        if news.kind == "evaluated":
            signals.stop = signal.SIGTERM

    with pytest.raises(StoppedError, match="stopped by SIGTERM while runs were being trained") as stopped:
        carry_out_here(client, study, Heard(stop), signals)
    assert stopped.value.exit_code == 143
    assert [study.state(run) for run in study.runs] != ["done", "done"]
    assert carry_out_here(client, study, Heard()) == {}
    assert_same(study, alone)


def test_a_request_to_save_reaches_the_workers(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = plan(tmp_path, NETWORKS[:1], [0], values={**TINY, "epochs": 1, "data.train_images": 640})
    signals = Signals()
    saved = threading.Event()

    def save(news: News) -> None:
        if news.kind == "stepped":
            signals.save = True
        if news.kind == "ended":
            saved.set()

    asked: list[Any] = []
    run = client.run

    def remember(function: Any, *arguments: Any, **options: Any) -> Any:
        asked.append((function, *arguments[1:]))
        return run(function, *arguments, **options)

    monkeypatch.setattr(client, "run", remember)
    assert carry_out_here(client, study, Heard(save), signals) == {}
    assert saved.wait(10)
    assert (heed, 0) in asked
    assert not signals.save


def test_a_worker_heeds_what_concerns_its_study() -> None:
    with worker._heeding("mine") as mine, worker._heeding("other") as other:
        heed("mine", 0)
        assert (mine.save, mine.stop) == (True, 0)
        heed("mine", signal.SIGTERM)
        assert mine.stop == signal.SIGTERM
        assert (other.save, other.stop) == (False, 0)
    with worker._heeding("mine") as late:  # a run that begins after the stop
        assert late.stop == signal.SIGTERM
    heed("mine", 0)  # nothing is open any more
    assert not late.save


def test_a_stop_that_comes_with_the_end_of_the_last_run_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    import distributed

    from pwoct.training.cluster import _await

    signals = Signals()
    monkeypatch.setattr(distributed, "wait", lambda *_, **__: setattr(signals, "stop", signal.SIGTERM))
    with pytest.raises(StoppedError, match="stopped by SIGTERM"):
        _await(None, [], "topic", signals, print)


def test_what_ends_one_run_leaves_the_others_alone(client: Any, alone: Study, tmp_path: Path) -> None:
    study = plan(tmp_path, NETWORKS, [0], values=TINY)
    broken = study.path(study.runs[0])
    (broken / "checkpoints").mkdir(parents=True)
    (broken / "metrics.jsonl").write_text('{"epoch": 1}\n', encoding="utf-8")
    troubles = carry_out_here(client, study, Heard())
    assert list(troubles) == [broken.name]
    assert isinstance(troubles[broken.name], CheckpointError | ValueError)
    assert study.state(study.runs[1]) == "done"


def test_an_unexpected_error_of_one_run_hides_no_other(client: Any, tmp_path: Path) -> None:
    """A weight that is a folder: nobody foresees all that a disk may hold."""
    study = plan(tmp_path, NETWORKS, [0], values={**TINY, "epochs": 1})
    broken = study.path(study.runs[0])
    (broken / "config.json").mkdir(parents=True)
    heard = Heard()
    troubles = carry_out_here(client, study, heard)
    assert list(troubles) == [broken.name]
    assert study.state(study.runs[1]) == "done"
    told = heard.notes + [news.message for news in heard.news if news.kind == "note"]
    assert [text for text in told if text.startswith(f"{broken.name}: ") and "training" not in text] == [
        f"{broken.name}: {troubles[broken.name]}"
    ]


def test_missing_data_on_a_worker_name_the_run(client: Any, tmp_path: Path) -> None:
    from pwoct.training.cluster import carry_out_on
    from pwoct.training.data import DataError

    study = plan(tmp_path / "runs", NETWORKS[:1], [0], values={"data.dataset": "cifar10", "epochs": 1})
    heard = Heard()
    troubles = carry_out_on(client, study, tmp_path, watcher=heard, note=heard.notes.append)
    assert [type(error) for error in troubles.values()] == [DataError]
    assert any(note.startswith(f"{study.path(study.runs[0]).name}: no CIFAR-10 in") for note in heard.notes)


def test_a_stop_ends_a_study_without_workers(tmp_path: Path) -> None:
    from distributed import Client, LocalCluster

    from pwoct.training.cluster import carry_out_on

    study = plan(tmp_path, NETWORKS[:1], [0], values=TINY)
    signals, heard = Signals(), Heard()
    signals.stop = signal.SIGTERM
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
        pytest.raises(StoppedError, match="stopped by SIGTERM while no worker was training"),
    ):
        carry_out_on(client, study, None, watcher=heard, note=heard.notes.append, signals=signals)
    assert heard.notes[-1] == "no worker is left: runs wait for the next one"


def test_a_lost_scheduler_is_an_error_of_the_cluster() -> None:
    from distributed import CancelledError
    from distributed.comm.core import CommClosedError

    from pwoct.training.cluster import ClusterError, _asked, _troubles

    def lost() -> None:
        raise CommClosedError("closed")

    class Lost:
        def result(self) -> None:
            raise CancelledError

    with pytest.raises(ClusterError, match="the Dask scheduler is lost: closed; begun runs resume"):
        _asked(lost)
    order = worker.Order(Path(), plan(Path(), NETWORKS[:1], [0], values=TINY).runs[0], None, "topic")
    with pytest.raises(ClusterError, match="the Dask scheduler is lost; begun runs resume"):
        dict(_troubles({Lost(): order}, print))  # type: ignore[dict-item]


def test_a_configuration_that_no_worker_can_carry_out_is_an_error(client: Any, tmp_path: Path) -> None:
    study = plan(tmp_path, NETWORKS[:1], [0], values={**TINY, "batch": 1000})
    with pytest.raises(ConfigError, match="batch must be at most 64 images, got 1000"):
        carry_out_here(client, study, Heard())


def test_a_shard_of_a_study(client: Any, tmp_path: Path) -> None:
    from pwoct.training.cluster import carry_out_on

    study = plan(tmp_path, NETWORKS, [0], values={**TINY, "epochs": 1})
    assert carry_out_on(client, study, None, Shard(2, 2), watcher=Heard()) == {}
    assert [study.state(run) for run in study.runs] == ["open", "done"]


def test_no_scheduler_at_the_address() -> None:
    from pwoct.training.cluster import ClusterError, connected

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    words = f"no Dask scheduler answers at tcp://127.0.0.1:{port}"
    with pytest.raises(ClusterError, match=words), connected(f"tcp://127.0.0.1:{port}", 1, 1, patience=0.5):
        pass


@pytest.mark.parametrize(
    ("cores", "threads", "runs", "shape"),
    [
        (8, None, 3, (3, 2)),
        (8, 2, 100, (4, 2)),
        (2, 4, 5, (1, 4)),
        (16, None, 100, (16, 1)),
        (4, 1, 1, (1, 1)),
    ],
)
def test_a_local_cluster_fits_the_machine(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int | None, runs: int, shape: tuple[int, int]
) -> None:
    from pwoct.training.cluster import local_shape

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert local_shape(threads, runs) == shape
