"""The sizes for which a closed form holds, from the conditions that the code evaluated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import sympy as sp
from sympy.core.relational import Relational


@dataclass(frozen=True)
class Residues:
    """A condition on a size: its remainder modulo some number is one of a set."""

    modulus: int
    allowed: frozenset[int]

    def text(self, name: str) -> str:
        """Return the condition as text."""
        allowed = sorted(self.allowed)
        if len(allowed) == 1:
            return f"{name} % {self.modulus} = {allowed[0]}"
        return f"{name} % {self.modulus} in {{{', '.join(map(str, allowed))}}}"

    def __and__(self, other: Residues) -> Residues:
        """Return the conjunction of both conditions."""
        modulus = math.lcm(self.modulus, other.modulus)
        both = (
            r
            for r in range(modulus)
            if r % self.modulus in self.allowed and r % other.modulus in other.allowed
        )
        return Residues(modulus, frozenset(both)).reduced()

    def reduced(self) -> Residues:
        """Return an equivalent condition with the smallest modulus."""
        for modulus in range(1, self.modulus):
            small = {r % modulus for r in self.allowed}
            if self.modulus % modulus == 0 and len(small) * (self.modulus // modulus) == len(self.allowed):
                return Residues(modulus, frozenset(small))
        return self


@dataclass(frozen=True)
class Domain:
    """Least and largest sizes, remainders, fixed sizes, and conditions that these do not decide."""

    least: Mapping[sp.Symbol, int]
    residues: Mapping[sp.Symbol, Residues] = field(default_factory=dict)
    conditions: tuple[sp.Basic, ...] = ()
    fixed: Mapping[str, int] = field(default_factory=dict)
    most: Mapping[sp.Symbol, int] = field(default_factory=dict)  # upper bounds set by the code
    places: Mapping[str, str] = field(default_factory=dict)  # by or before which modules sizes were fixed

    @property
    def text(self) -> str:
        """The domain in words.

        >>> n, h, w = sp.symbols("n h w", integer=True, positive=True)
        >>> Domain({n: 1, h: 33, w: 33}, {h: Residues(32, frozenset({0}))}).text
        'for n >= 1; h a multiple of 32 and at least 64; w >= 33'
        """
        return self.summary(len(self.conditions))

    def summary(self, most: int) -> str:
        """Return the domain in words, with at most so many of its further conditions."""
        alike: dict[tuple[int, int | None, int], list[str]] = {}
        for symbol, least in self.least.items():
            modulus = self._divisor(symbol)
            alike.setdefault((-(-least // modulus) * modulus, self.most.get(symbol), modulus), []).append(
                symbol.name
            )
        sizes = [_sizes(names, *bounds) for bounds, names in alike.items()]
        remainders = [r.text(s.name) for s, r in self.residues.items() if self._divisor(s) == 1]
        fixed = [f"{name} = {size}{self._fixed_by(name)}" for name, size in self.fixed.items()]
        conditions = [*map(written, self.conditions[:most])]
        if more := len(self.conditions[most:]):
            conditions.append(f"and {more} more")
        return f"for {'; '.join([*sizes, *remainders, *fixed, *conditions])}"

    def _divisor(self, symbol: sp.Symbol) -> int:
        """Return the number that must divide a size; 1 if none must, or if other remainders are allowed."""
        residues = self.residues.get(symbol)
        return residues.modulus if residues and residues.allowed == {0} else 1

    def _fixed_by(self, name: str) -> str:
        return f" (fixed {self.places[name]})" if name in self.places else ""

    @property
    def is_empty(self) -> bool:
        """Whether the bounds and the remainders of some size exclude each other."""
        return any(self.most.get(s, least) < least for s, least in self.least.items()) or any(
            not residues.allowed for residues in self.residues.values()
        )

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Return whether sizes, by the names of symbols, are in the domain.

        Raises ValueError if one is missing.
        """
        missing = [s.name for s in self.least if s.name not in sizes]
        if missing:
            raise ValueError(f"sizes needed for {', '.join(missing)}")
        return not self.broken(sizes)

    def broken(self, sizes: Mapping[str, int]) -> list[str]:
        """Return the conditions that sizes, by the names of symbols, do not satisfy.

        >>> h, w = sp.symbols("h w", integer=True, positive=True)
        >>> Domain({h: 2, w: 40}, conditions=(sp.Ne(h, w),)).broken({"h": 32, "w": 32})
        ['w >= 40', 'h != w']
        """
        values = {symbol: sizes[symbol.name] for symbol in self.least}
        return [
            *(f"{s.name} >= {least}" for s, least in self.least.items() if values[s] < least),
            *(f"{s.name} <= {most}" for s, most in self.most.items() if values[s] > most),
            *(r.text(s.name) for s, r in self.residues.items() if values[s] % r.modulus not in r.allowed),
            *(f"{name} = {size}" for name, size in self.fixed.items() if sizes.get(name, size) != size),
            *(written(condition) for condition in self.conditions if condition.subs(values) != sp.true),
        ]


def joined(one: Domain, other: Domain, symbol: sp.Symbol) -> Domain:
    """Return the sizes for which two runs stand, in the second of which a symbol is 1.

    The symbol may be 1 too; all other sizes must be in both domains.
    """
    residues = dict(one.residues)
    for s, found in other.residues.items():
        residues[s] = residues[s] & found if s in residues else found
    least = {s: 1 if s == symbol else max(v, other.least[s]) for s, v in one.least.items()}
    most = dict(one.most)
    for s, bound in other.most.items():
        most[s] = min(bound, most.get(s, bound))
    return replace(one, least=least, residues=residues, most=most)


def _sizes(names: list[str], least: int, most: int | None, modulus: int) -> str:
    """Return bounds of sizes as text."""
    several = ", ".join(names)
    if modulus == 1:
        return f"{several} >= {least}" if most is None else f"{least} <= {several} <= {most}"
    multiples = f"{several} {'a multiple' if len(names) == 1 else 'multiples'} of {modulus}"
    if most is not None:
        return f"{multiples} from {least} to {most // modulus * modulus}"
    return f"{multiples} and at least {least}" if least > modulus else multiples


def written(condition: sp.Basic) -> str:
    """Return a condition as text.

    >>> h = sp.Symbol("h", integer=True)
    >>> written(sp.Ne(sp.Mod(h, 4), 0)), written(sp.Eq(h, 3))
    ('h % 4 != 0', 'h = 3')
    """
    if isinstance(condition, sp.And | sp.Or):
        word = " and " if isinstance(condition, sp.And) else " or "
        return word.join(sorted(f"({written(part)})" for part in condition.args))
    if not isinstance(condition, Relational):
        return str(condition)
    sign = {"==": "=", "!=": "!="}.get(condition.rel_op, condition.rel_op)
    sides = [_side(side) for side in (condition.lhs, condition.rhs)]
    return f"{sides[0]} {sign} {sides[1]}"


def _side(expression: sp.Expr) -> str:
    if isinstance(expression, sp.Mod):
        return f"{expression.args[0]} % {expression.args[1]}"
    return str(expression)
