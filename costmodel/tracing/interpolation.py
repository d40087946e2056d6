"""A closed form from runs at concrete sizes, for code that does not run on symbols.

For sizes with one remainder modulo some number, the counts of a network whose sizes are divided and rounded
are polynomials. A polynomial of degree d in one size is determined by d + 1 runs. No number of runs can prove
it for all other sizes; the form states the number of further sizes at which it was checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from random import Random

import sympy as sp

from costmodel.convention import QUANTITIES, Cost
from costmodel.sizes import Size, whole

Layers = Mapping[str, Cost]
Count = Callable[[Mapping[str, int]], Layers]
Point = tuple[int, ...]


class NotPolynomialError(ValueError):
    """Counts that are not a polynomial of the degree that was tried; the message says where."""


class Interpolation:
    """Sizes on a grid: start + k step for each symbol, and the degree of the polynomial in it."""

    def __init__(
        self, start: Mapping[str, int], steps: Mapping[str, int], degrees: Mapping[str, int]
    ) -> None:
        self.names = tuple(start)
        self._axes = [[start[n] + k * steps[n] for k in range(degrees[n] + 1)] for n in self.names]
        self._symbols = [sp.Symbol(name, positive=True, integer=True) for name in self.names]
        self._bases = [_bases(symbol, axis) for symbol, axis in zip(self._symbols, self._axes, strict=True)]
        self._known: dict[tuple[Size, ...], Size] = {}
        self.points: list[Point] = list(product(*self._axes))
        self._terms = [self._product(point) for point in self.points]
        self.checks: list[Point] = _further(start, steps, degrees, len(self.points))

    def sizes(self, point: Point) -> dict[str, int]:
        """Return a point as sizes by name."""
        return dict(zip(self.names, point, strict=True))

    def layers(self, count: Count) -> dict[str, Cost]:
        """Return the cost of each layer as polynomials that agree with `count` at all points and checks.

        Raises NotPolynomialError if there are none.

        >>> count = lambda sizes: {"conv": Cost(macs=sizes["n"] * (3 * (sizes["h"] // 2) ** 2 + 5))}
        >>> found = Interpolation({"n": 1, "h": 8}, {"n": 1, "h": 2}, {"n": 1, "h": 2}).layers(count)
        >>> sp.factor(found["conv"].macs)
        n*(3*h**2 + 20)/4
        """
        counted = [count(self.sizes(point)) for point in self.points]
        names = list(counted[0])
        if any(list(layers) != names for layers in counted):
            raise NotPolynomialError("different layers run at other sizes")
        found = {name: self._cost([layers[name] for layers in counted]) for name in names}
        for point in self.checks:
            self._check(found, count(self.sizes(point)), point)
        return found

    def _cost(self, costs: Sequence[Cost]) -> Cost:
        return Cost(*(self._polynomial(tuple(getattr(c, name) for c in costs)) for name in QUANTITIES))

    def _polynomial(self, values: tuple[Size, ...]) -> Size:
        """Return the polynomial through values at the points, by Lagrange interpolation."""
        if len(set(values)) == 1:
            return values[0]
        if values not in self._known:
            self._known[values] = self._sum(values)
        return self._known[values]

    def _sum(self, values: tuple[Size, ...]) -> Size:
        """Return the sum of values times the polynomials of their points, term by term."""
        coefficients: dict[sp.Expr, sp.Expr] = {}
        for terms, value in zip(self._terms, values, strict=True):
            for monomial, coefficient in terms.items():
                coefficients[monomial] = coefficients.get(monomial, sp.S.Zero) + value * coefficient
        return whole(sp.Add(*(coefficient * monomial for monomial, coefficient in coefficients.items())))

    def _product(self, point: Point) -> dict[sp.Expr, sp.Expr]:
        """Return the terms of the polynomial that is 1 at a point and 0 at the others."""
        where = zip(self._bases, self._axes, point, strict=True)
        factors = [bases[axis.index(size)] for bases, axis, size in where]
        return dict(sp.expand(sp.prod(factors)).as_coefficients_dict())

    def _check(self, found: Layers, counted: Layers, point: Point) -> None:
        values = dict(zip(self._symbols, point, strict=True))
        where = ", ".join(f"{name} = {size}" for name, size in self.sizes(point).items())
        if list(found) != list(counted):
            raise NotPolynomialError(f"different layers run at {where}")
        for name, cost in counted.items():
            for quantity in QUANTITIES:
                predicted = sp.sympify(getattr(found[name], quantity)).subs(values)
                if predicted != getattr(cost, quantity):
                    raise NotPolynomialError(
                        f"{name or '(model)'}: {quantity} is not a polynomial of that degree: "
                        f"{predicted} predicted at {where}, {getattr(cost, quantity)} counted"
                    )


def _bases(symbol: sp.Symbol, points: Sequence[int]) -> list[sp.Expr]:
    return [
        sp.prod([(symbol - other) / sp.Integer(point - other) for other in points if other != point])
        for point in points
    ]


def _further(
    start: Mapping[str, int], steps: Mapping[str, int], degrees: Mapping[str, int], wanted: int
) -> list[Point]:
    """Return as many check points as there are points of the grid, all of them new."""
    draw = Random(sum(start.values()))
    used = [range(degrees[name] + 1) for name in start]
    found: list[Point] = []
    while len(found) < wanted:
        ks = [draw.randint(0, 2 * degrees[name] + 2) for name in start]
        point = tuple(start[name] + steps[name] * k for name, k in zip(start, ks, strict=True))
        is_new = not all(k in known for k, known in zip(ks, used, strict=True))
        if is_new and point not in found:
            found.append(point)
    return found
