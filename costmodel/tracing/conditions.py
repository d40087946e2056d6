"""Conditions on sizes: simplified, and proved for all sizes from given minima up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import sympy as sp
from sympy.core.relational import Relational

LARGEST = 2**62  # conditions on larger numbers concern the machine's address space


def parts(condition: sp.Basic) -> Iterator[sp.Basic]:
    """Yield the conjuncts of a condition, except those about the machine."""
    if isinstance(condition, sp.And):
        for part in condition.args:
            yield from parts(part)
    elif condition not in (sp.true, True) and not _is_about_the_machine(condition):
        yield condition


def simplified(condition: sp.Basic) -> list[sp.Basic]:
    """Return simpler equivalent conditions: sizes are positive, and 1 % x is 0 only for x = 1."""
    if isinstance(condition, sp.Eq):
        return _divisibility(condition) or [condition]
    if not (isinstance(condition, sp.Ne) and condition.rhs == 0):
        return [condition]
    factors = [f for f in sp.Mul.make_args(condition.lhs) if not f.is_positive]
    remainders = [f for f in factors if isinstance(f, sp.Mod) and f.args[0] == 1]
    others = [f for f in factors if f not in remainders]
    return [sp.Ne(f.args[1], 1) for f in remainders] + [sp.Ne(f, 0) for f in others]


def _divisibility(condition: sp.Eq) -> list[sp.Basic]:
    """Return what h w = 16 floor(h/4) floor(w/4) implies: h and w are multiples of 4.

    m floor(x/m) is at most x, so a product of such terms equals the product of the x only if each does.
    """
    quotient = sp.cancel(condition.lhs / condition.rhs) if condition.rhs != 0 else sp.S.Zero
    numerator, denominator = sp.fraction(quotient)
    for whole, rounded in ((numerator, denominator), (denominator, numerator)):
        floors = [f for f in sp.Mul.make_args(rounded) if isinstance(f, sp.floor)]
        moduli = [1 / f.args[0].as_coeff_Mul()[0] for f in floors]
        sizes = [f.args[0].as_coeff_Mul()[1] for f in floors]
        fits = floors and all(size.is_Symbol for size in sizes) and all(m.is_Integer for m in moduli)
        if fits and sp.cancel(whole / rounded * sp.prod(floors) * sp.prod(moduli) / sp.prod(sizes)) == 1:
            return [sp.Eq(sp.Mod(size, m), 0) for size, m in zip(sizes, moduli, strict=True)]
    return []


def factors_of(
    condition: sp.Basic, least: Mapping[sp.Symbol, int], at: Mapping[sp.Symbol, int]
) -> list[sp.Basic]:
    """Return conditions on the factors of a product that must equal a number; none if that is not certain.

    Positive integers whose product is 1 are all 1. For another product, each keeps its value at the given
    sizes.

    >>> h, w = sp.symbols("h w", integer=True, positive=True)
    >>> factors_of(sp.Eq((8 * sp.ceiling(h / 4) - 8) * (w - 1), 8), {h: 5, w: 2}, {})
    [Eq(w - 1, 1), Eq(ceiling(h/4) - 1, 1)]
    """
    if not (isinstance(condition, sp.Eq) and condition.rhs.is_Integer and len(condition.free_symbols) > 1):
        return []
    coefficient, *factors = sp.Mul.make_args(sp.Integer(1) * sp.factor(condition.lhs))
    if not coefficient.is_Integer:
        coefficient, factors = sp.S.One, [coefficient, *factors]
    bounded = (f.is_integer and _never_falls(f, least) and f.subs(least) >= 1 for f in factors)
    if not all(bounded):
        return []
    if condition.rhs == coefficient:
        return [sp.Eq(factor, 1) for factor in factors]
    values = [factor.subs(at) for factor in factors]
    if all(value.is_Integer for value in values) and coefficient * sp.prod(values) == condition.rhs:
        return [sp.Eq(factor, value) for factor, value in zip(factors, values, strict=True)]
    return []


def _is_about_the_machine(condition: sp.Basic) -> bool:
    return any(number >= LARGEST for number in condition.atoms(sp.Integer))


def follows_by_remainders(
    condition: sp.Basic, least: Mapping[sp.Symbol, int], remainders: Mapping[sp.Symbol, tuple[int, int]]
) -> bool:
    """Return whether a condition is proved for sizes with given remainders: (modulus, remainder) by size.

    >>> h = sp.Symbol("h", integer=True, positive=True)
    >>> follows_by_remainders(sp.Eq(4 * sp.floor(h / 4), h), {h: 4}, {h: (4, 0)})
    True
    """
    multiples = {s: sp.Dummy(s.name, integer=True, positive=True) for s in remainders}
    written = {s: m * multiples[s] + r for s, (m, r) in remainders.items()}
    bounds = {
        multiples.get(s, s): -((remainders[s][1] - bound) // remainders[s][0]) if s in remainders else bound
        for s, bound in least.items()
    }
    return follows(condition.subs(written), {s: max(bound, 1) for s, bound in bounds.items()})


def follows(condition: sp.Basic, least: Mapping[sp.Symbol, int]) -> bool:
    """Return whether a condition is proved to hold for all sizes from the least ones up.

    >>> h = sp.Symbol("h", integer=True, positive=True)
    >>> follows(sp.Ne(sp.floor((h - 1) / 2) + 1, 1), {h: 3}), follows(sp.Eq(sp.Mod(h, 2), 0), {h: 2})
    (True, False)
    """
    if isinstance(condition, sp.Or):
        return any(follows(part, least) for part in condition.args)
    if isinstance(condition, sp.And):
        return all(follows(part, least) for part in condition.args)
    if not isinstance(condition, Relational):
        return bool(condition == sp.true)
    above, strict = _as_positive(condition)
    return any(_is_positive(difference, least, strict) for difference in above)


def _as_positive(condition: Relational) -> tuple[list[sp.Expr], bool]:
    """Return differences, one of which must be positive, or non-negative if the relation is not strict."""
    difference = condition.lhs - condition.rhs
    if isinstance(condition, sp.Ne):
        return [difference, -difference], True
    if isinstance(condition, sp.Eq):
        return [], True
    rising = isinstance(condition, sp.Gt | sp.Ge)
    return [difference if rising else -difference], isinstance(condition, sp.Gt | sp.Lt)


def _is_positive(difference: sp.Expr, least: Mapping[sp.Symbol, int], strict: bool) -> bool:
    factors = sp.Mul.make_args(sp.factor_terms(sp.factor(difference)))
    if not all(_never_falls(factor, least) for factor in factors):
        return False
    values = [factor.subs(least) for factor in factors]
    return all(bool(value > 0 if strict else value >= 0) for value in values)


def _never_falls(expression: sp.Expr, least: Mapping[sp.Symbol, int]) -> bool:
    """Return whether an expression is non-decreasing in every size, from the least sizes up."""
    if not expression.free_symbols or expression.is_Symbol:
        return True
    if isinstance(expression, sp.Add | sp.floor | sp.ceiling | sp.Max | sp.Min):
        return all(_never_falls(part, least) for part in expression.args)
    if isinstance(expression, sp.Mul):
        return all(_never_falls(part, least) and bool(part.subs(least) >= 0) for part in expression.args)
    if isinstance(expression, sp.Pow):
        base, exponent = expression.args
        rises = exponent.is_Integer and exponent > 0
        return bool(rises and _never_falls(base, least) and base.subs(least) >= 0)
    return False
