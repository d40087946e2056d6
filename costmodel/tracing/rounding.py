"""Floors and ceilings of sizes in a normal form, so that equal sizes look equal and formulas stay short."""

from __future__ import annotations

import math

import sympy as sp

from costmodel.tracing.calls import TraceError


def floor_of(quotient: sp.Expr) -> sp.Expr:
    """Return the floor of an expression, with nested floors merged.

    floor((floor(u) + c) / d) = floor((u + c) / d) for integers c and d. The result is written as
    floor((x + c) / m) with 0 <= c < m, or as ceiling(x / m) where c = m - 1.

    Raises TraceError if it has an inexact number: the code's own product may be rounded otherwise.

    >>> h = sp.Symbol("h", integer=True)
    >>> floor_of((h - 1) / 2) + 1, floor_of((sp.floor(h / 2) + 5) / 4), -floor_of(-h / 2)
    (ceiling(h/2), floor(h/8 + 1/4) + 1, ceiling(h/2))
    """
    expanded = sp.expand(quotient)
    if expanded.has(sp.Float):
        raise TraceError(f"(model): the product {quotient} is rounded in floating point before it is a size")
    if _leads_negative(expanded):
        return -floor_of(_shifted(-expanded))  # floor(-u) = -ceiling(u)
    return _canonical(_joined(expanded))


def ceiling_of(quotient: sp.Expr) -> sp.Expr:
    """Return the ceiling of an expression, in the same normal form."""
    return -floor_of(-quotient)


def _denominator(quotient: sp.Expr) -> int:
    terms = sp.Add.make_args(quotient)
    return math.lcm(*(int(term.as_coeff_Mul()[0].q) for term in terms))


def _shifted(quotient: sp.Expr) -> sp.Expr:
    """Return u + (m - 1) / m, whose floor is the ceiling of u; m is the denominator of u."""
    m = _denominator(quotient)
    return sp.expand(quotient + sp.Rational(m - 1, m))


def _joined(quotient: sp.Expr) -> sp.Expr:
    for inner in quotient.atoms(sp.floor, sp.ceiling):
        part = quotient.coeff(inner)
        if not (part.is_Rational and part.p == 1 and part.q > 1):
            continue
        rest = sp.expand((quotient - part * inner) / part)
        if rest.is_integer and not rest.has(inner):
            argument = inner.args[0]
            unrounded = argument if isinstance(inner, sp.floor) else _shifted(argument)
            return _joined(sp.expand((unrounded + rest) * part))
    return quotient


def _leads_negative(expression: sp.Expr) -> bool:
    terms = [term for term in sp.Add.make_args(expression) if term.free_symbols]
    if not terms:
        return False
    first = min(terms, key=sp.default_sort_key)
    return bool(first.as_coeff_Mul()[0].is_negative)


def _canonical(quotient: sp.Expr) -> sp.Expr:
    constant, rest = quotient.as_coeff_Add()
    if not constant.is_Rational or not rest.free_symbols or not _is_whole_over(rest):
        return sp.floor(quotient)
    m = math.lcm(_denominator(rest), constant.q)
    offset = int(constant * m) % m
    outside = sp.Integer((int(constant * m) - offset) // m)
    if offset == m - 1 and m > 1:
        return sp.ceiling(rest) + outside
    return sp.floor(rest + sp.Rational(offset, m)) + outside


def _is_whole_over(rest: sp.Expr) -> bool:
    """Return whether an expression is an integer over its denominator m, so that it moves in steps of 1/m."""
    return bool(sp.expand(rest * _denominator(rest)).is_integer)
