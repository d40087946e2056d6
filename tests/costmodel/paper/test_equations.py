from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import sympy as sp

from costmodel.convention import Cost
from costmodel.operators import recorder
from costmodel.paper.equations import (
    alpha,
    beta,
    bottleneck_cost,
    c,
    equations,
    f,
    h_high,
    k,
    layer_saving,
    w,
    w_high,
)


def test_every_numbered_equation_is_there_and_holds() -> None:
    numbers = [int(equation.number) for equation in equations() if equation.number]
    assert numbers == list(range(3, 15))
    assert all(equation.difference == 0 for equation in equations())
    assert len(equations()) == 6 + 12


@pytest.mark.parametrize(
    ("number", "macs"),
    [
        # c = 16, alpha = 1/4: 12 high channels at 32x32, 4 low ones at 16x16; k = 3
        ("3", 32 * 32 * 9 * 12 * 12),
        ("4", 16 * 16 * 9 * 12 * 4),
        ("5", 16 * 16 * 9 * 4 * 12),
        ("6", 16 * 16 * 9 * 4 * 4),
        ("7", 32 * 32 * 9 * 12 * 12 + 16 * 16 * 9 * (12 * 4 + 4 * 12 + 4 * 4)),
        # beta = 2: widths 6 into the high branch, 2 into the low one
        ("10", 32 * 32 * (12 * 6 + 9 * 6 * 6 + 6 * 12)),
        ("11", 16 * 16 * (12 * 2 + 9 * 2 * 2 + 2 * 4)),
        ("12", 16 * 16 * (4 * 6 + 9 * 6 * 6 + 6 * 12)),
        ("13", 16 * 16 * (4 * 2 + 9 * 2 * 2 + 2 * 4)),
    ],
)
def test_both_forms_give_the_hand_value(number: str, macs: int) -> None:
    equation = next(one for one in equations() if one.number == number)
    sizes = {c: 16, k: 3, h_high: 32, w_high: 32, alpha: Fraction(1, 4), beta: 2}
    assert equation.paper.subs(sizes) == macs
    assert equation.in_paper_symbols.subs(sizes) == macs


def test_a_wrong_form_does_not_hold() -> None:
    equation = next(one for one in equations() if one.number == "12")
    at_full_resolution = replace(equation, paper=4 * equation.paper)
    assert not at_full_resolution.holds
    assert at_full_resolution.difference != 0


def test_a_wrong_cost_model_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    right = recorder.convolution

    def forgets_the_kernel_height(c_in: Any, c_out: Any, kernel: Any, *rest: Any, **options: Any) -> Cost:
        return right(c_in, c_out, (1, kernel[1]), *rest, **options)

    monkeypatch.setattr(recorder, "convolution", forgets_the_kernel_height)
    # Section 3's formulas come without the recorder; all others are wrong now.
    assert [equation.number for equation in equations() if equation.holds] == [""] * 6


def test_the_saving_of_section_5_3_by_hand() -> None:
    plain, bottleneck = 9 * 16 * 16, 16 * 8 + 9 * 8 * 8 + 8 * 16
    assert (
        layer_saving("params") == layer_saving("macs") == 1 - Fraction(bottleneck, plain) == Fraction(23, 36)
    )


def test_a_bottleneck_is_the_sum_of_three_convolutions() -> None:
    m = sp.Symbol("m")
    cost = bottleneck_cost(c, f, m)
    assert sp.expand(cost.params - (c * m + k**2 * m**2 + m * f)) == 0
    assert sp.expand(cost.macs - w**2 * (c * m + k**2 * m**2 + m * f)) == 0
