from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

# A study that takes seconds: depth 8, 2 steps of 32 images; with one thread, as any machine has it.
TINY = [
    *("--depth", "8", "--dataset", "synthetic", "--epochs", "1", "--quiet", "--cluster", "none"),
    *("--set", "data.train_images=64", "--set", "batch=32", "--set", "machine.threads=1"),
]


@pytest.fixture
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluating 512 images takes longer than all training."""
    from pwoct.training import inputs

    few = inputs.synthetic(train=64, test=64)
    monkeypatch.setattr(inputs, "synthetic", lambda: few)


@pytest.mark.usefixtures("few_images")
def test_a_study_from_start_to_selection(pwoct_cost: Run, tmp_path: Path) -> None:
    where = ["--runs", str(tmp_path), "--format", "json"]
    half = pwoct_cost("study", "table2", *TINY, "--seeds", "0-1", "--shard", "1/2", *where)
    assert half.code == 0
    assert (half.json["done"], half.json["runs"]) == (10, 20)
    plan = pwoct_cost("study", "table2", *TINY, "--seeds", "0-1", "--dry-run", *where).json["plan"]
    assert [row["state"] for row in plan] == ["done", "open"] * 10

    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/result.json")}
    whole = pwoct_cost("study", "table2", *TINY, "--seeds", "0-1", *where)
    assert whole.code == 0
    assert (whole.json["done"], whole.json["runs"]) == (20, 20)
    assert {path: path.stat().st_mtime_ns for path in times} == times  # what was done was not done again

    accuracy = {row["network"]: row for row in whole.json["accuracy"]}
    assert list(accuracy)[:3] == ["Oct-8 0.25", "Oct-8 0.75", "Pwise-8 0.25 HH"]
    assert {row["runs"] for row in accuracy.values()} == {2}
    losses = {row["network"]: row for row in whole.json["losses"]}
    assert len(losses) == 8
    mean = {name: float(row["mean"]) for name, row in accuracy.items()}
    for name, row in losses.items():
        base = "Oct-8 0.25" if " 0.25 " in name else "Oct-8 0.75"
        assert float(row["lost"]) == pytest.approx(mean[base] - mean[name], abs=0.011)
        assert row["error"] is not None
    selection = {row["alpha"]: row for row in whole.json["selection"]}
    assert set(selection) == {"0.25", "0.75"}
    for alpha, row in selection.items():
        singles = {
            name.split()[-1]: float(one["lost"]) for name, one in losses.items() if f" {alpha} " in name
        }
        assert singles[row["left_out"]] == max(singles.values())
        assert set(row["paths"].split(",")) == set(singles) - {row["left_out"]}


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize(
    ("key", "value", "code", "words"),
    [
        ("correct", 65, 5, "contradicts itself: accuracy is "),
        ("data", "another", 2, "holds a run on different images of synthetic"),
    ],
)
def test_a_changed_result_hides_no_other(
    pwoct_cost: Run, tmp_path: Path, key: str, value: object, code: int, words: str
) -> None:
    where = ["--seeds", "0", "--shard", "1/3", "--runs", str(tmp_path), "--format", "json"]
    assert pwoct_cost("study", "table1", *TINY, *where).code == 0
    (file,) = [path for path in tmp_path.glob("*/result.json") if "-a0.75" not in path.parent.name]
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    plan = pwoct_cost("study", "table1", *TINY, "--dry-run", *where).json["plan"]
    assert [row["state"] for row in plan] == ["damaged", "done"]
    loud = [word for word in TINY if word != "--quiet"]
    again = pwoct_cost("study", "table1", *loud, *where)
    assert (again.code, again.json["done"]) == (code, 1)
    assert f"{file.parent}" in again.err
    assert words in again.err
    measured = [row["network"] for row in again.json["accuracy"] if row.get("runs")]
    assert measured == ["Oct-8 0.75"]


def test_frozen_kernels_keep_their_initial_values(pwoct_cost: Run, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from pwoct.training.config import compose
    from pwoct.training.learner import build_model

    run = pwoct_cost("study", "table1", *TINY, "--seeds", "3", "--shard", "6/6", "--runs", str(tmp_path))
    assert run.code == 0
    (folder,) = tmp_path.iterdir()
    weights = load_file(folder / "weights.safetensors")
    import torch

    torch.manual_seed(3)
    network = {"model.name": "resnet8", "model.alpha": "1/4", "model.paths": "HH,HL,LH,LL"}
    start = build_model(compose("fast", values=network).model, 10, 3).state_dict()
    moved = {name for name, value in weights.items() if not torch.equal(value, start[name])}
    kernels = {name for name in weights if name.endswith("weight") and "bn" not in name}
    frozen = {name for name in kernels if ".reduce." in name or ".expand." in name}
    assert frozen
    assert kernels - moved == frozen


def test_the_plan_of_the_paper(pwoct_cost: Run, tmp_path: Path) -> None:
    arguments = ("--seeds", "0", "--dry-run", "--runs", str(tmp_path), "--format", "json")
    names = {
        table: [row["run"] for row in pwoct_cost("study", table, *arguments).json["plan"]]
        for table in ("table1", "table4")
    }
    assert names["table1"][:3] == [
        "resnet56-fast-seed0",
        "resnet56-a0.25-fast-seed0",
        "resnet56-a0.25-b2-HH.HL.LH.LL-fast-seed0",
    ]
    assert len(names["table1"]) == 5 + 1
    assert len(names["table4"]) == 7 + 1
    assert all(name.startswith("resnet110") for name in names["table4"])


def test_the_plan_says_which_network_is_trained_in_part(pwoct_cost: Run, tmp_path: Path) -> None:
    arguments = ("--seeds", "0", "--dry-run", "--runs", str(tmp_path))
    plan = pwoct_cost("study", "table1", *arguments, "--format", "json").json["plan"]
    assert [row["trained"] for row in plan] == ["all"] * 5 + ["all but 1x1"]
    assert (
        "all but 1x1: the bottlenecks' 1x1 convolutions are frozen"
        in pwoct_cost("study", "table1", *arguments).out
    )
    assert "1x1" not in pwoct_cost("study", "table3", *arguments).out


def test_shards_share_the_runs_between_them(pwoct_cost: Run, tmp_path: Path) -> None:
    def plan(shard: str) -> list[str]:
        arguments = ("--seeds", "0-2", "--dry-run", "--runs", str(tmp_path), "--format", "json")
        return [
            row["run"] for row in pwoct_cost("study", "table3", "--shard", shard, *arguments).json["plan"]
        ]

    parts = [plan(f"{number}/4") for number in (1, 2, 3, 4)]
    assert sorted(run for part in parts for run in part) == sorted(plan("1/1"))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table5"], "table must be one of table1, table2, table3, table4, got table5"),
        (["table1", "--shard", "5/4"], "a shard must be like 1/4, the first of four, got 5/4"),
        (["table1", "--seeds", "one"], "seeds must be like 0, 0,3 or 0-4, and of at most 18 digits, got one"),
        (["table1", "--depth", "57"], "model.name must be resnetN with N = 6n + 2"),
        (["table1", "--recipe", "best"], "recipe must be one of fast, paper, keras, got 'best'"),
        (["table1", "--set", "speed=1"], "speed"),
        (
            ["table1", "--set", "model.width=8"],
            "the table gives the networks of a study, got --set model.width",
        ),
        (["table1", "--set", "seed=3"], "--seeds gives the seeds of a study, got --set seed"),
    ],
)
def test_bad_input_is_one_line(pwoct_cost: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    run = pwoct_cost("study", *arguments, "--runs", str(tmp_path))
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("pwoct-cost: error: ")
    assert message in run.err
    assert run.err.count("\n") == 1


def test_missing_data_is_said(pwoct_cost: Run, tmp_path: Path) -> None:
    run = pwoct_cost("study", "table1", "--data", str(tmp_path), "--runs", str(tmp_path))
    assert run.code == 4
    assert "no CIFAR-10 in" in run.err
