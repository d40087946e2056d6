"""Decide whether a condition holds for all sizes of a domain, for a restricted class of conditions.

The class: relations between polynomials with integer coefficients in integers, with floor, ceiling and Mod by
constants, Max and Min, And, Or and Not. The steps:

* residues: to eliminate floor, ceiling and Mod by a constant m, each size x in them is written m q + r;
* quotients: a nonnegative number divided by a positive one and rounded down is some nonnegative integer;
* choices: Max and Min are replaced by each argument in turn, with the fact that it is the largest (smallest);
* a polynomial is at least 0 if no coefficient is negative once every size is written as its least value plus
  a nonnegative remainder; or if it exceeds a fact of the domain by such a polynomial;
* a polynomial differs from 0 if it is at least 1 or at most -1, or if its constant term is not a multiple of
  the greatest common divisor of its other coefficients.

Every step is sound by itself. The procedure is not complete: it may reject a condition that is true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

import sympy as sp
from sympy.core.relational import Relational

from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.proof.polynomials import minus, no_negative_term, terms
from costmodel.checks.proof.quotients import whole_quotient

MACHINE = 2**62  # the tracer compares sizes with the largest machine integer: no theorem covers larger ones
MOST_CASES = 4096
ROUNDING = (sp.floor, sp.ceiling, sp.Mod)
LEAST = 2

Step = dict[str, Any]


class UndecidedError(ValueError):
    """A condition outside the class that is decided, or one that does not follow; the message says why."""


@dataclass(frozen=True)
class _Setting:
    least: Mapping[sp.Symbol, int]
    facts: tuple[sp.Expr, ...]
    worlds: tuple[Mapping[sp.Symbol, sp.Expr], ...] = ()

    def shifted(self, new: Mapping[sp.Symbol, sp.Expr], least: Mapping[sp.Symbol, int]) -> _Setting:
        facts = tuple(sp.expand(fact.subs(new, simultaneous=True)) for fact in self.facts)
        # Drop worlds that mention a size which is now written in other symbols.
        worlds = tuple(w for w in self.worlds if not set(new) & {*w, *sp.Tuple(*w.values()).free_symbols})
        return replace(self, least={**self.least, **least}, facts=facts, worlds=worlds)


def follows(condition: sp.Basic, domain: SizeDomain | None = None) -> bool:
    """Return whether a condition is decided to hold; without a domain, for all sizes of at least 2.

    >>> n = sp.Symbol("n", integer=True)
    >>> follows(n * n > 3), follows(sp.Ne(n, 1)), follows(n < 16), follows(sp.Ne(sp.Mod(n + 1, 2), 0))
    (True, True, False, False)
    """
    try:
        decide(condition, domain or SizeDomain(dict.fromkeys(condition.free_symbols, LEAST)))
    except UndecidedError:
        return False
    return True


def decide(condition: sp.Basic, domain: SizeDomain) -> Step:
    """Return the steps by which a condition follows from a domain.

    Raises UndecidedError if it does not follow by these steps, or lies outside the class.
    """
    unknown = sorted(map(str, condition.free_symbols - set(domain.least)))
    if unknown:
        raise UndecidedError(f"the theorem has no size {', '.join(unknown)}")
    if any(symbol.is_integer is not True for symbol in condition.free_symbols):
        raise UndecidedError("a symbol is not known to be a whole number")
    return _holds(condition, _Setting(domain.least, domain.facts, domain.worlds))


def _holds(condition: sp.Basic, setting: _Setting) -> Step:
    if condition == sp.true:
        return {"rule": "true"}
    if isinstance(condition, sp.Not):
        condition = sp.to_nnf(condition, simplify=False)
    if rounded := _rounded(condition):
        if ratios := [atom for atom in rounded if _has_ratio(atom)]:
            return _by_quotient(condition, ratios[0], setting)
        return _by_residues(condition, rounded, setting)
    if choice := next(iter(sorted(condition.atoms(sp.Max, sp.Min), key=sp.count_ops)), None):
        return _by_choice(condition, choice, setting)
    if isinstance(condition, sp.And):
        return {"rule": "and", "parts": [_holds(part, setting) for part in condition.args]}
    if isinstance(condition, sp.Or):
        return _any(condition, setting)
    if isinstance(condition, Relational):
        return _relation(condition, setting)
    raise UndecidedError(f"{type(condition).__name__} is not a relation that can be decided")


def _any(condition: sp.Or, setting: _Setting) -> Step:
    reasons = []
    for index, part in enumerate(condition.args):
        try:
            return {"rule": "or", "index": index, "step": _holds(part, setting)}
        except UndecidedError as error:
            reasons.append(str(error))
    raise UndecidedError("; ".join(dict.fromkeys(reasons)))


# Residues.


def _rounded(condition: sp.Basic) -> list[sp.Basic]:
    """Return the innermost floors, ceilings and Mods by constants."""
    found = condition.atoms(*ROUNDING)
    return sorted((a for a in found if not a.args[0].has(*ROUNDING, sp.Max, sp.Min)), key=str)


def _by_residues(condition: sp.Basic, rounded: list[sp.Basic], setting: _Setting) -> Step:
    modulus = _moduli(rounded)
    if prod(modulus.values()) > MOST_CASES:
        raise UndecidedError(f"too many residue classes: {modulus}")
    cases = [_holds(case, inside) for case, inside in _classes(condition, rounded, modulus, setting)]
    return {"rule": "residues", "modulus": {str(s): m for s, m in modulus.items()}, "cases": cases}


def _moduli(rounded: list[sp.Basic]) -> dict[sp.Symbol, int]:
    moduli: dict[sp.Symbol, int] = {}
    for atom in rounded:
        quotient = _quotient(atom)
        if not quotient.is_polynomial(*quotient.free_symbols):
            raise UndecidedError(f"{atom}: only constants may divide")
        for term in sp.Add.make_args(sp.expand(quotient)):
            coefficient = term.as_coeff_Mul()[0]
            if not coefficient.is_Rational:
                raise UndecidedError(f"{atom}: the coefficient {coefficient} is not a ratio")
            for symbol in term.free_symbols:
                moduli[symbol] = int(sp.ilcm(moduli.get(symbol, 1), coefficient.q))
    return {symbol: m for symbol, m in sorted(moduli.items(), key=str) if m > 1}


def _quotient(atom: sp.Basic) -> sp.Expr:
    if not isinstance(atom, sp.Mod):
        return sp.expand(atom.args[0])
    if not (atom.args[1].is_Integer and atom.args[1] > 0):
        raise UndecidedError(f"{atom}: only a positive constant may divide")
    return sp.expand(atom.args[0] / atom.args[1])


def _classes(
    condition: sp.Basic, rounded: list[sp.Basic], modulus: Mapping[sp.Symbol, int], setting: _Setting
) -> Iterator[tuple[sp.Basic, _Setting]]:
    for residues in product(*(range(m) for m in modulus.values())):
        new = {s: m * s + r for (s, m), r in zip(modulus.items(), residues, strict=True)}
        least = {
            s: -((r - setting.least[s]) // m) for (s, m), r in zip(modulus.items(), residues, strict=True)
        }
        values = {atom: _value(atom, new) for atom in rounded}
        # Rounded values are written in the new sizes: they go in after the old sizes have gone.
        marks = {atom: sp.Dummy(integer=True) for atom in rounded}
        inside = condition.xreplace(marks).subs(new, simultaneous=True)
        yield inside.subs({marks[a]: value for a, value in values.items()}), setting.shifted(new, least)


def _value(atom: sp.Basic, new: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    quotient = sp.expand(_quotient(atom).subs(new, simultaneous=True))
    whole = -_whole(-quotient) if isinstance(atom, sp.ceiling) else _whole(quotient)
    return sp.expand(atom.args[1] * (quotient - whole)) if isinstance(atom, sp.Mod) else whole


def _whole(quotient: sp.Expr) -> sp.Expr:
    whole = whole_quotient(quotient)
    if whole is None:
        raise UndecidedError(f"floor({quotient}) cannot be eliminated")
    return whole


# Quotients by sizes.


def _has_ratio(atom: sp.Basic) -> bool:
    quotient = atom.args[0]
    return isinstance(atom, sp.floor) and not quotient.is_polynomial(*quotient.free_symbols)


def _by_quotient(condition: sp.Basic, atom: sp.Basic, setting: _Setting) -> Step:
    """A quotient of a nonnegative and a positive number, rounded down, is some nonnegative number."""
    above, below = map(sp.expand, sp.fraction(sp.together(atom.args[0])))
    if terms(above) is None or terms(below) is None:
        raise UndecidedError(f"{atom} is not a quotient of polynomials")
    if _nonnegative(above, setting) is None or _nonnegative(below - 1, setting) is None:
        raise UndecidedError(f"{atom} may be negative")
    number = sp.Symbol(f"quotient_{sum(s.name.startswith('quotient_') for s in setting.least)}", integer=True)
    inside = replace(setting, least={**setting.least, number: 0})
    step = _holds(condition.xreplace({atom: number}), inside)
    return {"rule": "quotient", "above": str(above), "below": str(below), "of": str(atom), "step": step}


# Choices.


def _by_choice(condition: sp.Basic, choice: sp.Basic, setting: _Setting) -> Step:
    sign = 1 if isinstance(choice, sp.Max) else -1
    cases = []
    for chosen in choice.args:
        facts = tuple(sp.expand(sign * (chosen - other)) for other in choice.args if other != chosen)
        if any(_exceeds(-fact, sp.Integer(1), setting.least) for fact in facts):
            cases.append({"rule": "impossible"})
            continue
        inside = replace(setting, facts=(*setting.facts, *facts))
        cases.append(_holds(condition.xreplace({choice: chosen}), inside))
    return {"rule": "choice", "of": str(choice), "arguments": list(map(str, choice.args)), "cases": cases}


# Polynomials.


def _relation(condition: Relational, setting: _Setting) -> Step:
    difference = sp.expand(condition.lhs - condition.rhs)
    for relation, signs in _SIGNS.items():
        if isinstance(condition, relation):
            return _any_sign(difference, signs, condition, setting)
    if isinstance(condition, sp.Ne):
        return _differs(difference, condition, setting)
    if isinstance(condition, sp.Eq) and difference == 0:
        return {"rule": "equal"}
    raise UndecidedError(f"{condition} does not follow")


# To hold, sign * difference must be at least `above`.
_SIGNS: Mapping[type, tuple[tuple[int, int], ...]] = {
    sp.Ge: ((1, 0),),
    sp.Gt: ((1, 1),),
    sp.Le: ((-1, 0),),
    sp.Lt: ((-1, 1),),
}


def _any_sign(
    difference: sp.Expr, signs: tuple[tuple[int, int], ...], condition: sp.Basic, setting: _Setting
) -> Step:
    for sign, above in signs:
        step = _nonnegative(_cleared(difference) * sign - above, setting)
        if step is not None:
            return {"sign": sign, **step}
    raise UndecidedError(f"{condition} does not follow")


def _differs(difference: sp.Expr, condition: sp.Basic, setting: _Setting) -> Step:
    constant, rest = _cleared(difference).as_coeff_Add()
    divisor = sp.igcd(0, *(term.as_coeff_Mul()[0] for term in sp.Add.make_args(rest)))
    if divisor and constant % divisor and terms(rest) is not None:
        return {"rule": "divisor", "divisor": int(divisor)}
    return _any_sign(difference, ((1, 1), (-1, 1)), condition, setting)


def _cleared(difference: sp.Expr) -> sp.Expr:
    """Return the difference multiplied by the least common denominator of its coefficients."""
    terms = [term.as_coeff_Mul()[0] for term in sp.Add.make_args(difference)]
    if not all(coefficient.is_Rational for coefficient in terms):
        raise UndecidedError(f"{difference}: a coefficient is not a ratio")
    return sp.expand(difference * sp.ilcm(*(coefficient.q for coefficient in terms), 1))


def _nonnegative(polynomial: sp.Expr, setting: _Setting) -> Step | None:
    """Return why a polynomial is at least 0, or None."""
    if terms(polynomial) is None:
        raise UndecidedError(f"{polynomial} is not a polynomial")
    if _below_machine(polynomial):
        return {"rule": "machine"}
    for index, world in enumerate(({}, *setting.worlds)):
        written = _written(polynomial, tuple(world.items()))
        facts = [sp.Integer(0), *(_written(fact, tuple(world.items())) for fact in setting.facts)]
        for fact_index, fact in enumerate(facts):
            if _exceeds(written, fact, setting.least):
                return {"rule": "polynomial", "world": index - 1, "fact": fact_index - 1}
    return None


@lru_cache(maxsize=2**14)
def _written(expr: sp.Expr, world: tuple[tuple[sp.Symbol, sp.Expr], ...]) -> sp.Expr:
    return sp.expand(expr.subs(dict(world)))


def _below_machine(polynomial: sp.Expr) -> bool:
    constant, rest = sp.expand(polynomial).as_coeff_Add()
    largest = max(abs(term.as_coeff_Mul()[0]) for term in sp.Add.make_args(rest))
    return bool(constant >= MACHINE and largest < 2**31)


def _exceeds(polynomial: sp.Expr, other: sp.Expr, least: Mapping[sp.Symbol, int]) -> bool:
    """Return whether the difference of two polynomials has no negative term from the least sizes on."""
    a, b = terms(polynomial), terms(other)
    return a is not None and b is not None and no_negative_term(minus(a, b), least)
