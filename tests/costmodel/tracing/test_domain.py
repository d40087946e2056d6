"""Floors in one form, and the sizes that conditions leave: each claim is checked size by size."""

from __future__ import annotations

import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.tracing.conditions import follows
from costmodel.tracing.domain import Domain, Residues
from costmodel.tracing.narrowing import domain
from costmodel.tracing.rounding import ceiling_of, floor_of

h, w = sp.symbols("h w", positive=True, integer=True)
small = st.integers(1, 7)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(-6, 6), small), min_size=1, max_size=3), st.integers(1, 200)
)
def test_nested_roundings_keep_their_value(steps: list[tuple[bool, int, int]], size: int) -> None:
    expression, value = h, size
    for is_floor, offset, divisor in steps:
        expression = (floor_of if is_floor else ceiling_of)((expression + offset) / divisor)
        value = (value + offset) // divisor if is_floor else -(-(value + offset) // divisor)
    assert expression.subs(h, size) == value


def test_roundings_look_alike() -> None:
    assert floor_of((h - 1) / 32) + 1 == sp.ceiling(h / 32)
    assert floor_of((sp.ceiling(h / 2) + 1) / 2) == floor_of((h + 3) / 4)
    assert -floor_of(-h / 4) == sp.ceiling(h / 4)


CONDITIONS = st.sampled_from(
    [
        sp.Ne(sp.ceiling(h / 32), 1),
        sp.Gt(sp.floor(h / 4), 2),
        sp.Eq(sp.Mod(h, 6), 0),
        sp.Eq(sp.ceiling(h / 4), 2 * sp.ceiling(h / 8)),
        sp.Ne(sp.Mod(w, 2), 0),
        sp.Lt(sp.floor(h / 2), sp.floor(h / 2) * sp.floor(w / 2)),
        sp.Ge(h * w, 12),
        sp.Ge(h, w),
        sp.Le(h, 100),
        sp.Eq(sp.ceiling(h / 32), 2),
        sp.Ne(h * (sp.ceiling(h / 32) - 1) * w, 3),
        sp.Eq(h * w, 8 * sp.floor(h / 4) * sp.floor(w / 2)),
        sp.Or(sp.Gt(h, 5), sp.Gt(w, 9)),
        sp.Ne(h * sp.Mod(1, sp.floor(w / 4)), 0),
        sp.Ge(-sp.ceiling(h / 2) * 2 + h + 1, 0),
    ]
)


@settings(max_examples=40)
@given(st.lists(CONDITIONS, min_size=1, max_size=4, unique=True))
def test_every_size_of_a_domain_fulfils_all_conditions(conditions: list[sp.Basic]) -> None:
    found = domain(conditions, [h, w])
    for sizes in ({"h": a, "w": b} for a in range(1, 130, 7) for b in range(1, 60, 5)):
        if found.holds(sizes):
            values = {h: sizes["h"], w: sizes["w"]}
            assert all(condition.subs(values) == sp.true for condition in conditions), (found.text, sizes)


def test_what_is_not_proved_is_kept_as_a_condition() -> None:
    found = domain([sp.Ge(h, w), sp.Le(h, 100)], [h, w])
    assert found.text == "for 1 <= h <= 100; w >= 1; h >= w"
    assert not follows(sp.Ge(h, w), {h: 5, w: 5})


def test_remainders_are_joined() -> None:
    found = domain([sp.Eq(sp.Mod(h, 4), 0), sp.Eq(sp.Mod(h, 6), 0)], [h])
    assert found.residues == {h: Residues(12, frozenset({0}))}
    assert found.text == "for h a multiple of 12"


def test_a_fixed_size_settles_its_conditions() -> None:
    found = domain([sp.Eq(h, 32), sp.Ge(sp.floor(h / 32), 1), sp.Ge(w, 2)], [w], {"h": 32})
    assert found.text == "for w >= 2; h = 32"
    assert not found.holds({"h": 31, "w": 2})


def test_a_summary_counts_the_conditions_that_it_leaves_out() -> None:
    conditions = [sp.Ne(h % k, w % (k + 1)) for k in (3, 5, 7)]
    found = Domain({h: 1, w: 2}, conditions=tuple(conditions))
    first, second, third = ("h % 3 != w % 4", "h % 5 != w % 6", "h % 7 != w % 8")
    assert found.text == found.summary(3) == f"for h >= 1; w >= 2; {first}; {second}; {third}"
    assert found.summary(2) == f"for h >= 1; w >= 2; {first}; {second}; and 1 more"
    assert found.summary(0) == "for h >= 1; w >= 2; and 3 more"
