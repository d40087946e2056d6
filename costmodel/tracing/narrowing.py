"""From the conditions that a run evaluated to the sizes that satisfy them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import sympy as sp
from sympy.core.relational import Relational

from costmodel.tracing.conditions import factors_of, follows, follows_by_remainders, parts, simplified
from costmodel.tracing.domain import Domain, Residues

SCANNED = 1024  # a bound on a single size is searched up to here, then proved for all sizes above


def domain(
    conditions: Sequence[sp.Basic],
    symbols: Iterable[sp.Symbol],
    fixed: Mapping[str, int] | None = None,
    at: Mapping[str, int] | None = None,
) -> Domain:
    """Return a domain of sizes that satisfy conditions, proved for every size in it.

    If a condition on several sizes needs it, the least sizes are raised, or the factors of a product are
    fixed to their values at the given sizes; the domain is then smaller than it could be.
    """
    known = {s: size for c in conditions for s in c.free_symbols if (size := (fixed or {}).get(s.name))}
    every = [part for given in conditions for part in parts(given.subs(known))]
    narrowing = _Narrowing(dict.fromkeys(c for part in every for c in simplified(part)), symbols)
    narrowing.take_single_sizes()
    narrowing.take_products({s: size for s in narrowing.least if (size := (at or {}).get(s.name))})
    narrowing.take_several_sizes()
    return Domain(narrowing.least, narrowing.residues, tuple(narrowing.left), fixed or {}, narrowing.most)


class _Narrowing:
    """Bounds and remainders of sizes, and the conditions that they do not yet decide."""

    def __init__(self, conditions: Iterable[sp.Basic], symbols: Iterable[sp.Symbol]) -> None:
        self.left = [condition for condition in conditions if condition != sp.true]
        self.least = dict.fromkeys(symbols, 1)
        self.most: dict[sp.Symbol, int] = {}
        self.residues: dict[sp.Symbol, Residues] = {}

    def take_single_sizes(self) -> None:
        """Turn conditions on one size into bounds and remainders."""
        for condition in self.left[:]:
            if len(condition.free_symbols) == 1:
                (symbol,) = condition.free_symbols
                self._take(condition, symbol)
        self.residues = {symbol: found for symbol, found in self.residues.items() if found.modulus > 1}

    def _take(self, condition: sp.Basic, symbol: sp.Symbol) -> None:
        periodic = _residues(condition, symbol)
        if periodic is not None:
            known = self.residues.get(symbol)
            self.residues[symbol] = known & periodic if known else periodic
            self.left.remove(condition)
            return
        low, high = interval(condition, symbol)
        self.least[symbol] = max(self.least.get(symbol, 1), low)
        if high is not None:
            self.most[symbol] = min(self.most.get(symbol, high), high)

    def take_products(self, at: Mapping[sp.Symbol, int]) -> None:
        """Replace a condition on a product by conditions on its single sizes."""
        for condition in self.left[:]:
            found = factors_of(condition, self.least, at)
            if found:
                self.left.remove(condition)
                self.left += found
        self.take_single_sizes()

    def take_several_sizes(self) -> None:
        """Drop conditions that follow; if raising one least size makes a condition follow, raise it."""
        single = {s: (r.modulus, min(r.allowed)) for s, r in self.residues.items() if len(r.allowed) == 1}
        self.left = [self._with_constants(condition) for condition in self.left]
        self.left = [c for c in self.left if not self._is_decided(c)]
        self.left = [c for c in self.left if not follows_by_remainders(c, self.least, single)]
        for condition in self.left:
            self.least.update(_raised(condition, self.least))
        self.left = [c for c in dict.fromkeys(self.left) if not follows(c, self.least)]

    def _with_constants(self, condition: sp.Basic) -> sp.Basic:
        """Return a condition with those roundings replaced that are constant within the bounds of a size."""
        constants = {}
        for rounded in condition.atoms(sp.floor, sp.ceiling):
            if len(rounded.free_symbols) == 1:
                (symbol,) = rounded.free_symbols
                low = rounded.subs(symbol, self.least[symbol])
                if symbol in self.most and rounded.subs(symbol, self.most[symbol]) == low:
                    constants[rounded] = low
        return condition.subs(constants)

    def _is_decided(self, condition: sp.Basic) -> bool:
        """Return whether a condition holds for each size between bounds, tried one by one."""
        if condition == sp.true:
            return True
        if len(condition.free_symbols) != 1:
            return False
        (symbol,) = condition.free_symbols
        bounds = range(self.least[symbol], self.most.get(symbol, -1) + 1)
        return bool(bounds) and not _failing(condition, symbol, bounds)


def interval(condition: sp.Basic, symbol: sp.Symbol) -> tuple[int, int | None]:
    """Return the sizes between which a condition on one size holds, as far as was scanned.

    The upper bound is None if there is none; (1, None) if the condition keeps changing.

    >>> h = sp.Symbol("h", integer=True, positive=True)
    >>> interval(sp.Eq(sp.ceiling(h / 32), 7), h), interval(sp.Ge(h, 5), h)
    ((193, 224), (5, None))
    """
    failing = _failing(condition, symbol, range(1, SCANNED + 1))
    late = sum(size > SCANNED // 2 for size in failing)
    if late == 0:
        return max(failing, default=0) + 1, None
    if late < SCANNED // 2:
        return 1, None
    ends = [0, *failing]
    gap, low = max((b - a, a) for a, b in pairwise(ends))
    return (low + 1, low + gap - 1) if gap > 1 else (1, None)


def _residues(condition: sp.Basic, symbol: sp.Symbol) -> Residues | None:
    """Return a condition as remainders if it is periodic; None if it is not."""
    if not isinstance(condition, Relational):
        return None
    rounded = condition.atoms(sp.floor, sp.ceiling, sp.Mod)
    period = math.lcm(*(_period(part) for part in rounded)) if rounded else 0
    if not 1 < period <= SCANNED:
        return None
    difference = condition.lhs - condition.rhs
    if sp.expand(difference.subs(symbol, symbol + period) - difference) != 0:
        return None
    failing = _failing(condition, symbol, range(period, 2 * period))
    allowed = frozenset(range(period)) - {size % period for size in failing}
    return Residues(period, allowed).reduced() if allowed else None


def _failing(condition: sp.Basic, symbol: sp.Symbol, sizes: Iterable[int]) -> list[int]:
    """Return the sizes for which a condition does not hold, or is undefined."""
    truth = sp.lambdify([symbol], condition, "math")

    def fails(size: int) -> bool:
        try:
            return not truth(size)
        except (ZeroDivisionError, ValueError, OverflowError):
            return True

    return [size for size in sizes if fails(size)]


def _period(rounded: sp.Expr) -> int:
    if isinstance(rounded, sp.Mod):
        return int(rounded.args[1]) if rounded.args[1].is_Integer else SCANNED + 1
    return math.lcm(*(int(term.as_coeff_Mul()[0].q) for term in sp.Add.make_args(rounded.args[0])))


def _raised(condition: sp.Basic, least: Mapping[sp.Symbol, int]) -> dict[sp.Symbol, int]:
    """Return the least size, of one symbol, from which a condition on several sizes is proved to hold."""
    if follows(condition, least):
        return {}
    for symbol in sorted(condition.free_symbols & set(least), key=str):
        low, high = least[symbol], 2 * least[symbol] + 64
        if follows(condition, {**least, symbol: high}):
            while high - low > 1:
                middle = (low + high) // 2
                is_enough = follows(condition, {**least, symbol: middle})
                low, high = (low, middle) if is_enough else (middle, high)
            return {symbol: high}
    return {}
