"""A study on a local cluster of two workers: a killed one loses nothing, and the bits stay the same."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pwoct.training import worker
from pwoct.training.data import DataError
from pwoct.training.signals import Signals, StoppedError
from pwoct.training.study import Shard, Study, carry_out, plan
from pwoct.training.synthetic import synthetic
from pwoct.training.worker import News, Order, heed
from tests.pwoct.training.studies import NETWORKS, TINY, Heard, carry_out_here

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The same study, carried out in this process."""
    study = plan(tmp_path_factory.mktemp("alone"), NETWORKS, [0], values=TINY)
    assert carry_out(study, synthetic()) == {}
    return study


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


def test_a_shard_of_a_study(client: Any, tmp_path: Path) -> None:
    from pwoct.training.cluster import carry_out_on

    study = plan(tmp_path, NETWORKS, [0], values={**TINY, "epochs": 1})
    assert carry_out_on(client, study, None, Shard(2, 2), watcher=Heard()) == {}
    assert [study.state(run) for run in study.runs] == ["open", "done"]


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


def test_a_folder_of_images_may_be_relative(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("PIL", reason="needs Pillow")
    from tests.pwoct.training.pictures import write

    write(tmp_path / "pictures", {"train": {"cat": 16, "dog": 16}, "test": {"cat": 4, "dog": 4}})
    monkeypatch.chdir(tmp_path)  # the workers run elsewhere
    values = {**TINY, "epochs": 1, "batch": 16, "data.dataset": "folder:pictures", "data.train_images": None}
    study = plan(Path("runs"), NETWORKS[:1], [0], values=values)
    assert carry_out_here(client, study, Heard()) == {}
    (run,) = study.runs
    result = study.result(run)
    assert result is not None
    assert result.config["data"]["dataset"] == "folder:pictures"  # as it was given


def test_a_worker_with_other_images_trains_nothing(client: Any, tmp_path: Path) -> None:
    study = plan(tmp_path, NETWORKS[:1], [0], values={**TINY, "epochs": 1})
    (trouble,) = carry_out_here(client, replace(study, fingerprint="of others"), Heard()).values()
    assert isinstance(trouble, DataError)
    assert "reads other images of synthetic than the study was started with" in str(trouble)
    assert [study.state(run) for run in study.runs] == ["open"]
    known = replace(study, fingerprint=synthetic().fingerprint)
    assert carry_out_here(client, known, Heard()) == {}


def test_images_that_were_changed_are_read_again(tmp_path: Path) -> None:
    pytest.importorskip("PIL", reason="needs Pillow")
    from tests.pwoct.training.pictures import write

    (run,) = plan(tmp_path, NETWORKS[:1], [0], values={"data.dataset": "folder:elsewhere"}).runs

    def read(fingerprint: str) -> str:
        return worker._images(Order(tmp_path, run, tmp_path, "topic", fingerprint)).fingerprint

    write(tmp_path, {"train": {"cat": 2, "dog": 2}, "test": {"cat": 1, "dog": 1}})
    before = read("")
    write(tmp_path, {"train": {"cat": 3, "dog": 2}})
    assert read("") == before  # for every run of a study they are read once
    assert read("another study's") != before
