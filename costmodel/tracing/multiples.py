"""Formulas without the roundings that a domain makes exact: floor(h/4) is h/4 where 4 divides h."""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from costmodel.convention import QUANTITIES, Cost
from costmodel.sizes import whole
from costmodel.tracing.domain import Residues
from costmodel.tracing.rounding import ceiling_of, floor_of


class Exactly:
    """Replaces roundings of sizes whose remainder is known."""

    def __init__(self, residues: Mapping[sp.Symbol, Residues]) -> None:
        known = {s: (r.modulus, min(r.allowed)) for s, r in residues.items() if len(r.allowed) == 1}
        multiples = {s: sp.Dummy(s.name, integer=True, positive=True) for s in known}
        self._written = {s: m * multiples[s] + r for s, (m, r) in known.items()}
        self._back = {multiples[s]: (s - r) / sp.Integer(m) for s, (m, r) in known.items()}
        self._known: dict[sp.Expr, sp.Expr] = {}

    def cost(self, cost: Cost) -> Cost:
        """Return a cost with each quantity written without needless roundings."""
        if not self._written:
            return cost
        return Cost(*(self.formula(getattr(cost, name)) for name in QUANTITIES))

    def formula(self, formula: sp.Expr | int) -> sp.Expr | int:
        """Return a formula that has the same values for sizes with these remainders.

        >>> h = sp.Symbol("h", integer=True, positive=True)
        >>> exactly = Exactly({h: Residues(4, frozenset({1}))})
        >>> tuple(map(exactly.formula, [sp.floor(h / 2), sp.ceiling(h / 4), sp.floor(h / 8)]))
        (h/2 - 1/2, h/4 + 3/4, floor(h/8))
        """
        if isinstance(formula, int):
            return formula
        exact = {found: self._exact(found) for found in formula.atoms(sp.floor, sp.ceiling)}
        return whole(sp.expand(formula.xreplace(exact)))

    def _exact(self, rounded: sp.Expr) -> sp.Expr:
        if rounded not in self._known:
            round_ = floor_of if isinstance(rounded, sp.floor) else ceiling_of
            found = round_(rounded.args[0].xreplace(self._written))
            self._known[rounded] = (
                rounded if found.has(sp.floor, sp.ceiling) else sp.expand(found.xreplace(self._back))
            )
        return self._known[rounded]
