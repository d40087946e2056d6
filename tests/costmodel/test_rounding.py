from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.rounding import (
    as_ratio,
    check_alpha,
    check_beta,
    hidden,
    split,
    split_note,
    unrounded_hidden,
    width_note,
)

ALPHAS = st.fractions(0, 1, max_denominator=200)
BETAS = st.fractions(1, 100, max_denominator=50)
CHANNELS = st.integers(1, 300)


@pytest.mark.parametrize(
    ("value", "ratio"),
    [
        ("0.25", Fraction(1, 4)),
        ("1/3", Fraction(1, 3)),
        (" 1 ", Fraction(1)),
        ("2.5e-1", Fraction(1, 4)),
        (0.1, Fraction(1, 10)),
        (0.7, Fraction(7, 10)),
        (1, Fraction(1)),
        (Fraction(2, 6), Fraction(1, 3)),
    ],
)
def test_ratios_are_exact(value: float | str | Fraction, ratio: Fraction) -> None:
    assert as_ratio(value) == ratio


@pytest.mark.parametrize(
    "text", ["abc", "", "1/0", "nan", "inf", "1e999999999", "1e-999999999", "0x1", float("inf")]
)
def test_what_is_no_number_is_refused_at_once(text: str | float) -> None:
    with pytest.raises(ValueError, match=r"^a ratio must be a number such as 0.25 or 1/4, got "):
        as_ratio(text)


@pytest.mark.parametrize("alpha", [1.5, "-0.25", "5/4"])
def test_alpha_is_at_least_0_and_at_most_1(alpha: float | str) -> None:
    with pytest.raises(ValueError, match=rf"^alpha must be in \[0, 1\], got {alpha}$"):
        check_alpha(alpha)
    assert (check_alpha(0), check_alpha(1)) == (0, 1)


def test_beta_is_at_least_1() -> None:
    assert check_beta(1) == 1
    with pytest.raises(ValueError, match=r"^beta must be at least 1, got 0.99$"):
        check_beta(0.99)


@pytest.mark.parametrize(
    ("channels", "alpha", "high", "low"),
    [
        (16, Fraction(1, 4), 12, 4),
        (10, Fraction(4, 5), 2, 8),  # in binary floats (1 - 0.8) 10 is less than 2
        (10, Fraction(1, 4), 8, 2),
        (16, Fraction(0), 16, 0),
        (16, Fraction(1), 0, 16),
        (3, Fraction(1, 4), 3, 0),
    ],
)
def test_the_low_branch_is_rounded_down(channels: int, alpha: Fraction, high: int, low: int) -> None:
    assert split(channels, alpha) == (high, low)


@given(CHANNELS, ALPHAS)
@settings(max_examples=500)
def test_a_split_is_the_nearest_below_and_loses_no_channel(channels: int, alpha: Fraction) -> None:
    high, low = split(channels, alpha)
    assert high + low == channels
    assert low * alpha.denominator <= channels * alpha.numerator < (low + 1) * alpha.denominator


@pytest.mark.parametrize(
    ("rule", "width"), [("out", 12 // 5), ("in", 40 // 5), ("min", 12 // 5), ("mean", 52 // 10)]
)
def test_width_rules(rule: str, width: int) -> None:
    assert hidden(40, 12, Fraction(5), rule) == width


@given(CHANNELS, CHANNELS, BETAS)
@settings(max_examples=500)
def test_a_width_is_the_nearest_below_but_at_least_one(c_in: int, c_out: int, beta: Fraction) -> None:
    m = hidden(c_in, c_out, beta)
    assert m == 1 or (m > 1 and m * beta <= c_out)
    assert (m + 1) * beta > c_out


def test_an_unknown_width_rule_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^width rule must be one of out, in, min, mean, got max$"):
        unrounded_hidden(4, 4, Fraction(2), "max")


def test_symbols_keep_floor_and_maximum() -> None:
    c, alpha, beta = sp.symbols("c alpha beta", positive=True)
    assert split(c, alpha) == (c - sp.floor(alpha * c), sp.floor(alpha * c))
    assert hidden(c, c, beta) == sp.Max(1, sp.floor(c / beta))
    assert hidden(c, 2 * c, beta, "min").subs({c: 9, beta: 2}) == 4


def test_notes_tell_where_rounding_acted_and_are_silent_elsewhere() -> None:
    assert split_note(16, Fraction(1, 4)) == ""
    assert split_note(16, Fraction(1, 3)) == "alpha 1/3 of 16 channels is 5.33333: c_L = 5"
    assert width_note("HL", 12, 4, Fraction(2)) == ""
    assert width_note("HL", 12, 4, Fraction(3)) == "HL 12 → 4 at beta 3: 1.33333 hidden channels: m = 1"
    assert width_note("HL", 12, 4, Fraction(8)).endswith("0.5 hidden channels: m = 1 (raised to 1)")
