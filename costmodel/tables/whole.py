"""A formula as an expression in integers alone: what rounds becomes an integer quotient, without fractions.

Python and JavaScript have no exact fractions. So a fraction that is an integer in the formula's domain
becomes an integer quotient, and the arguments of a maximum, a remainder or a comparison get a common
denominator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import sympy as sp
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanFunction

Fraction = tuple[Any, Any]  # a numerator and a denominator, both in integers

FUNCTIONS = (sp.floor, sp.ceiling, sp.Max, sp.Min, sp.Mod, sp.Abs, sp.Piecewise)


class Quotient(sp.Function):  # type: ignore[misc]  # sympy has no types
    """The integer quotient of two integers, rounded down."""

    is_integer = True


def in_integers(formula: Any) -> Any:
    """Return a formula whose value is an integer as an expression in integers alone.

    Raises ValueError if it has another function than sums, products, powers and `FUNCTIONS`.

    >>> h = sp.Symbol("h", integer=True, positive=True)
    >>> in_integers(3 * sp.Max(5, h / 2))
    Quotient(3*Max(10, h), 2)
    """
    top, bottom = _fraction(formula)
    return top if bottom == 1 else Quotient(top, bottom)


def condition_in_integers(condition: Any) -> Any:
    """Return a condition as comparisons of integers, joined by and, or and not."""
    if isinstance(condition, BooleanFunction):
        return condition.func(*map(condition_in_integers, condition.args))
    if not isinstance(condition, Relational):
        return condition
    tops, _ = _common([_fraction(side) for side in condition.args])
    return condition.func(*tops, evaluate=False)


def outer(formula: Any, kinds: tuple[type, ...] = FUNCTIONS) -> list[Any]:
    """Return the functions of these kinds that are not inside others, each once."""
    if isinstance(formula, kinds):
        return [formula]
    return list(dict.fromkeys(found for argument in formula.args for found in outer(argument, kinds)))


def _fraction(formula: Any) -> Fraction:
    values = {found: (sp.Dummy(integer=True), *_value(found)) for found in outer(formula)}
    plain = formula.xreplace({found: dummy / bottom for found, (dummy, _, bottom) in values.items()})
    _check(plain)
    inner = {dummy: top for dummy, top, _ in values.values()}
    top, bottom = sp.fraction(sp.together(plain))
    if bottom == 1:
        return plain.xreplace(inner), sp.Integer(1)  # with its factors
    return top.xreplace(inner), bottom.xreplace(inner)


def _check(plain: Any) -> None:
    for part in sp.preorder_traversal(plain):
        is_power = part.is_Pow and part.exp.is_integer and (part.exp.is_Integer or part.exp.is_nonnegative)
        if not (part.is_Symbol or part.is_Rational or part.is_Add or part.is_Mul or is_power):
            raise ValueError(f"no expression in integers for {part}")


def _value(found: Any) -> Fraction:
    """Return the value of a function as a fraction, by those of its arguments."""
    if isinstance(found, sp.Piecewise):
        tops, bottom = _common([_fraction(value) for value, _ in found.args])
        conditions = [condition_in_integers(condition) for _, condition in found.args]
        return sp.Piecewise(*zip(tops, conditions, strict=True), evaluate=False), bottom
    arguments = [_fraction(argument) for argument in found.args]
    if isinstance(found, sp.floor | sp.ceiling):
        return _rounded(*arguments[0], up=isinstance(found, sp.ceiling)), sp.Integer(1)
    tops, bottom = _common(arguments)
    return found.func(*tops), bottom


def _rounded(top: Any, bottom: Any, *, up: bool) -> Any:
    top = sp.expand(top)
    if not up:
        return Quotient(top, bottom)
    return Quotient(sp.expand(top + bottom - 1), bottom) if bottom.is_Integer else -Quotient(-top, bottom)


def _common(fractions: Sequence[Fraction]) -> tuple[list[Any], Any]:
    """Return the numerators over a common positive denominator, and this one."""
    bottoms = [bottom for _, bottom in fractions]
    if all(bottom.is_Integer for bottom in bottoms):
        whole = sp.Integer(math.lcm(*map(int, bottoms)))
        return [top * (whole // bottom) for top, bottom in fractions], whole
    product = sp.Mul(*dict.fromkeys(bottoms))
    common = product if product.is_positive else product**2
    return [top * sp.cancel(common / bottom) for top, bottom in fractions], common
