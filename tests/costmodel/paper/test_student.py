"""Student's quantiles and intervals, against published tables."""

from __future__ import annotations

import pytest

from costmodel.paper.student import Interval, difference, pooled, quantile


def test_student_by_published_values() -> None:
    # Student's t table (two-sided, 95 %): 1, 2, 4, 8, 30 and 120 degrees of freedom.
    table = {1: 12.706, 2: 4.303, 4: 2.776, 8: 2.306, 30: 2.042, 120: 1.980}
    for freedom, t in table.items():
        assert quantile(freedom) == pytest.approx(t, abs=5e-4)
    assert quantile(10, 0.99) == pytest.approx(3.169, abs=5e-4)


def test_three_seeds_against_three_is_what_the_protocol_says() -> None:
    found = difference([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], 1.0)
    assert found == Interval(0.0, pytest.approx(2.27, abs=0.005))
    assert pooled([[1.0], [2.0]]) is None
