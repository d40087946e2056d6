"""The sizes for which a closed form holds, from the conditions that the code met on its way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sympy as sp
from sympy.core.relational import Relational

from costmodel.tracing.conditions import follows, follows_by_remainders, parts, simplified

SCANNED = 1024  # a bound on a single size is looked for up to here, and then proved for all sizes above


@dataclass(frozen=True)
class Residues:
    """A size must leave one of some remainders."""

    modulus: int
    allowed: frozenset[int]

    def text(self, name: str) -> str:
        """Return the condition as text."""
        allowed = sorted(self.allowed)
        if len(allowed) == 1:
            return f"{name} % {self.modulus} = {allowed[0]}"
        return f"{name} % {self.modulus} in {{{', '.join(map(str, allowed))}}}"

    def __and__(self, other: Residues) -> Residues:
        """Return the condition that both say."""
        modulus = math.lcm(self.modulus, other.modulus)
        both = (
            r
            for r in range(modulus)
            if r % self.modulus in self.allowed and r % other.modulus in other.allowed
        )
        return Residues(modulus, frozenset(both)).reduced()

    def reduced(self) -> Residues:
        """Return the same condition with the least modulus."""
        for modulus in range(1, self.modulus):
            small = {r % modulus for r in self.allowed}
            if self.modulus % modulus == 0 and len(small) * (self.modulus // modulus) == len(self.allowed):
                return Residues(modulus, frozenset(small))
        return self


@dataclass(frozen=True)
class Domain:
    """Least sizes, remainders, sizes that are fixed, and conditions that these do not decide."""

    least: Mapping[sp.Symbol, int]
    residues: Mapping[sp.Symbol, Residues] = field(default_factory=dict)
    conditions: tuple[sp.Basic, ...] = ()
    fixed: Mapping[str, int] = field(default_factory=dict)

    @property
    def bounded(self) -> dict[str, sp.Basic]:
        """Sizes that a condition keeps below some number, with the condition."""
        found = {}
        for condition in self.conditions:
            symbols = condition.free_symbols
            if len(symbols) == 1:
                (symbol,) = symbols
                if not _never_fails_late(condition, symbol):
                    found[symbol.name] = condition
        return found

    @property
    def text(self) -> str:
        """The domain in words.

        >>> n, h, w = sp.symbols("n h w", integer=True, positive=True)
        >>> Domain({n: 1, h: 33, w: 33}, {h: Residues(32, frozenset({0}))}).text
        'for n >= 1; h, w >= 33; h % 32 = 0'
        """
        by_bound: dict[int, list[str]] = {}
        for symbol, least in self.least.items():
            by_bound.setdefault(least, []).append(symbol.name)
        bounds = [f"{', '.join(names)} >= {least}" for least, names in by_bound.items()]
        remainders = [residues.text(symbol.name) for symbol, residues in self.residues.items()]
        fixed = [f"{name} = {size}" for name, size in self.fixed.items()]
        return f"for {'; '.join([*bounds, *remainders, *fixed, *map(written, self.conditions)])}"

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Return whether sizes, by the names of symbols, are in the domain.

        Raises ValueError where one is missing.
        """
        missing = [s.name for s in self.least if s.name not in sizes]
        if missing:
            raise ValueError(f"sizes needed for {', '.join(missing)}")
        values = {symbol: sizes[symbol.name] for symbol in self.least}
        return (
            all(values[s] >= least for s, least in self.least.items())
            and all(values[s] % r.modulus in r.allowed for s, r in self.residues.items())
            and all(sizes.get(name, size) == size for name, size in self.fixed.items())
            and all(condition.subs(values) == sp.true for condition in self.conditions)
        )


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


def domain(
    conditions: Sequence[sp.Basic], symbols: Iterable[sp.Symbol], fixed: Mapping[str, int] | None = None
) -> Domain:
    """Return sizes that fulfil conditions: every size of the domain does, by proof.

    Where a condition on several sizes needs it, the least sizes are raised, and the domain is smaller than
    it could be.
    """
    known = {s: size for c in conditions for s in c.free_symbols if (size := (fixed or {}).get(s.name))}
    every = [part for given in conditions for part in parts(given.subs(known))]
    left = list(dict.fromkeys(c for part in every for c in simplified(part) if c != sp.true))
    residues: dict[sp.Symbol, Residues] = {}
    least = dict.fromkeys(symbols, 1)
    for condition in left[:]:
        if len(condition.free_symbols) != 1:
            continue
        (symbol,) = condition.free_symbols
        periodic = _residues(condition, symbol)
        if periodic is not None:
            residues[symbol] = residues[symbol] & periodic if symbol in residues else periodic
            left.remove(condition)
        else:
            least[symbol] = max(least.get(symbol, 1), _least(condition, symbol))
    residues = {symbol: found for symbol, found in residues.items() if found.modulus > 1}
    single = {s: (r.modulus, min(r.allowed)) for s, r in residues.items() if len(r.allowed) == 1}
    left = [c for c in left if not follows_by_remainders(c, least, single)]
    for condition in left:
        least.update(_raised(condition, least))
    return Domain(least, residues, tuple(c for c in left if not follows(c, least)), fixed or {})


def _residues(condition: sp.Basic, symbol: sp.Symbol) -> Residues | None:
    """Return a condition as remainders, where it repeats with some period; None where it does not."""
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
    """Return the sizes for which a condition does not hold, or means nothing."""
    truth = sp.lambdify([symbol], condition, "math")

    def fails(size: int) -> bool:
        try:
            return not truth(size)
        except (ZeroDivisionError, ValueError, OverflowError):
            return True

    return [size for size in sizes if fails(size)]


def _never_fails_late(condition: sp.Basic, symbol: sp.Symbol) -> bool:
    return len(_failing(condition, symbol, range(SCANNED // 2, SCANNED))) < SCANNED // 2


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


def _least(condition: sp.Basic, symbol: sp.Symbol) -> int:
    """Return the size from which on a condition holds, as far as was scanned; 1 if it goes on changing."""
    failing = _failing(condition, symbol, range(1, SCANNED + 1))
    return 1 if failing and failing[-1] > SCANNED // 2 else max(failing, default=0) + 1
