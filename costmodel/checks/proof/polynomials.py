"""Polynomials in sizes as plain numbers: whether one has no negative term from the least sizes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from math import comb

import sympy as sp

Powers = tuple[
    tuple[sp.Symbol, int], ...
]  # the symbols of a term, in order of their names, with their powers
Terms = Mapping[Powers, Fraction]


@lru_cache(maxsize=2**14)
def terms(expr: sp.Expr) -> Terms | None:
    """Return the coefficient of each term of a polynomial in symbols with rational coefficients, or None.

    >>> x, y = sp.symbols("x y", integer=True)
    >>> terms(3 * (x + y) * y) == {((x, 1), (y, 1)): 3, ((y, 2),): 3}, terms(sp.floor(x / 2))
    (True, None)
    """
    found: Counter[Powers] = Counter()
    for term in sp.Add.make_args(sp.expand(expr)):
        coefficient, rest = term.as_coeff_Mul()
        powers = _powers(rest)
        if powers is None or not coefficient.is_Rational:
            return None
        found[powers] += Fraction(int(coefficient.p), int(coefficient.q))  # type: ignore[assignment]
    return found  # type: ignore[return-value]


def _powers(product: sp.Expr) -> Powers | None:
    found = []
    for factor in sp.Mul.make_args(product):
        base, power = factor.as_base_exp()
        if factor == 1:
            continue
        if not (base.is_Symbol and power.is_Integer and power > 0):
            return None
        found.append((base, int(power)))
    return tuple(sorted(found, key=lambda pair: str(pair[0])))


def minus(a: Terms, b: Terms) -> Terms:
    """Return the difference of two polynomials."""
    return {powers: a.get(powers, Fraction(0)) - b.get(powers, Fraction(0)) for powers in {**a, **b}}


def no_negative_term(polynomial: Terms, least: Mapping[sp.Symbol, int]) -> bool:
    """Return whether no coefficient is negative, each symbol being its least value plus a remainder.

    Such a polynomial is at least 0 if every symbol is at least its least value.

    >>> x, y = sp.symbols("x y", integer=True)
    >>> no_negative_term({((x, 2),): Fraction(1), (): Fraction(-4)}, {x: 2})
    True
    >>> no_negative_term({((x, 1),): Fraction(1), ((y, 1),): Fraction(-1)}, {x: 9, y: 1})
    False
    """
    if any(symbol not in least for powers in polynomial for symbol, _ in powers):
        return False
    if _value(polynomial, least) < 0:  # the constant term, where all remainders are 0
        return False
    shifted: dict[Powers, Fraction] = {}
    for powers, coefficient in polynomial.items():
        for rest, factor in _shifted(powers, least):
            shifted[rest] = shifted.get(rest, Fraction(0)) + coefficient * factor
    return min(shifted.values(), default=Fraction(0)) >= 0


def _value(polynomial: Terms, at: Mapping[sp.Symbol, int]) -> Fraction:
    total = Fraction(0)
    for powers, coefficient in polynomial.items():
        for symbol, power in powers:
            coefficient *= at[symbol] ** power
        total += coefficient
    return total


def _shifted(powers: Powers, least: Mapping[sp.Symbol, int]) -> Iterable[tuple[Powers, int]]:
    """Return the terms of a product of powers of (rest + least value)."""
    found: list[tuple[Powers, int]] = [((), 1)]
    for symbol, power in powers:
        binomial = [
            (((symbol, kept),) if kept else (), comb(power, kept) * least[symbol] ** (power - kept))
            for kept in range(power + 1)
        ]
        found = [(one + more, a * b) for one, a in found for more, b in binomial]
    return found
