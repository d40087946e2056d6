"""What goes wrong on a cluster: in one run, on a worker, without workers, without a scheduler."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from pwoct.training import worker
from pwoct.training.checkpoint import CheckpointError
from pwoct.training.config import ConfigError
from pwoct.training.signals import Signals, StoppedError
from pwoct.training.study import plan
from tests.pwoct.training.studies import NETWORKS, TINY, Heard, carry_out_here

pytest.importorskip("distributed")


def test_what_ends_one_run_leaves_the_others_alone(client: Any, tmp_path: Path) -> None:
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
    assert [note.partition(";")[0] for note in heard.notes] == ["no workers yet"]


def test_a_lost_scheduler_is_an_error_of_the_cluster() -> None:
    from distributed import CancelledError
    from distributed.comm.core import CommClosedError

    from pwoct.training.cluster import ClusterError, _asked, _troubles

    def lost() -> None:
        raise CommClosedError("closed")

    class Lost:
        def result(self) -> None:
            raise CancelledError

    with pytest.raises(ClusterError, match="the Dask scheduler is lost; begun runs resume"):
        _asked(lost)
    order = worker.Order(Path(), plan(Path(), NETWORKS[:1], [0], values=TINY).runs[0], None, "topic")
    with pytest.raises(ClusterError, match="the Dask scheduler is lost; begun runs resume"):
        dict(_troubles({Lost(): order}, print))


def test_a_configuration_that_no_worker_can_carry_out_is_an_error(client: Any, tmp_path: Path) -> None:
    study = plan(tmp_path, NETWORKS[:1], [0], values={**TINY, "batch": 1000})
    with pytest.raises(ConfigError, match="batch must be at most 64 images, got 1000"):
        carry_out_here(client, study, Heard())


def test_no_scheduler_at_the_address() -> None:
    from pwoct.training.cluster import ClusterError, connected

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    words = f"no Dask scheduler answers at tcp://127.0.0.1:{port}"
    with pytest.raises(ClusterError, match=words), connected(f"tcp://127.0.0.1:{port}", 1, 1, patience=0.5):
        pass
