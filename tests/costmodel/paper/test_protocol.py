"""The verdicts of the protocol, on made-up accuracies whose answers are known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from costmodel.paper.accuracies import accuracy_page
from costmodel.paper.printed import Paper
from costmodel.paper.protocol import RIVALS, StudyResults, verdicts
from costmodel.paper.records import Record, read_records, record
from costmodel.paper.student import Interval, difference, pooled, quantile
from tests.costmodel.paper.test_records import result

ROOT = Path(__file__).parents[3]
SPREAD = (-0.1, 0.0, 0.1, 0.05, -0.05)  # of the seeds around each mean


def run(mean: float, seed: int, **model: Any) -> Record:
    content = result((mean + SPREAD[seed]) / 100, seed, **{"name": "resnet20", **model})
    content["config"]["epochs"] = 16
    return record(content)


def records(paper: Paper, means: Mapping[Any, float], seeds: int = 3) -> list[Record]:
    """Runs of all networks of parts a and b, with given means by row, "frozen" or shape; others have 89 %."""
    found = []
    rows = {row.key: row for row in paper.rows if row.table <= 3}
    for key, row in [*rows.items(), ("frozen", rows["1.3"])]:
        model = {
            "alpha": [str(row.alpha)],
            "paths": [",".join(sorted(row.paths))],
            "freeze_pointwise": key == "frozen",
        }
        wanted = 5 if key == "1.1" and seeds == 3 else seeds
        found += [run(means.get(key, 89), seed, **model) for seed in range(wanted)]
    for depth, width in {shape for pair in RIVALS.values() for shape in pair}:
        plain = {"name": f"resnet{depth}", "width": width, "alpha": ["0"], "paths": [""]}
        found += [run(means.get((depth, width), 89), seed, **plain) for seed in range(seeds)]
    return found


def judged(paper: Paper, means: Mapping[Any, float], seeds: int = 3) -> dict[str, str]:
    return {one.number: one.verdict for one in verdicts(StudyResults(paper, records(paper, means, seeds)))}


AS_PRINTED: dict[Any, float] = {
    "1.1": 91,
    "1.2": 92,
    "1.3": 89,
    "1.4": 91,
    "1.5": 88,
    "2.6": 91,
    "2.7": 91,
    "2.8": 90,
    "3.1": 92,
    (20, 12): 88,
    (14, 12): 87,
    (20, 15): 91,
    (14, 16): 90,
}


def test_all_statements_hold_where_the_means_say_so(paper: Paper) -> None:
    assert set(judged(paper, AS_PRINTED).values()) == {"holds"}


@pytest.mark.parametrize(
    ("number", "changed", "verdict"),
    [
        ("1", {"1.3": 90.8}, "refuted"),  # loses 1.2 points
        ("1", {"1.3": 87}, "refuted"),  # 5 points
        ("1", {"1.3": 90.05, "1.5": 89}, "holds"),  # 1.95 and 2 points: the intervals reach 2
        ("2", {"3.1": 91}, "refuted"),
        ("2", {"3.1": 91.25}, "undecided"),  # 0.75 points: above 0.5, and below 1
        ("2", {"3.1": 91.5}, "holds"),
        ("2", {"3.1": 93}, "holds"),  # a gain is no loss
        ("3", {"2.8": 90.95}, "undecided"),
        ("3", {"2.6": 89}, "undecided"),  # HL loses more, LH less
        ("3", {"2.6": 89, "2.7": 89}, "refuted"),
        ("4", {"1.2": 90}, "refuted"),
        ("4", {"1.2": 91.05}, "undecided"),
        ("5a", {(20, 12): 90}, "undecided"),
        ("5a", {(20, 12): 90, (14, 12): 90}, "refuted"),
        ("5b", {(20, 15): 92.5, (14, 16): 92.5}, "refuted"),
    ],
)
def test_each_verdict_follows_its_rule(
    paper: Paper, number: str, changed: dict[Any, float], verdict: str
) -> None:
    assert judged(paper, {**AS_PRINTED, **changed})[number] == verdict


def test_nothing_is_judged_before_all_seeds_are_there(paper: Paper) -> None:
    assert set(judged(paper, AS_PRINTED, seeds=1).values()) == {"not judged"}
    assert set(judged(paper, AS_PRINTED, seeds=2).values()) == {"not judged"}
    assert {one.verdict for one in verdicts(StudyResults(paper, []))} == {"not judged"}


def test_one_missing_seed_leaves_all_statements_open(paper: Paper) -> None:
    found = records(paper, AS_PRINTED)
    frozen = next(each for each in found if each.frozen)
    found.remove(frozen)
    measured = StudyResults(paper, found)
    assert measured.runs == (67, 68)
    assert {one.verdict for one in verdicts(measured)} == {"not judged"}


def test_other_recipes_and_networks_do_not_count(paper: Paper) -> None:
    found = records(paper, AS_PRINTED)
    config = result(0.1, 7, name="resnet20", alpha=["0"], paths=[""])  # 24 epochs
    other = result(0.1, 8, name="resnet20", alpha=["0"], paths=[""], between="bn")
    other["config"]["epochs"] = 16
    measured = StudyResults(paper, [*found, record(config), record(other)])
    assert len(measured.part_a["1.1"].values) == 5
    assert measured.runs == (68, 68)


def test_the_pooled_deviation_by_hand(paper: Paper) -> None:
    measured = StudyResults(paper, records(paper, AS_PRINTED))
    # 17 networks with squares of 0.01 + 0 + 0.01, and plain with two of 0.0025 more: 17 x 2 + 4 degrees.
    s, freedom = measured.deviation or (0.0, 0)
    assert freedom == 38
    assert s == pytest.approx(((17 * 0.02 + 0.025) / 38) ** 0.5, rel=1e-6)


def test_student_by_published_values() -> None:
    # Student's t table (two-sided, 95 %): 1, 2, 4, 8, 30 and 120 degrees of freedom.
    table = {1: 12.706, 2: 4.303, 4: 2.776, 8: 2.306, 30: 2.042, 120: 1.980}
    for freedom, t in table.items():
        assert quantile(freedom) == pytest.approx(t, abs=5e-4)
    assert quantile(10, 0.99) == pytest.approx(3.169, abs=5e-4)


def test_three_seeds_against_three_is_what_the_protocol_says() -> None:
    found = difference([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], 1.0)
    assert found == Interval(0.0, pytest.approx(2.27, abs=0.005))
    assert pooled([[1.0], [2.0]]) is None


def test_page_and_records_agree(paper: Paper) -> None:
    page = (ROOT / "docs/accuracies.md").read_text(encoding="utf-8")
    assert page == accuracy_page(paper, read_records([ROOT / "docs/records"]))


def test_a_changed_digit_in_a_record_changes_the_page(paper: Paper, tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    for path in (ROOT / "docs/records").glob("*.json"):
        (tmp_path / "records" / path.name).write_bytes(path.read_bytes())
    one = next(iter(sorted((tmp_path / "records").glob("*.json"))))
    content = json.loads(one.read_text(encoding="utf-8"))
    content["accuracy"] += 0.01
    one.write_text(json.dumps(content), encoding="utf-8")
    page = (ROOT / "docs/accuracies.md").read_text(encoding="utf-8")
    assert page != accuracy_page(paper, read_records([tmp_path / "records"]))
