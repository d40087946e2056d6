from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from costmodel.checks import theorems
from costmodel.checks.prove import Claim

Run = Callable[..., Any]


def test_operators_are_proved(pwoct_cost: Run) -> None:
    result = pwoct_cost("prove", "operators", "--format", "json")
    assert result.code == 0
    assert result.json["proved"] is True
    assert [row["theorem"] for row in result.json["theorems"]] == [
        "standard convolution",
        "standard convolution, any stride and padding",
        "standard 3x3 convolution, stride 2",
        "standard 3x3 convolution, stride 3",
        "grouped convolution",
        "depthwise convolution",
        "pointwise convolution",
        "separable convolution",
        "linear layer",
    ]
    assert {row["method"] for row in result.json["theorems"]} == {"symbolic"}
    assert {row["verdict"] for row in result.json["theorems"]} == {"proved"}


def test_a_table_fits_the_terminal(pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = list(theorems.operator_claims())
    monkeypatch.setattr(theorems, "operator_claims", lambda pairs: claims[-1:])
    ran = pwoct_cost("prove", "operators")
    assert ran.code == 0
    assert "linear layer" in ran.out
    assert "1 of 1 theorems proved" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_a_claim_that_fails_is_exit_code_1(pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Claim("a claim without runs", "n", list)
    linear = list(theorems.operator_claims())[-1]
    monkeypatch.setattr(theorems, "operator_claims", lambda pairs: [linear, nothing])
    ran = pwoct_cost("prove", "operators")
    assert ran.code == 1
    assert "pwoct-cost: not proved: a claim without runs" in ran.err
    assert "1 of 2 theorems proved" in ran.out


def test_an_unknown_subject_is_refused(pwoct_cost: Run) -> None:
    ran = pwoct_cost("prove", "everything")
    assert ran.code == 2
    assert ran.err.count("\n") == 1
