"""The verdicts of the protocol, on made-up accuracies whose answers are known."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from costmodel.paper.accuracies import accuracy_page, deep_table
from costmodel.paper.printed import Paper
from costmodel.paper.protocol import hypotheses
from costmodel.paper.records import Record, read_records, record
from costmodel.paper.sensitivity import other_verdicts, sensitivity_table
from costmodel.paper.study_choice import choice_table, loss_table
from costmodel.paper.study_results import RIVALS, TRAINING, StudyResults, done_and_wanted
from tests.costmodel.paper.test_records import result

ROOT = Path(__file__).parents[3]
SPREAD = (-0.1, 0.0, 0.1, 0.05, -0.05)  # of the seeds around each mean


def content(mean: float, seed: int, **model: Any) -> dict[str, Any]:
    made = result((mean + SPREAD[seed]) / 100, seed, **{"name": "resnet20", **model})
    return {**made, "config": {**made["config"], **copy.deepcopy(TRAINING)}}


def run(mean: float, seed: int, **model: Any) -> Record:
    return record(content(mean, seed, **model))


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


def verdicts(measured: StudyResults) -> dict[str, str]:
    return {one.number: one.verdict(measured) for one in hypotheses(measured)}


def judged(paper: Paper, means: Mapping[Any, float], seeds: int = 3) -> dict[str, str]:
    return verdicts(StudyResults(paper, records(paper, means, seeds)))


def done(measured: StudyResults) -> tuple[int, int]:
    return done_and_wanted([*measured.part_a.values(), *measured.part_b.values()])


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
        ("3", {"2.6": 89}, "mixed"),  # HL loses more, LH less
        ("3", {"2.6": 89, "2.7": 89}, "refuted"),
        ("4", {"1.2": 90}, "refuted"),
        ("4", {"1.2": 91.05}, "undecided"),
        (
            "5a",
            {(20, 12): 90},
            "mixed",
        ),  # better than that of equal MACs, worse than that of equal parameters
        ("5a", {(20, 12): 89.1}, "undecided"),
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
    assert set(verdicts(StudyResults(paper, [])).values()) == {"not judged"}


def test_one_missing_seed_leaves_all_statements_open(paper: Paper) -> None:
    found = records(paper, AS_PRINTED)
    frozen = next(each for each in found if each.frozen)
    found.remove(frozen)
    measured = StudyResults(paper, found)
    assert done(measured) == (67, 68)
    assert set(verdicts(measured).values()) == {"not judged"}


OTHERS: list[Callable[[dict[str, Any]], Any]] = [
    lambda run: run.update(seed=5),
    lambda run: run.update(seed=-1),
    lambda run: run.update(batch=64),
    lambda run: run.update(epochs=30),
    lambda run: run["data"].update(train_images=100),
    lambda run: run["data"].update(validation=5000),
    lambda run: run["optimiser"].update(lr=0.02),
    lambda run: run["machine"].update(precision="fp32"),
    lambda run: run["model"].update(between="bn"),
    lambda run: run["model"].update(width=24),
    lambda run: run["machine"].update(ranks=2),
    lambda run: run["machine"].update(compile=True),
    lambda run: run["machine"].update(device="cuda"),
]


@pytest.mark.parametrize("change", OTHERS)
def test_runs_outside_the_protocol_do_not_count(
    paper: Paper, change: Callable[[dict[str, Any]], Any]
) -> None:
    found = records(paper, AS_PRINTED)
    other = content(50, 4, alpha=["0"], paths=[""])
    change(other["config"])
    measured = StudyResults(paper, [*found, record(other)])
    assert len(measured.part_a["1.1"].values) == 5
    assert min(measured.part_a["1.1"].values) > 90
    assert done(measured) == (68, 68)
    assert measured.others == 1
    assert "1 record of another network, recipe, precision or seed" in accuracy_page(
        paper, [*found, record(other)]
    )


def test_a_run_that_was_changed_midway_does_not_count(paper: Paper) -> None:
    found, other = records(paper, AS_PRINTED), content(50, 4, alpha=["0"], paths=[""])
    changed = [record({**other, "changes": [key]}) for key in ("optimiser.lr", "data", "machine.ranks")]
    measured = StudyResults(paper, [*found, *changed])
    assert done(measured) == (68, 68)
    assert measured.others == 3
    found = [each for each in found if not each.is_of(paper.by_key["1.1"], depth=20) or each.seed != 4]
    harmless = record({**other, "changes": ["machine.threads"]})
    assert done(StudyResults(paper, [*found, harmless])) == (68, 68)


def test_a_record_too_many_is_an_error(paper: Paper) -> None:
    """Another plan or other threads: the second run of a seed is no sample of its own."""
    again = content(91, 4, alpha=["0"], paths=[""])
    again["config"]["machine"]["plan"] = "lean"
    measured = StudyResults(paper, [*records(paper, AS_PRINTED), record(again)])
    with pytest.raises(ValueError, match="two records are of plain-20 with seed 4: the study has one each"):
        _ = measured.part_a


def test_the_training_of_the_protocol_is_the_recipe() -> None:
    from pwoct.training.config import compose

    config = compose("fast", values={"epochs": 16}).model_dump(mode="json")
    assert record({**result(0.9), "config": config}).training == json.dumps(TRAINING, sort_keys=True)


def test_deep_networks_have_a_table_and_no_verdict(paper: Paper) -> None:
    found = records(paper, AS_PRINTED)
    deep = [run(93, seed, name="resnet56", alpha=["0"], paths=[""]) for seed in (0, 1, 2)]
    measured = StudyResults(paper, [*found, *deep])
    assert measured.part_c["1.1"].values == pytest.approx((92.9, 93.0))  # seed 2 is not of the protocol
    assert [row["network"] for row in deep_table(measured).rows] == ["plain-56"]
    assert verdicts(measured) == verdicts(StudyResults(paper, found))


def test_the_page_says_how_far_the_study_is(paper: Paper) -> None:
    found = records(paper, AS_PRINTED)
    page = accuracy_page(paper, found)
    assert "Runs done: 56 of 56 of part a, 12 of 12 of part b, 0 of 14 of part c." in page
    some = [each for each in found if (each.depth, each.width) != (14, 12)]
    page = accuracy_page(paper, some)
    assert "9 of 12 of part b" in page
    assert "No statement is judged" not in page
    assert (
        "**5a. Pwise-20 0.25 all is worth its cost: not judged.** Measured: no run of plain-14 (width 12)."
        in page
    )
    assert "**5b. Pwise-20 0.25 HL,LH,LL is worth its cost: holds.**" in page
    assert "No statement is judged before part a is complete.**" in accuracy_page(paper, found[1:])


def test_other_methods_by_hand(paper: Paper) -> None:
    measured = StudyResults(paper, records(paper, AS_PRINTED))
    rows = {row["difference"]: row for row in sensitivity_table(measured).rows}
    assert len(rows) == 10
    row = rows[
        "2 loss at alpha 1/4"
    ]  # 92 against 92: s is 0.0980, its error s sqrt(2 / 3), t 2.776 and 2.024
    s = ((17 * 0.02 + 0.025) / 38) ** 0.5 * (2 / 3) ** 0.5
    assert (row["value"], row["chance"]) == ("0.00", "1.000")
    assert (row["registered"], row["pooled"]) == (f"± {2.776 * s:.2f}", f"± {2.024 * s:.2f}")
    assert row["paired"] == "0.00 ± 0.00"  # every seed deviates alike in all networks
    assert rows["1 loss at alpha 1/4"]["chance"] == "< 0.001"


def test_verdicts_that_depend_on_the_method_are_named(paper: Paper) -> None:
    # The half-widths are 0.222 and 0.162, and the difference is between them.
    found = records(paper, {**AS_PRINTED, "2.6": 90.2})
    measured = StudyResults(paper, found)
    assert verdicts(measured)["3"] == "undecided"
    assert other_verdicts(measured) == ["3 holds instead of undecided"]
    assert "these verdicts change: 3 holds instead of undecided" in accuracy_page(paper, found)
    assert "no verdict changes" in accuracy_page(paper, records(paper, AS_PRINTED))


def test_the_choice_of_section_5_2(paper: Paper) -> None:
    means = {**AS_PRINTED, "2.1": 90.5, "2.2": 91, "2.3": 91.5, "2.4": 91.9, "2.5": 91.1}
    measured = StudyResults(paper, records(paper, means))
    quarter, three_quarters = choice_table(paper, measured).rows
    assert (quarter["left_out"], quarter["next"], quarter["verdict"]) == ("HH", "HL", "certain")
    assert quarter["margin"] == "0.50 ± 0.22"
    assert (three_quarters["left_out"], three_quarters["verdict"]) == ("LL", "certain")
    losses = {row["network"]: row for row in loss_table(paper, measured).rows}
    assert losses["Pwise-20 0.25 HH"]["lost"] == "1.50 ± 0.22"
    assert losses["Pwise-20 0.25 LL"]["per_saved"] is None  # 0.1 points may be nothing
    assert losses["Pwise-20 0.25 LH"]["per_saved"] is None  # its bottlenecks cost more parameters
    tie = StudyResults(paper, records(paper, {**means, "2.2": 90.6}))
    assert choice_table(paper, tie).rows[0]["verdict"] == "undecided"


def test_the_pooled_deviation_by_hand(paper: Paper) -> None:
    measured = StudyResults(paper, records(paper, AS_PRINTED))
    # 17 networks with squares of 0.01 + 0 + 0.01, and plain with two of 0.0025 more: 17 x 2 + 4 degrees.
    s, freedom = measured.deviation or (0.0, 0)
    assert freedom == 38
    assert s == pytest.approx(((17 * 0.02 + 0.025) / 38) ** 0.5, rel=1e-6)


def test_page_and_records_agree(paper: Paper) -> None:
    page = (ROOT / "docs/accuracies.md").read_text(encoding="utf-8")
    assert page == accuracy_page(paper, read_records([ROOT / "docs/records"]))


def test_a_changed_digit_in_a_record_changes_the_page(paper: Paper, tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    for path in (ROOT / "docs/records").glob("*.json"):
        (tmp_path / "records" / path.name).write_bytes(path.read_bytes())
    one = next(iter(sorted((tmp_path / "records").glob("*.json"))))
    made = json.loads(one.read_text(encoding="utf-8"))
    correct = made["correct"] + 100
    one.write_text(json.dumps({**made, "correct": correct, "accuracy": correct / 10_000}), encoding="utf-8")
    with pytest.raises(ValueError, match=f"{one.name} is not a record .* its sha256 does not match"):
        read_records([tmp_path / "records"])
    del made["sha256"]
    one.write_text(json.dumps({**made, "correct": correct, "accuracy": correct / 10_000}), encoding="utf-8")
    page = (ROOT / "docs/accuracies.md").read_text(encoding="utf-8")
    assert page != accuracy_page(paper, read_records([tmp_path / "records"]))
