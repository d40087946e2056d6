from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

Run = Callable[..., Any]


def test_equations_are_proved(pwoct_cost: Run) -> None:
    run = pwoct_cost("equations", "--format", "json")
    assert run.code == 0
    assert run.json["holds"] is True
    assert [row["equation"] for row in run.json["equations"]][-12:] == [f"({n})" for n in range(3, 15)]
    lh = [row for row in run.json["path_savings"] if (row["layer"], row["path"]) == ("16 → 16", "LH")]
    assert [(row["plain"], row["bottleneck"]) for row in lh] == [(9 * 4 * 12, 4 * 6 + 9 * 36 + 6 * 12)]


def test_the_tables_fit_a_terminal(pwoct_cost: Run) -> None:
    run = pwoct_cost("equations")
    assert max(map(len, run.out.splitlines())) <= 80
    assert "alpha > 11/45 = 0.2444" in run.out
    assert run.out.count("-63.9 %") >= 2


def test_other_betas_and_kernels(pwoct_cost: Run) -> None:
    run = pwoct_cost("equations", "--beta", "1,4", "--kernel", "5", "--format", "json")
    limits = {(row["beta"], row["layer"], row["path"]): row["saves"] for row in run.json["break_even_alpha"]}
    assert limits["1", "c to c", "HH"] == "never"
    # r/16 + (1 + r)/100 < 1: r < 396/29, and alpha > 1/(1 + r)
    assert limits["4", "c to c", "LH"].startswith("alpha > 29/425")


def test_an_equation_that_does_not_hold_is_a_failed_check(
    pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from costmodel.paper import equation_tables

    right = equation_tables.equations()
    wrong = (*right[:-1], replace(right[-1], paper=2 * right[-1].paper))
    monkeypatch.setattr(equation_tables, "equations", lambda: wrong)
    run = pwoct_cost("equations", "--format", "json")
    assert run.code == 1
    assert run.json["holds"] is False
    assert [row["equation"] for row in run.json["equations"] if not row["holds"]] == ["(14)"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--alpha", "1.5"], "alpha must be in [0, 1], got 1.5"),
        (["--beta", "0.5"], "beta must be at least 1, got 0.5"),
        (["--kernel", "4"], "kernel must be odd, got 4"),
        (["--width-rule", "half"], "width rule must be one of out, in, min, mean, got half"),
    ],
)
def test_bad_input_is_one_line(pwoct_cost: Run, arguments: list[str], message: str) -> None:
    run = pwoct_cost("equations", *arguments)
    assert (run.code, run.out, run.err) == (2, "", f"pwoct-cost: error: {message}\n")
