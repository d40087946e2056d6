"""Reports of verifications: totals, known defects, and sweeps over many networks."""

from __future__ import annotations

from typing import Any

import pytest

from costmodel.checks import verify_sweep
from costmodel.checks.comparison import Check, Report, Row, total_row
from costmodel.checks.verify_report import excuse_table, total_table, verdict
from costmodel.checks.verify_sweep import Configuration, Outcome, summary_table, verify_configuration
from tests.costmodel.checks.test_defects import verify


def test_a_total_is_excused_for_exactly_what_its_layers_are() -> None:
    rows = [
        Row("a", "conv", [Check("macs", 10, {"fvcore": 0}, {"fvcore": "text padding"})]),
        Row("b", "conv", [Check("macs", 5, {"fvcore": 5}, {})]),
    ]
    assert total_row(rows, {"macs": {"fvcore": 5}}).agrees
    for count in (0, 4, 6, 14):
        assert not total_row(rows, {"macs": {"fvcore": count}}).agrees
    assert total_row(rows, {"macs": {"fvcore": 15}}).agrees  # right after all


def test_a_known_defect_is_shown_with_its_reason() -> None:
    report = verify("text padding")
    assert verdict(report.rows) == "known defect"
    of_fvcore = [row for row in total_table(report).rows if row["counter"] == "fvcore"]
    assert [row["verdict"] for row in of_fvcore] == ["known defect"]
    (found,) = excuse_table(report, {"text padding": "why"}).rows
    assert (found["quantity"], found["defect"], found["reason"]) == ("MACs", "text padding", "why")


def test_the_worst_verdict_of_rows_is_theirs() -> None:
    right = Row("a", "conv", [Check("macs", 5, {"fvcore": 5}, {})])
    wrong = Row("b", "conv", [Check("macs", 5, {"fvcore": 6}, {})])
    assert (verdict([right]), verdict([right, wrong])) == ("ok", "differs")


def test_a_sweep_verifies_what_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    rows = [Row("a", "conv", [Check("macs", 5, {"fvcore": 5, "FlopCounterMode": 5}, {})])]

    def spy(name: str, **options: Any) -> Report:
        asked.update(options, name=name)
        return Report(name, rows, Row("total", "total", ()))

    monkeypatch.setattr(verify_sweep, "verify_named", spy)
    outcome = verify_configuration(Configuration(8, "PwiseOct", "1/4", "4", ("HL", "LL")))
    assert asked == {"name": "resnet8", "alpha": "1/4", "beta": "4", "paths": ["HL", "LL"]}
    assert (outcome.modules, outcome.numbers, outcome.differences) == (1, 2, ())


def test_a_summary_adds_up() -> None:
    one, other = Configuration(8, "plain"), Configuration(14, "Oct", "1/4")
    outcomes = [Outcome(one, 10, 60, ()), Outcome(other, 1, 2, ("x",)), Outcome(other, 2, 5, ())]
    rows = summary_table(outcomes).rows
    assert [(r["networks"], r["modules"], r["numbers"], r["differing"]) for r in rows] == [
        (1, 10, 60, 0),
        (2, 3, 7, 1),
        (3, 13, 67, 1),
    ]


def test_a_row_says_all_that_is_wrong() -> None:
    row = Row(
        "a", "conv", [Check("macs", 5, {"fvcore": 6, "x": 5}, {})], missing="formula", failure="it fails"
    )
    assert [*row.differences()] == [
        "it fails",
        "a: there is no formula of this name",
        "a: MACs: formula 5, fvcore 6",
    ]
    assert not Row("a", "conv", (), failure="it fails").agrees
    assert not Row("a", "conv", (), missing="module").agrees
