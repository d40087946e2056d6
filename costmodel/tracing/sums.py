"""Sums of costs whose quantities are formulas in sizes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sympy as sp

from costmodel.convention import QUANTITIES, Cost
from costmodel.sizes import Size, whole


def summed(costs: Iterable[Cost]) -> Cost:
    """Return the sum of symbolic costs, expanded."""
    found = list(costs)
    return Cost(*(_sum([getattr(cost, name) for cost in found]) for name in QUANTITIES))


def _sum(values: Sequence[Size]) -> Size:
    """Return a sum; equal terms are collected before expansion."""
    counts: dict[Size, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    if all(isinstance(value, int) for value in counts):
        return sum(values)
    return whole(sp.Add(*(times * sp.expand(value) for value, times in counts.items())))
