"""When a bottleneck on a path saves nothing: the question that the paper leaves open.

A bottleneck of width m has m c_in + k^2 m^2 + m c_out weights, the path without it k^2 c_in c_out;
its MACs are in the same proportion, since all three convolutions run at the path's output resolution. With
r = c_out / c_in, only r, beta, k and the width rule decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from costmodel.operators.octave import PATHS
from costmodel.operators.standard import convolution
from costmodel.paper.equations import bottleneck_cost, k, w
from costmodel.rounding import hidden, split, unrounded_hidden

r, beta = sp.symbols("r beta", positive=True)


def cost_ratio(quantity: str = "params", rule: str = "out") -> sp.Expr:
    """Return a bottleneck's cost as a multiple of the plain path's, in r = c_out / c_in, beta and k.

    >>> cost_ratio().subs({r: 3, beta: 2, k: 3}) == sp.Rational(35, 36)  # 8.75 / 9: LH at alpha 1/4
    True
    """
    c = sp.Symbol("c", positive=True)
    c_out = r * c
    # min(c, r c) = c min(1, r): said here, since sympy doesn't take a common factor out of a minimum.
    width = c * sp.Min(1, r) / beta if rule == "min" else unrounded_hidden(c, c_out, beta, rule)
    compressed = getattr(bottleneck_cost(c, c_out, width), quantity)
    return sp.expand(sp.cancel(compressed / getattr(convolution(c, c_out, k, w), quantity)))


def saves_above_beta(rule: str = "out") -> sp.Expr:
    """Return the beta above which a bottleneck saves, in r and k.

    >>> saves_above_beta().subs({r: 1, k: 3})
    1/9 + sqrt(82)/9
    """
    x = sp.Symbol("x", positive=True)  # 1 / beta, in which the ratio is a x^2 + b x
    ratio = sp.expand(cost_ratio(rule=rule).subs(beta, 1 / x))
    a, b = (sp.factor(ratio.coeff(x, power)) for power in (2, 1))
    # a / beta^2 + b / beta = 1 has one positive root
    return (b + sp.sqrt(b**2 + 4 * a)) / 2


def saves_below_ratio(beta_value: Fraction | int, kernel: int = 3) -> sp.Rational:
    """Return the r = c_out / c_in below which a bottleneck of width c_out / beta saves.

    >>> saves_below_ratio(2)
    34/11
    """
    equation = cost_ratio().subs({beta: sp.Rational(beta_value), k: kernel}) - 1
    (limit,) = sp.solve(equation, r)
    return sp.Rational(limit)


@dataclass(frozen=True)
class Limits:
    """The alphas between which a bottleneck on a path saves at a given beta; None where it never does."""

    path: str
    widening: int  # how many times the layer's channels grow: 1, or 2 at a stage change
    low: sp.Rational | None
    high: sp.Rational | None

    @property
    def text(self) -> str:
        """The limits in words."""
        if self.low is None or self.high is None:
            return "never"
        if (self.low, self.high) == (0, 1):
            return "always"
        return (
            f"alpha > {self.low} = {float(self.low):.4f}"
            if self.high == 1
            else f"alpha < {self.high} = {float(self.high):.4f}"
        )


def limits(beta_value: Fraction | int, kernel: int = 3) -> tuple[Limits, ...]:
    """Return the alphas at which a bottleneck of width c_out / beta saves: each path, also at a stage change.

    >>> [found.text for found in limits(2)][1:3]
    ['alpha < 34/45 = 0.7556', 'alpha > 11/45 = 0.2444']
    """
    most = saves_below_ratio(beta_value, kernel)
    return tuple(_limits(path, widening, most) for widening in (1, 2) for path in PATHS)


def _limits(path: str, widening: int, most: sp.Rational) -> Limits:
    if most <= 0:
        return Limits(path, widening, None, None)
    share = most / (most + widening)
    if path == "HL":  # r = widening alpha / (1 - alpha) < most
        return Limits(path, widening, sp.Integer(0), share)
    if path == "LH":  # r = widening (1 - alpha) / alpha < most
        return Limits(path, widening, 1 - share, sp.Integer(1))
    return Limits(path, widening, *((sp.Integer(0), sp.Integer(1)) if widening < most else (None, None)))


@dataclass(frozen=True)
class PathSaving:
    """One path of one layer in numbers: channels, width by the rounding rule, kernel parameters both ways."""

    path: str
    c_in: int
    c_out: int
    width: int
    plain: int
    bottleneck: int

    @property
    def saved(self) -> Fraction:
        """The part of the path that is saved; negative where the bottleneck costs more."""
        return 1 - Fraction(self.bottleneck, self.plain)


def path_savings(
    channels_in: int,
    channels_out: int,
    alpha_value: Fraction,
    beta_value: Fraction,
    rule: str = "out",
    kernel: int = 3,
) -> Iterable[PathSaving]:
    """Yield what a bottleneck saves on each path of a layer that exists, by the rounding rule.

    >>> lh = list(path_savings(16, 16, Fraction(1, 4), Fraction(2)))[2]
    >>> lh.path, lh.saved == 1 - Fraction(875, 900)
    ('LH', True)
    """
    ends = split(channels_in, alpha_value), split(channels_out, alpha_value)
    for path in PATHS:
        c_in, c_out = (end["HL".index(branch)] for end, branch in zip(ends, path, strict=True))
        if c_in and c_out:
            m = int(hidden(c_in, c_out, beta_value, rule))
            compressed = bottleneck_cost(c_in, c_out, m).weights
            numbers = convolution(c_in, c_out, kernel, 1).weights, int(sp.sympify(compressed).subs(k, kernel))
            yield PathSaving(path, int(c_in), int(c_out), m, *map(int, numbers))
