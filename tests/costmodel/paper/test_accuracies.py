"""The page of measured accuracies: other methods, costs, the choice, and the records behind it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from costmodel.paper.accuracies import accuracy_page
from costmodel.paper.printed import Paper
from costmodel.paper.records import Record, read_records
from costmodel.paper.sensitivity import differences, other_verdicts, sensitivity_table
from costmodel.paper.study_choice import choice_table, loss_table
from costmodel.paper.study_results import StudyResults
from tests.costmodel.paper.test_protocol import AS_PRINTED, records, verdicts

ROOT = Path(__file__).parents[3]


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
    rows = {row["difference"]: row for row in sensitivity_table(differences(measured)).rows}
    assert len(rows) == 10
    row = rows[
        "2 loss at alpha 1/4"
    ]  # 92 against 92: s is 0.0980, its error s sqrt(2 / 3), t 2.776 and 2.024
    s = ((17 * 0.02 + 0.025) / 38) ** 0.5 * (2 / 3) ** 0.5
    assert (row["value"], row["chance"]) == ("0.00", "1.000")
    assert (row["registered"], row["pooled"]) == (f"± {2.776 * s:.2f}", f"± {2.024 * s:.2f}")
    assert row["paired"] == "0.00 ± 0.00"  # every seed deviates alike in all networks
    assert rows["1 loss at alpha 1/4"]["chance"] == "< 0.001"


def spread(found: list[Record], paper: Paper, changes: Mapping[str, tuple[float, ...]]) -> list[Record]:
    """Runs whose seeds deviate from their means as given, by row."""
    moved = []
    for each in found:
        key = next((key for key in changes if each.is_of(paper.by_key[key], depth=20)), None)
        more = changes[key][each.seed] / 100 if key else 0.0
        moved.append(replace(each, accuracy=each.accuracy + more))
    return moved


def test_pairs_and_intervals_of_unequal_seeds_by_hand(paper: Paper) -> None:
    # Oct: 90.9, 91.0, 91.4; plain: 90.9, 91.0, 91.1, 91.05, 90.95. In pairs 0, 0, 0.3; in all 0.1.
    found = spread(records(paper, {**AS_PRINTED, "1.2": 91}), paper, {"1.2": (0.0, 0.0, 0.3)})
    measured = StudyResults(paper, found)
    (row,) = (row for row in sensitivity_table(differences(measured)).rows if row["difference"][0] == "4")
    s = ((16 * 0.02 + 0.14 + 0.025) / 38) ** 0.5
    error = s * (1 / 3 + 1 / 5) ** 0.5
    assert row["value"] == "0.10"
    assert (row["registered"], row["pooled"]) == (f"± {2.447 * error:.2f}", f"± {2.024 * error:.2f}")
    assert row["paired"] == f"0.10 ± {4.303 * 0.03**0.5 / 3**0.5:.2f}"


def test_the_smallest_differences_by_hand(paper: Paper) -> None:
    s = ((17 * 0.02 + 0.025) / 38) ** 0.5
    error = s * (2 / 3) ** 0.5
    page = " ".join(accuracy_page(paper, records(paper, AS_PRINTED)).split())
    assert f"is {s:.2f} points (38 degrees of freedom). Of the plain network alone: 0.08." in page
    assert (
        f"differ by more than {2.776 * error:.2f} points (95 % would need {2.024 * error:.2f}), and a true"
        f" difference of {(2.776 + 0.851) * error:.2f} points with a probability of about 80 %."
    ) in page


def test_verdicts_that_depend_on_the_method_are_named(paper: Paper) -> None:
    # The half-widths are 0.222 and 0.162, and the difference is between them; in pairs it is exact.
    found = records(paper, {**AS_PRINTED, "2.6": 90.2})
    measured = StudyResults(paper, found)
    assert verdicts(measured)["3"] == "undecided"
    changed = ["3 holds instead of undecided"]
    assert other_verdicts(differences(measured)) == {"pooled": changed, "paired": changed, "chance": changed}
    page = accuracy_page(paper, found)
    assert page.count("**3 holds instead of undecided**") == 3
    assert accuracy_page(paper, records(paper, AS_PRINTED)).count(": no verdict changes.") == 3


def test_pairs_may_tell_less_than_all_seeds(paper: Paper) -> None:
    found = spread(records(paper, {**AS_PRINTED, "2.8": 90.6}), paper, {"2.8": (0.2, 0.0, -0.2)})
    measured = StudyResults(paper, found)
    assert verdicts(measured)["3"] == "holds"  # 0.4 by ± 0.25
    changed = other_verdicts(differences(measured))
    assert changed == {"pooled": [], "paired": ["3 undecided instead of holds"], "chance": []}


def test_a_p_value_decides_only_about_signs(paper: Paper) -> None:
    """Statement 2 holds without any difference: a p-value of 1 says nothing against it."""
    found = differences(StudyResults(paper, records(paper, AS_PRINTED)))
    (loss,) = (each for each in found if each.statement.number == "2")
    assert loss.adjusted == 1
    assert other_verdicts(found)["chance"] == []


@pytest.mark.parametrize(
    ("small", "short", "said"),
    [
        (
            88,
            87,
            "more accurate than plain-20 (width 12) and more accurate than plain-14 (width 12): it is worth",
        ),
        (
            90,
            90,
            "less accurate than plain-20 (width 12) and less accurate than plain-14 (width 12): a smaller ",
        ),
        (
            90,
            87,
            "less accurate than plain-20 (width 12) and more accurate than plain-14 (width 12): it pays whe",
        ),
        (
            88,
            90,
            "more accurate than plain-20 (width 12) and less accurate than plain-14 (width 12): it pays whe",
        ),
        (89.1, 87, "not told apart from plain-20 (width 12) and more accurate than plain-14 (width 12).\n"),
    ],
)
def test_the_worth_of_a_network_in_words(paper: Paper, small: float, short: float, said: str) -> None:
    found = records(paper, {**AS_PRINTED, (20, 12): small, (14, 12): short})
    assert f"  * In words: it is {said}" in accuracy_page(paper, found)


def test_what_the_plain_networks_cost(paper: Paper) -> None:
    # 153,622 and 98,854 parameters against 152,778; 23,040,480 and 15,077,856 MACs against 14,244,480
    assert (
        "  * Costs: plain-20 (width 12), nearest in parameters, has 0.6 % more parameters and 61.8 % more"
        " MACs; plain-14 (width 12), nearest in MACs, has 35.3 % fewer parameters and 5.9 % more MACs."
    ) in accuracy_page(paper, [])
    assert "In words" not in accuracy_page(paper, [])


def test_the_figure_shows_what_the_page_says() -> None:
    page = (ROOT / "docs/accuracies.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    shown = [f"{row[0]} {row[4]} {row[5]}" for row in rows if len(row) == 8 and row[4][:1].isdigit()]
    assert len(shown) >= 18
    figure = (ROOT / "docs/figures/accuracies.svg").read_text(encoding="utf-8")
    (words,) = re.findall("<desc>Test accuracy .*: (.*)\\.</desc>", figure)
    assert words.split("; ") == shown


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
