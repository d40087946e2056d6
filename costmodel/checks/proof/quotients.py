"""Symbols of sizes, and quotients of sizes rounded down."""

from __future__ import annotations

import sympy as sp


def size(name: str) -> sp.Symbol:
    """Return the symbol of a size: a whole number."""
    return sp.Symbol(name, integer=True)


def floor_of(quotient: sp.Expr) -> sp.Expr:
    """Return a quotient rounded down, as a polynomial where it is one.

    >>> h, c, g = map(size, "hcg")
    >>> floor_of((8 * h + 3) / 2), floor_of(g * c / g), floor_of(h / 2)
    (4*h + 1, c, floor(h/2))
    """
    whole = whole_quotient(quotient)
    return sp.floor(quotient) if whole is None else whole


def whole_quotient(quotient: sp.Expr) -> sp.Expr | None:
    """Return a quotient rounded down where all but its constant are whole, for symbols that are whole
    numbers."""
    quotient = sp.expand(quotient)
    if not quotient.is_polynomial(*quotient.free_symbols):
        return None
    constant, terms = quotient.as_coeff_Add()
    whole = all(term.as_coeff_Mul()[0].is_Integer for term in sp.Add.make_args(terms))
    return terms + sp.floor(constant) if whole else None
