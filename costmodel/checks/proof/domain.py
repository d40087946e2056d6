"""For which sizes a theorem holds: lower bounds, facts, and other ways to write the same sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy as sp


@dataclass(frozen=True)
class SizeDomain:
    """Whole numbers, each from its least value on, for which the facts hold."""

    least: Mapping[sp.Symbol, int]
    facts: tuple[sp.Expr, ...] = ()  # each of them is at least 0
    # Equal ways to write the sizes: c as c_H + c_L, since c_H is at least 2 as well.
    worlds: tuple[Mapping[sp.Symbol, sp.Expr], ...] = ()
    # Quotients that are rounded down, and what they are then: a size of the theorem, or a number.
    rounded: Mapping[sp.Expr, sp.Expr] = field(default_factory=dict)

    def holds(self, numbers: Mapping[sp.Symbol, int]) -> bool:
        """Return whether numbers lie in the domain."""
        return (
            all(numbers[symbol] >= least for symbol, least in self.least.items())
            and all(fact.subs(numbers) >= 0 for fact in self.facts)
            and all(sp.floor(q.subs(numbers)) == sp.sympify(r).subs(numbers) for q, r in self.rounded.items())
        )

    def text(self) -> str:
        """Return the domain in words: `n, h >= 1; c >= 2; c_L = floor(alpha c)`."""
        by_bound: dict[int, list[str]] = {}
        for symbol in sorted(self.least, key=str):
            by_bound.setdefault(self.least[symbol], []).append(str(symbol))
        parts = [f"{', '.join(names)} >= {bound}" for bound, names in sorted(by_bound.items())]
        parts += [f"{fact} >= 0" for fact in self.facts]
        parts += [f"{named} = floor({sp.factor(quotient)})" for quotient, named in self.rounded.items()]
        return "; ".join(parts)
