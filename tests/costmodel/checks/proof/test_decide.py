"""The decision procedure is never wrong where it says yes; what it can't decide it refuses."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.checks.proof.decide import UndecidedError, decide, follows
from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.proof.quotients import size

a, b, n = size("a"), size("b"), size("n")


@pytest.mark.parametrize(
    "condition",
    [
        a > 1,
        a * b >= 4,
        sp.Ne(a, 1),
        a * (2 * b + 1) > 1,
        sp.Ne(a, a + 1),
        sp.And(a > 1, b > 1),
        sp.Or(a < 0, b > 1),
        sp.Ne(2 * a + 1, 4 * b),  # odd, and even
        sp.Or(sp.Eq(sp.Mod(n, 2), 0), sp.Eq(sp.Mod(n, 2), 1)),
        sp.floor(n / 2) >= 1,
        sp.Mod(n, 7) < 7,
        sp.ceiling(n / 3) * 3 >= n,
        sp.Max(1, sp.floor(n / 3)) >= 1,
        sp.Max(a, b) >= 2,
        sp.floor(a / b) >= 0,
        sp.Not(sp.Eq(n, 1)),
        sp.true,
        a <= 2**63 - 1 - a,  # sizes that fit a machine word
    ],
    ids=str,
)
def test_conditions_that_hold_from_size_2_on(condition: sp.Basic) -> None:
    assert follows(condition)


@pytest.mark.parametrize(
    "condition",
    [
        sp.Ne(sp.Mod(n + 1, 2), 0),  # all terms are nonnegative, it holds at 2, and not at 3
        sp.Ne(sp.Mod(n, 3), 0),
        a > 2,
        a < 16,
        sp.Ne(a, 2),
        sp.Eq(a, b),
        a >= b,
        sp.Ne(a, b),
        sp.And(a > 1, b > 2),
        sp.false,
        n < 2**40,
        sp.floor(n / 3) >= 1,
        sp.Ne(a**2 - 5 * a + 6, 0),
        sp.floor(a / b) >= 1,
        sp.Min(a, b) > 2,
    ],
    ids=str,
)
def test_conditions_that_some_size_breaks(condition: sp.Basic) -> None:
    assert not follows(condition)


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        (sp.sin(a) <= 1, "not a polynomial"),
        (sp.Mod(a, b) >= 0, "only a positive constant may divide"),
        (sp.Function("f")(a) > 0, "not a polynomial"),
        (n > 1, "the theorem has no size n"),
        (sp.Eq(sp.Mod(a, 4099), sp.Mod(a + 4099, 4099) + 0 * b), ""),
        (sp.Ne(sp.Mod(a * b, 97), 97), "too many residue classes"),
        (sp.Symbol("x", real=True) > 0, "the theorem has no size x"),
    ],
    ids=str,
)
def test_what_lies_outside_the_class_is_refused_by_name(condition: sp.Basic, why: str) -> None:
    domain = SizeDomain({a: 2, b: 2})
    if condition == sp.true:  # sympy itself knew
        return
    with pytest.raises(UndecidedError, match=why):
        decide(condition, domain)


def test_symbols_that_are_no_whole_numbers_are_refused() -> None:
    x = sp.Symbol("x", positive=True)
    assert not follows(x > 1)


def test_facts_and_other_ways_to_write_a_size() -> None:
    c, low, high = map(size, ("c", "c_L", "c_H"))
    domain = SizeDomain({c: 2, low: 2}, facts=(c - low - 2,))
    assert decide(c - low >= 2, domain)["fact"] == 0
    with pytest.raises(UndecidedError):
        decide((c - low) * low >= 4, domain)
    written = SizeDomain({c: 2, low: 2, high: 2}, worlds=({c: high + low},))
    assert decide((c - low) * low >= 4, written)["world"] == 0
    with pytest.raises(UndecidedError):
        decide(c - low >= 3, written)


def test_a_size_that_is_written_in_residues_is_not_written_otherwise_any_more() -> None:
    """c = c_H + c_L says nothing of the q in c_L = 2 q + r: then even c >= 2 c_L would seem to follow."""
    c, low, high = map(size, ("c", "c_L", "c_H"))
    written = SizeDomain({c: 2, low: 2, high: 2}, worlds=({c: high + low},))
    with pytest.raises(UndecidedError):
        decide(c - 2 * low + sp.Mod(low, 2) >= 0, written)


NUMBERS = st.integers(0, 6).map(sp.Integer)


def _combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    by = st.integers(2, 4)
    return st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] - p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] * p[1]),
        st.tuples(inner, inner).map(lambda p: sp.Max(*p)),
        st.tuples(inner, inner).map(lambda p: sp.Min(*p)),
        st.tuples(inner, by).map(lambda p: sp.floor(p[0] / p[1])),
        st.tuples(inner, by).map(lambda p: sp.ceiling(p[0] / p[1])),
        st.tuples(inner, by).map(lambda p: sp.Mod(*p)),
    )


SIZES = st.recursive(st.one_of(st.sampled_from([a, b]), NUMBERS), _combined, max_leaves=4)
RELATIONS = st.builds(
    lambda relation, one, two: relation(one, two),
    st.sampled_from([sp.Eq, sp.Ne, sp.Lt, sp.Le, sp.Gt, sp.Ge]),
    SIZES,
    SIZES,
)
CONDITIONS = st.one_of(
    RELATIONS,
    st.builds(sp.And, RELATIONS, RELATIONS),
    st.builds(sp.Or, RELATIONS, RELATIONS),
    st.builds(sp.Not, RELATIONS),
)


@given(CONDITIONS)
@settings(max_examples=80)
def test_no_condition_follows_that_has_a_counterexample_below_50(condition: sp.Basic) -> None:
    if not follows(condition):
        return
    test = sp.lambdify(
        (a, b), condition, [{"Mod": lambda x, y: x % y, "floor": _floor, "ceiling": _ceiling}, "math"]
    )
    assert all(test(*values) for values in product(range(2, 50), repeat=2))


def _floor(x: Any) -> Any:
    return int(x // 1)


def _ceiling(x: Any) -> Any:
    return -int(-x // 1)
