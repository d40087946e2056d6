"""torch's environment of symbolic sizes, which evaluates the same conditions again and again.

A dense block tests for each of its tensors whether 96 n h w < 2, 128 n h w < 2, ...: all are one condition.
"""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.core.relational import Relational
from torch.fx.experimental.symbolic_shapes import ShapeEnv


class Questions(ShapeEnv):
    """A ShapeEnv that cancels positive factors in a condition before it evaluates it."""

    def evaluate_expr(self, orig_expr: sp.Basic, *args: Any, **kwargs: Any) -> sp.Basic:
        """Return the truth of a condition on sizes, and record the condition if it may vary."""
        return super().evaluate_expr(reduced(orig_expr), *args, **kwargs)


def reduced(question: sp.Basic) -> sp.Basic:
    """Return the same condition on integers, without a common positive factor.

    >>> h = sp.Symbol("h", integer=True)
    >>> reduced(96 * h < 2), reduced(sp.Ne(64 * h, 0)), reduced(sp.Eq(8 * h, 4)), reduced(6 * h <= 13)
    (h < 1, Ne(h, 0), Eq(8*h, 4), h <= 2)
    """
    if not isinstance(question, Relational) or not question.lhs.is_integer:
        return question
    factor, rest = question.lhs.as_coeff_Mul()
    if not (factor.is_Integer and factor > 1):
        return question
    other, unit = question.rhs.as_coeff_Mul()
    if question.rhs.is_Integer and not isinstance(question, sp.Eq | sp.Ne):
        return question.func(rest, _bound(question, factor))
    if other % factor == 0 and unit.is_integer:
        return question.func(rest, other // factor * unit)
    return question


def _bound(question: Relational, factor: sp.Integer) -> sp.Integer:
    """Return b such that x < b iff factor x < c for integer x: rounded up, or down for <=."""
    quotient = question.rhs / factor
    return sp.ceiling(quotient) if isinstance(question, sp.Lt | sp.Ge) else sp.floor(quotient)
