"""`pwoct-cost study --cluster`: a whole study from the command line, its refusals, the example for SLURM."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")
ROOT = Path(__file__).parents[2]

Run = Callable[..., Any]

TINY = [
    *("--depth", "8", "--dataset", "synthetic", "--seeds", "0", "--shard", "1/3", "--format", "json"),
    *("--set", "data.train_images=64", "--set", "batch=32", "--set", "machine.threads=1"),
    *("--set", "machine.plan=lean"),
]


def command(folder: Path, *more: str) -> list[str]:
    study = [sys.executable, "-m", "costmodel", "study", "table1", *TINY]
    return [*study, "--runs", str(folder), "--cluster", "local", *more]


def test_ctrl_c_stops_all_workers_and_the_next_call_goes_on(tmp_path: Path, pwoct_cost: Run) -> None:
    process = subprocess.Popen(
        command(tmp_path, "--epochs", "400"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    said = []
    assert process.stderr is not None
    try:
        for line in process.stderr:
            said.append(line)
            if "epoch 1/400" in line:
                break
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    text = "".join(said) + err
    assert process.returncode == 130, text
    assert out == ""
    assert "Traceback" not in text
    assert err.splitlines()[-1].startswith("pwoct-cost: stopped by SIGINT while runs were being trained"), (
        text
    )
    assert "dashboard: http://" in text
    begun = sorted(path.parent for path in tmp_path.glob("*/metrics.jsonl"))
    assert begun
    for folder in begun:
        assert list((folder / "checkpoints").iterdir())
    plan = pwoct_cost("study", "table1", *TINY, "--runs", str(tmp_path), "--epochs", "400", "--dry-run")
    assert "begun" in {row["state"] for row in plan.json["plan"]}


def test_a_study_on_a_cluster_prints_what_one_without_prints(tmp_path: Path, pwoct_cost: Run) -> None:
    where = ["--epochs", "1", "--quiet", "--runs"]
    alone = pwoct_cost("study", "table1", *TINY, *where, str(tmp_path / "a"), "--cluster", "none")
    together = pwoct_cost("study", "table1", *TINY, *where, str(tmp_path / "b"), "--cluster", "local")
    assert (alone.code, together.code) == (0, 0), (alone, together)
    assert together.err == ""
    assert together.json["accuracy"] == alone.json["accuracy"]
    assert [row.get("runs") for row in alone.json["accuracy"]].count(1) == 2
    assert (together.json["done"], together.json["runs"]) == (2, 6)


def test_no_scheduler_is_one_line(tmp_path: Path, pwoct_cost: Run) -> None:
    ran = pwoct_cost("study", "table1", *TINY, "--runs", str(tmp_path), "--cluster", "nowhere")
    assert ran.code == 2
    assert ran.err == (
        "pwoct-cost: error: --cluster must be local, none or the address of a Dask scheduler such as "
        "tcp://10.0.0.1:8786, got nowhere\n"
    )


def test_ranks_of_torchrun_are_no_workers(
    tmp_path: Path, pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    ran = pwoct_cost("study", "table1", *TINY, "--runs", str(tmp_path), "--cluster", "local")
    assert ran.code == 2
    assert "--cluster local can't be used with torchrun" in ran.err


def test_the_example_for_slurm_asks_for_one_training_per_job() -> None:
    pytest.importorskip("dask_jobqueue")
    import dask

    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(from signal import pause\n.*?)```", page, re.DOTALL)
    tree = ast.parse(example)
    tree.body = tree.body[:3]  # the imports and the cluster, without its jobs and the pause
    names: dict[str, Any] = {}
    any_port = {"jobqueue.slurm.scheduler-options": {"dashboard_address": ":0"}}  # another cluster may run
    with dask.config.set(any_port):
        exec(compile(tree, "example", "exec"), names)
        with names["cluster"] as cluster:
            script = cluster.job_script()
    assert re.search(r"^#SBATCH --cpus-per-task=2$", script, re.MULTILINE)
    assert "--nthreads 1 " in script
    assert "--nworkers" not in script
