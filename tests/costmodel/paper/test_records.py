from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from costmodel.paper.printed import Paper
from costmodel.paper.records import accuracies, accuracy_table, read_records, record


def result(accuracy: float, seed: int = 0, **model: Any) -> dict[str, Any]:
    """What a finished run writes, as far as it is read here."""
    network = {
        "name": "resnet56",
        "alpha": ["1/4"],
        "beta": ["2"],
        "paths": ["HL,LH,LL"],
        "width_rule": "out",
        "stride_rule": "C",
        "between": "none",
        "width": 16,
        "freeze_pointwise": False,
        **model,
    }
    config = {
        "recipe": "fast",
        "seed": seed,
        "epochs": 24,
        "batch": 128,
        "model": network,
        "data": {"dataset": "cifar10", "train_images": None, "validation": 0},
        "machine": {"threads": seed + 1, "plan": "reference", "precision": "bf16"},
    }
    correct = round(accuracy * 10_000)
    return {
        "name": "run",
        "accuracy": correct / 10_000,
        "correct": correct,
        "images": 10_000,
        "seed": seed,
        "epochs": 24,
        "config": config,
    }


def write(folder: Path, name: str, content: Any) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))


def measured(paper: Paper, folders: list[Path]) -> dict[str, tuple[Any, ...]]:
    rows = accuracy_table(paper, read_records(folders)).rows
    keys = ("mean", "deviation", "runs", "recipe")
    return {row["row"]: tuple(row[key] for key in keys) for row in rows if "mean" in row}


def test_nothing_is_measured_without_records(paper: Paper, tmp_path: Path) -> None:
    assert measured(paper, [tmp_path, tmp_path / "missing"]) == {}


def test_mean_and_deviation_by_hand(paper: Paper, tmp_path: Path) -> None:
    for seed, accuracy in enumerate((0.92, 0.93, 0.94)):
        write(tmp_path, f"runs/run{seed}/result.json", result(accuracy, seed))
    # Deviations -1, 0, 1 points: the squares add up to 2, over n - 1 = 2.
    assert measured(paper, [tmp_path / "runs"]) == {"3.1": ("93.00", "1.00", 3, "fast, 24 epochs")}


def test_kept_records_and_runs_are_read_together_and_once(paper: Paper, tmp_path: Path) -> None:
    write(tmp_path, "kept/table3.json", [result(0.92, 0), result(0.94, 1)])
    write(tmp_path, "runs/run0/result.json", result(0.92, 0))
    found = measured(paper, [tmp_path / "kept", tmp_path / "runs"])
    assert found["3.1"][::2] == ("93.00", 2)


def test_a_single_run_has_no_deviation(paper: Paper, tmp_path: Path) -> None:
    write(tmp_path, "one.json", result(0.9))
    assert measured(paper, [tmp_path]) == {"3.1": ("90.00", None, 1, "fast, 24 epochs")}


@pytest.mark.parametrize(
    "other",
    [
        {"between": "bn"},
        {"width": 32},
        {"freeze_pointwise": True},
        {"beta": ["4"]},
        {"alpha": ["1/4", "1/2", "1/4"]},
    ],
)
def test_other_networks_are_not_taken_for_the_papers(
    paper: Paper, tmp_path: Path, other: dict[str, Any]
) -> None:
    write(tmp_path, "other.json", result(0.9, **other))
    assert measured(paper, [tmp_path]) == {}


def test_beta_of_a_network_without_bottlenecks_does_not_matter(paper: Paper, tmp_path: Path) -> None:
    write(tmp_path, "plain.json", result(0.9, alpha=["0"], paths=[""], beta=["4"]))
    assert list(measured(paper, [tmp_path])) == ["1.1"]


def test_runs_that_differ_in_more_than_the_seed_are_apart() -> None:
    one, other = result(0.9), result(0.8, 1)
    other["config"]["batch"] = 64
    assert [each.values for each in accuracies(map(record, (one, other)))] != [(90.0, 80.0)]
    assert len(accuracies(map(record, (one, other)))) == 2


def test_a_key_that_is_null_is_a_key_that_an_older_record_lacks() -> None:
    """A newer version has keys for what an older one could not choose."""
    older, newer = result(0.9), result(0.8, seed=1)
    newer["config"]["data"] = {**newer["config"]["data"], "image_size": None}
    assert [each.values for each in accuracies([record(older), record(newer)])] == [(90.0, 80.0)]
    newer["config"]["data"]["image_size"] = 64
    assert len(accuracies([record(older), record(newer)])) == 2


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "broken.json", {"accuracy": 0.9})
    with pytest.raises(ValueError, match=r"broken.json is not a record of a run: KeyError 'config'"):
        read_records([tmp_path])


@pytest.mark.parametrize(
    "wrong",
    [
        {"accuracy": 0.0, "correct": 0, "images": 0},
        {"accuracy": True, "correct": 10000, "images": 10000},
        {"accuracy": 0.5, "correct": 0.5, "images": 1},
        {"accuracy": 1.0, "correct": True, "images": True},
        {"accuracy": 2.0, "correct": 2, "images": 1},
        {"accuracy": 0.9001, "correct": 9000, "images": 10000},
        {"accuracy": None, "correct": None, "images": None},
    ],
)
def test_counts_that_no_run_can_have_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    write(tmp_path, "wrong.json", {**result(0.9), **wrong})
    with pytest.raises(ValueError, match=r"wrong.json is not a record of a run: ValueError its accuracy is"):
        read_records([tmp_path])


def test_another_depth_stands_in_and_says_so(paper: Paper, tmp_path: Path) -> None:
    write(tmp_path, "runs/a/result.json", result(0.88, name="resnet20"))
    rows = accuracy_table(paper, read_records([tmp_path / "runs"])).rows
    assert {row["row"]: (row["depth"], row["mean"]) for row in rows if "mean" in row} == {
        "3.1": (20, "88.00"),
        "4.4": (20, "88.00"),
    }
    write(tmp_path, "runs/b/result.json", result(0.93))
    rows = accuracy_table(paper, read_records([tmp_path / "runs"])).rows
    assert {row["row"]: (row["depth"], row["mean"]) for row in rows if "mean" in row} == {
        "3.1": (56, "93.00"),
        "4.4": (20, "88.00"),
    }


def test_runs_of_other_networks_do_not_count_and_do_no_harm(paper: Paper, tmp_path: Path) -> None:
    write(tmp_path, "own.json", result(0.91, name="net.py:Net()", alpha=[], beta=[], paths=[]))
    write(tmp_path, "ours.json", result(0.9))
    assert [row[0] for row in measured(paper, [tmp_path]).values()] == ["90.00"]


def test_a_kept_record_is_as_it_was_written(tmp_path: Path) -> None:
    kept = Path(__file__).parents[3] / "docs/records/resnet20-fast-16ep-seed0.json"
    write(tmp_path, "kept.json", json.loads(kept.read_text()))
    (found,) = read_records([tmp_path])
    assert found.depth == 20
    write(tmp_path, "kept.json", {**json.loads(kept.read_text()), "epoch": 15})
    with pytest.raises(ValueError, match="its sha256 does not match its content"):
        read_records([tmp_path])


def test_what_sets_a_run_apart_is_said() -> None:
    apart = record({**result(0.9, 1), "changes": ["machine.threads", "optimiser.lr"]})
    texts = [each.text for each in accuracies([record(result(0.9)), apart])]
    assert texts == ["fast, 24 epochs", "fast, 24 epochs, optimiser.lr changed"]
