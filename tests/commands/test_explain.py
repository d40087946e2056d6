from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from costmodel.operators.registry import operator as operator_of
from costmodel.operators.registry import operators

Run = Callable[..., Any]


@pytest.mark.parametrize("operator", operators())
def test_every_operator_is_explained(pwoct_cost: Run, operator: str) -> None:
    run = pwoct_cost("explain", operator)
    assert run.code == 0
    assert run.out.startswith(operator_of(operator).title)
    assert max(map(len, run.out.splitlines())) <= 80
    assert pwoct_cost("explain", operator, "--format", "json").json["derivation"]


def formulas(run: Any) -> dict[tuple[str, str], str]:
    return {(row["part"], row["quantity"]): row["formula"] for row in run.json["formulas"]}


def test_formulas_are_those_of_the_textbook(pwoct_cost: Run) -> None:
    standard = formulas(pwoct_cost("explain", "standard", "--format", "json"))
    assert standard["standard", "params"] == "c_in*c_out*k_h*k_w/g"
    assert standard["standard", "macs"] == "b*c_in*c_out*h*k_h*k_w*w/g"
    octave = formulas(pwoct_cost("explain", "octave", "--format", "json"))
    assert octave["HH", "macs"] == "c_H**2*h*k**2*w"
    assert octave["LH", "macs"] == "c_H*c_L*h*k**2*w/4"
    pwise = formulas(pwoct_cost("explain", "pwise", "--format", "json"))
    assert pwise["LH", "params"] == "m*(c_H + c_L + k**2*m)"


def test_an_unknown_operator_is_one_line(pwoct_cost: Run) -> None:
    run = pwoct_cost("explain", "winograd")
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("pwoct-cost: error: operator must be one of standard, ")
