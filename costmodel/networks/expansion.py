"""Formulas multiplied out by polynomials of a ring, several times as fast as by sympy's `expand`."""

from __future__ import annotations

import sympy as sp
from sympy.polys.rings import PolyRing

ROUNDED = (sp.floor, sp.ceiling, sp.Max, sp.Min)


def expanded(formula: sp.Expr) -> sp.Expr:
    """Return what `sympy.expand` returns, of sums and products of symbols, their inverses, and roundings.

    >>> a, b = sp.symbols("a b", positive=True)
    >>> print(expanded((a + 1 / b) * (sp.floor(a * (b + 2)) - b)))
    -a*b + a*floor(a*b + 2*a) - 1 + floor(a*b + 2*a)/b
    """
    standing = {part: sp.Dummy() for part in formula.atoms(*ROUNDED) | _inverses(formula)}
    polynomial = formula.xreplace(standing)  # the outermost of those that contain others
    symbols = polynomial.free_symbols
    if not symbols or not polynomial.is_polynomial(*symbols):
        return sp.expand(formula)
    ring = PolyRing(sorted(symbols, key=str), sp.QQ)
    found = ring.from_expr(polynomial).as_expr()
    return found.xreplace({symbol: sp.expand(part) for part, symbol in standing.items()})


def _inverses(formula: sp.Expr) -> set[sp.Expr]:
    return {power for power in formula.atoms(sp.Pow) if power.exp == -1 and power.base.is_Symbol}
