"""Runs that end badly, signals, names and environments that mislead, as a user of `train` meets them."""

import pytest
import torch

from costmodel.commands.shared.ranks import is_first_rank
from pwoct.training.saver import DivergedError

SMALL = (
    *(
        "--dataset",
        "synthetic",
        "--epochs",
        "1",
        "--batch",
        "64",
        "--threads",
        "1",
        "--set",
        "machine.precision=fp32",
    ),
    *("--set", "model.width=4", "--set", "data.train_images=64", "--plan", "reference", "--quiet"),
)


def fails_at_seed(number, error):
    """A trainer that fails for one seed."""
    import pwoct.training.train

    original = pwoct.training.train.train

    def train(config, *rest, **options):
        if config.seed == number:
            raise error
        return original(config, *rest, **options)

    return train


def test_a_seed_that_diverges_does_not_hide_the_others(pwoct_cost, tmp_path, monkeypatch):
    error = DivergedError("the loss is not finite after 3 steps")
    monkeypatch.setattr("pwoct.training.train.train", fails_at_seed(1, error))
    run = pwoct_cost(
        "train",
        "resnet8",
        *SMALL,
        "--seeds",
        "0-2",
        "--name",
        "x",
        "--runs",
        str(tmp_path),
        "--format",
        "json",
    )
    assert run.code == 1
    assert [row["seed"] for row in run.json["runs"]] == [0, 2]
    assert run.err.splitlines() == [
        "pwoct-cost: x-seed1: the loss is not finite after 3 steps",
        "pwoct-cost: error: 1 of 3 runs failed: x-seed1",
    ]


def test_a_damaged_seed_does_not_hide_the_others(pwoct_cost, tmp_path):
    arguments = (
        "train",
        "resnet8",
        *SMALL,
        "--seeds",
        "0-1",
        "--name",
        "x",
        "--runs",
        str(tmp_path),
        "--format",
        "json",
    )
    assert pwoct_cost(*arguments).code == 0
    (tmp_path / "x-seed0" / "result.json").write_text("{")
    run = pwoct_cost(*arguments)
    assert run.code == 5
    assert [row["seed"] for row in run.json["runs"]] == [1]


def test_one_damaged_run_does_not_stop_a_study(pwoct_cost, tmp_path):
    arguments = [
        *("study", "table1", "--depth", "8", "--seeds", "0", "--runs", str(tmp_path), "--quiet"),
        *("--cluster", "none"),  # on a cluster: tests/pwoct/training/test_cluster.py
        *("--dataset", "synthetic", "--epochs", "1", "--set", "data.train_images=32", "--set", "batch=32"),
        *("--set", "machine.threads=1"),
    ]
    plan = pwoct_cost(*arguments, "--dry-run", "--format", "json").json["plan"]
    broken = tmp_path / plan[1]["run"]
    broken.mkdir()
    (broken / "result.json").write_text("{")
    run = pwoct_cost(*arguments, "--format", "json")
    assert run.code == 5
    assert (run.json["done"], run.json["runs"]) == (len(plan) - 1, len(plan))
    assert f"1 of {len(plan)} runs failed: {broken.name}" in run.err
    states = pwoct_cost(*arguments, "--dry-run", "--format", "json").json["plan"]
    assert [row["state"] for row in states] == ["done", "damaged", *["done"] * (len(plan) - 2)]


def test_a_passing_write_error_is_said_and_is_code_0(pwoct_cost, tmp_path, monkeypatch):
    from pwoct.training.record import RunFolder

    def full(self, line):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolder, "append_metrics", full)
    arguments = ("train", "resnet8", *SMALL, "--name", "x", "--runs", str(tmp_path))
    run = pwoct_cost(*arguments)
    assert run.code == 0
    assert "x could not write 1 time during the run; all was written later" in run.err
    assert pwoct_cost(*arguments).code == 0


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/tmp", "a\\b", "a" * 201])
def test_a_name_is_that_of_a_folder_in_the_folder_of_runs(name, pwoct_cost, tmp_path):
    run = pwoct_cost("train", "resnet8", *SMALL, "--name", name, "--runs", str(tmp_path / "runs"))
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("pwoct-cost: error: name must be that of a folder, got ")
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_leads_nowhere_else(pwoct_cost, tmp_path):
    run = pwoct_cost("train", *SMALL, "--set", "recipe=a/../../../X", "--runs", str(tmp_path / "runs"))
    assert run.code == 2
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_key_cannot_be_allowed(pwoct_cost, tmp_path):
    run = pwoct_cost("train", *SMALL, "--allow-change", "foo", "--runs", str(tmp_path))
    assert run.code == 2
    assert "--allow-change needs a key such as " in run.err


def test_runs_are_found_by_the_unique_beginning_of_a_name(pwoct_cost, tmp_path):
    for name in ("first", "second", "secondary"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    from costmodel.commands.shared.training import find_run
    from pwoct.training.record import RunError

    assert find_run(tmp_path, "fi").name == "first"
    assert find_run(tmp_path, "second").name == "second"  # a whole name is no beginning
    assert find_run(tmp_path, str(tmp_path / "first")).name == "first"
    for name, message in (
        ("sec", "sec matches several runs: second, secondary"),
        ("x", "no run x in"),
        ("", "no run without"),
    ):
        with pytest.raises(RunError, match=message):
            find_run(tmp_path, name)


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"RANK": "1"}, True),
        ({"RANK": "1", "WORLD_SIZE": "1"}, True),
        ({"RANK": "1", "WORLD_SIZE": "2"}, False),
    ],
)
def test_a_rank_alone_speaks(environment, first, monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_first_rank() == first


def test_a_stray_rank_trains_and_shows(pwoct_cost, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert "Test accuracy" in pwoct_cost("train", "resnet8", *SMALL, "--runs", str(tmp_path)).out


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"WORLD_SIZE": "2"},
            "WORLD_SIZE is 2, but RANK, MASTER_ADDR, MASTER_PORT is not set: `torchrun` sets RANK",
        ),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE in the environment must be a whole number from 1, got 'two'"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE in the environment must be a whole number from 1, got '0'"),
        (
            {"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"},
            "RANK must be below WORLD_SIZE 2, got 2",
        ),
    ],
)
def test_a_part_of_what_torchrun_sets_is_said(environment, message, pwoct_cost, tmp_path, monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run = pwoct_cost("train", "resnet8", *SMALL, "--runs", str(tmp_path))
    assert (run.code, run.out) == (2, "")
    assert message in run.err


def test_weights_that_are_not_finite_are_code_5_and_no_number(pwoct_cost, tmp_path):
    from safetensors.torch import load_file

    assert pwoct_cost("train", "resnet8", *SMALL, "--name", "x", "--runs", str(tmp_path)).code == 0
    weights = load_file(tmp_path / "x" / "weights.safetensors")
    for value, message in (
        (float("nan"), "the weights are not finite: fc.bias"),
        (3e38, "the network are not finite"),
    ):
        weights["fc.bias"] = torch.full((10,), value)
        weights["fc.weight"] = torch.full((10, 16), value)
        torch.save({"model": weights}, tmp_path / "other.pth")
        run = pwoct_cost(
            "evaluate",
            "x",
            "--runs",
            str(tmp_path),
            "--format",
            "json",
            "--weights",
            str(tmp_path / "other.pth"),
        )
        assert (run.code, run.out) == (5, "")
        assert message in run.err
