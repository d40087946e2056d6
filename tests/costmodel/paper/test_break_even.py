from __future__ import annotations

from fractions import Fraction
from math import sqrt

import pytest
import sympy as sp

from costmodel.operators.octave import PATHS, OctaveLayer
from costmodel.operators.pwise_octave import pwise_octave
from costmodel.paper.break_even import (
    beta,
    cost_ratio,
    limits,
    path_savings,
    r,
    saves_above_beta,
    saves_below_ratio,
)
from costmodel.paper.equations import k
from costmodel.rounding import WIDTH_RULES

QUARTER, TWO = Fraction(1, 4), Fraction(2)


def test_lh_at_a_quarter_saves_a_36th() -> None:
    # r = 3: 1/beta (1 + r)/k² + r/beta² = 2/9 + 3/4
    assert cost_ratio().subs({r: 3, beta: 2, k: 3}) == sp.Rational(35, 36)
    saved = {one.path: one.saved for one in path_savings(16, 16, QUARTER, TWO)}
    assert saved["LH"] == 1 - Fraction(875, 900)
    assert saved["HH"] == saved["LL"] == Fraction(23, 36)


def test_a_stage_change_makes_lh_dearer() -> None:
    lh = list(path_savings(16, 32, QUARTER, TWO))[2]
    assert (lh.path, lh.c_in, lh.width, lh.c_out) == ("LH", 4, 12, 24)
    assert (lh.plain, lh.bottleneck) == (9 * 4 * 24, 4 * 12 + 9 * 12 * 12 + 12 * 24)
    assert lh.saved < 0


@pytest.mark.parametrize("rule", WIDTH_RULES)
def test_macs_are_in_the_proportion_of_parameters(rule: str) -> None:
    assert sp.simplify(cost_ratio("macs", rule) - cost_ratio("params", rule)) == 0


@pytest.mark.parametrize("rule", WIDTH_RULES)
@pytest.mark.parametrize("ratio", [Fraction(1, 3), Fraction(1), Fraction(2), Fraction(6)])
def test_at_the_least_beta_a_bottleneck_costs_what_it_replaces(rule: str, ratio: Fraction) -> None:
    sizes = {r: sp.Rational(ratio), k: 3}
    least = saves_above_beta(rule).subs(sizes)
    assert sp.simplify(cost_ratio(rule=rule).subs(sizes).subs(beta, least) - 1) == 0
    assert cost_ratio(rule=rule).subs(sizes).subs(beta, 1.01 * least) < 1


def test_the_least_beta_by_hand() -> None:
    assert saves_above_beta().subs({r: 1, k: 3}) == (1 + sp.sqrt(82)) / 9
    assert float(saves_above_beta().subs({r: 3, k: 3})) == pytest.approx((4 + sqrt(16 + 4 * 81 * 3)) / 18)


def test_the_most_ratio_by_hand() -> None:
    # r/4 + (1 + r)/18 < 1
    assert saves_below_ratio(2) == Fraction(34, 11)
    assert saves_below_ratio(1) < 1  # even HH costs more


def test_limits_of_alpha_by_hand() -> None:
    texts = {(one.path, one.widening): one.text for one in limits(2)}
    assert texts["HH", 1] == texts["LL", 1] == texts["HH", 2] == "always"
    assert texts["LH", 1] == "alpha > 11/45 = 0.2444"  # (1 - alpha)/alpha < 34/11
    assert texts["HL", 1] == "alpha < 34/45 = 0.7556"
    assert texts["LH", 2] == "alpha > 11/28 = 0.3929"  # 2 (1 - alpha)/alpha < 34/11
    assert texts["HL", 2] == "alpha < 17/28 = 0.6071"
    assert {one.text for one in limits(1) if one.path == "HH"} == {"never"}


@pytest.mark.parametrize("widening", [1, 2])
@pytest.mark.parametrize("path", ["HL", "LH"])
def test_limits_divide_what_saves_from_what_does_not(path: str, widening: int) -> None:
    """On both sides of a limit, in whole channels that are large enough not to be rounded."""
    limit = next(one for one in limits(2) if (one.path, one.widening) == (path, widening))
    at = Fraction(str(limit.high if path == "HL" else limit.low))
    for step in (Fraction(-1, 1000), Fraction(1, 1000)):
        channels = 2 * (at + step).denominator
        saved = {one.path: one.saved for one in path_savings(channels, channels * widening, at + step, TWO)}
        assert (saved[path] > 0) == ((step < 0) == (path == "HL"))


def test_savings_are_those_of_the_layer() -> None:
    layer = OctaveLayer((12, 4), (12, 4))
    savings = path_savings(16, 16, QUARTER, TWO)
    assert {one.path for one in savings} == {*PATHS}
    for one in savings:
        change = pwise_octave(layer, 32, {}).weights - pwise_octave(layer, 32, {one.path: one.width}).weights
        assert one.plain - one.bottleneck == change


def test_paths_without_channels_have_no_saving() -> None:
    assert [one.path for one in path_savings(16, 16, Fraction(0), TWO)] == ["HH"]


def test_unknown_width_rule() -> None:
    with pytest.raises(ValueError, match="width rule must be one of out, in, min, mean, got half"):
        saves_above_beta("half")
