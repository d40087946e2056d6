"""Polynomials with their common factors taken out: fewer operations for each configuration of a grid."""

from __future__ import annotations

from collections.abc import Iterator
from operator import sub
from typing import Any

import sympy as sp
from sympy.polys.rings import PolyElement, PolyRing

CHOICES = ("plain", "pwise")  # symbols of these kinds are 0 or 1


def factored(formula: sp.Expr) -> sp.Expr:
    """Return a polynomial, linear in the choices of paths, with the common factors of each choice taken out.

    It need not be expanded: polynomials in a ring multiply several times as fast as expressions.

    >>> a, b, plain = sp.symbols("a b plain_HL1")
    >>> print(factored(plain * a * (4 * a + 6 * b)))
    2*a*plain_HL1*(2*a + 3*b)
    """
    symbols = sorted(formula.free_symbols, key=str)
    if not symbols:
        return formula
    # A fifth less arithmetic than the expanded form. Factoring further takes longer than it saves.
    parts = _by_choice(PolyRing(symbols, sp.QQ).from_expr(formula))
    return sp.Add(*(choice * _common_out(part) for choice, part in parts))


def _by_choice(polynomial: PolyElement) -> Iterator[tuple[sp.Expr, PolyElement]]:
    """Yield each choice with its factor; that of 1 has the terms without a choice."""
    ring = polynomial.ring
    choices = {i: s for i, s in enumerate(ring.symbols) if s.name.startswith(CHOICES)}
    parts: dict[int | None, dict[tuple[int, ...], Any]] = {}
    for powers, coefficient in polynomial.terms():
        chosen = next((i for i in choices if powers[i]), None)
        rest = tuple(power - (i == chosen) for i, power in enumerate(powers))
        parts.setdefault(chosen, {})[rest] = coefficient
    for chosen, part in parts.items():
        yield (sp.S.One if chosen is None else choices[chosen]), ring.from_dict(part)


def _common_out(polynomial: PolyElement) -> sp.Expr:
    if polynomial.is_ground:
        return polynomial.as_expr()
    ring = polynomial.ring
    content, primitive = polynomial.primitive()
    powers = [min(column) for column in zip(*primitive.itermonoms(), strict=True)]
    number = ring.domain.to_sympy(content)
    monomial = sp.Mul(*(symbol**power for symbol, power in zip(ring.symbols, powers, strict=True)))
    divided = {tuple(map(sub, monom, powers)): factor for monom, factor in primitive.iterterms()}
    rest = ring.from_dict(divided).as_expr()
    if monomial == 1 and number != 1:  # sympy would multiply the number into the sum
        return sp.Mul(number, rest, evaluate=False)
    return sp.Mul(number, monomial, rest)
