"""The paper's equations, each beside the form that the cost model derives, and the proof that both are equal.

The derived form is what the recorder notes when it runs a layer whose sizes are symbols: nothing of it is
written here. The paper's form is written as it is printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from costmodel.convention import Cost, total
from costmodel.operators.depthwise import depthwise
from costmodel.operators.octave import PATHS, OctaveLayer, octave_map
from costmodel.operators.pointwise import pointwise
from costmodel.operators.pwise_octave import record_pwise_octave
from costmodel.operators.recorder import Recorder, cost_of
from costmodel.operators.standard import convolution
from costmodel.sizes import Size

c, f, k, w = sp.symbols("c f k w", positive=True, integer=True)
h_high, w_high = sp.symbols("h w", positive=True, even=True)
alpha, beta = sp.symbols("alpha beta", positive=True)


# Names for channels and widths, and what they are: the derived forms are in these letters.
c_H, c_L, m_H, m_L, m = sp.symbols("c_H c_L m_H m_L m", positive=True, integer=True)  # noqa: N816
DEFINITIONS: Mapping[sp.Symbol, sp.Expr] = {
    m: f / beta,
    m_H: c_H / beta,
    m_L: c_L / beta,
    c_H: (1 - alpha) * c,
    c_L: alpha * c,
}


@dataclass(frozen=True)
class Equation:
    """One equation: number, what it says, section, the paper's form, the form derived from sizes."""

    number: str
    says: str
    section: str
    paper: sp.Expr
    derived: sp.Expr

    @property
    def in_paper_symbols(self) -> sp.Expr:
        """The derived form in the paper's symbols."""
        expression = self.derived
        for symbol, meaning in DEFINITIONS.items():
            expression = expression.subs(symbol, meaning)
        return expression

    @property
    def difference(self) -> sp.Expr:
        """The paper's form minus the derived one, multiplied out; 0 is the proof that both are equal."""
        return sp.expand(self.paper - self.in_paper_symbols)

    @property
    def holds(self) -> bool:
        """Whether the difference is zero."""
        return bool(self.difference == 0)


def _octave_costs(compressed: bool) -> Mapping[str, Cost]:
    """Run a layer with c_in = c_out and alpha_in = alpha_out on symbols, path by path."""
    channels, widths = (c_H, c_L), {"HH": m_H, "HL": m_L, "LH": m_H, "LL": m_L}
    layer, rec = OctaveLayer(channels, channels, (k, k)), Recorder()
    record_pwise_octave(
        rec, "conv", octave_map(channels, (h_high, w_high)), layer, widths if compressed else {}
    )
    return {path: cost_of(op for op in rec.operators if op.place.path == path) for path in PATHS}


def bottleneck_cost(c_in: Size, c_out: Size, width: Size) -> Cost:
    """Return the cost of a bottleneck c_in -> width -> width -> c_out on a w x w map, run on symbols."""
    layer, rec = OctaveLayer((c_in, 0), (c_out, 0), (k, k)), Recorder()
    record_pwise_octave(rec, "conv", octave_map(layer.c_in, (w, w)), layer, {"HH": width})
    return cost_of(rec.operators)


def octave_equations() -> Iterable[Equation]:
    """Yield equations (3) to (8)."""
    h, w_, costs = h_high, w_high, _octave_costs(compressed=False)
    at_half = h / 2 * (w_ / 2) * k**2
    forms = {
        "HH": h * w_ * k**2 * (1 - alpha) ** 2 * c**2,
        "HL": at_half * alpha * (1 - alpha) * c**2,
        "LH": at_half * (1 - alpha) * alpha * c**2,
        "LL": at_half * alpha**2 * c**2,
    }
    for number, (path, form) in enumerate(forms.items(), start=3):
        yield Equation(str(number), f"OctConv, MACs of {path}", "4.2", form, costs[path].macs)
    layer = total(costs.values())
    ratio = 1 - sp.Rational(3, 4) * alpha * (2 - alpha)
    yield Equation("7", "OctConv, MACs", "4.2", ratio * h * w_ * k**2 * c**2, layer.macs)
    yield Equation("8", "OctConv, parameters", "4.2", k**2 * c**2, layer.params)


def _bottleneck_equations() -> Iterable[Equation]:
    area, costs = h_high * w_high * c**2, _octave_costs(compressed=True)
    bottleneck = bottleneck_cost(c, f, m)
    params = f / beta**2 * (k**2 * f + beta * (c + f))
    yield Equation("9", "bottleneck, MACs", "5.3", w**2 * params, bottleneck.macs)
    forms = {
        "HH": (1 - alpha) ** 2 / beta**2 * area * (k**2 + 2 * beta),
        "HL": alpha / (4 * beta**2) * area * (alpha * k**2 + beta),
        "LH": (1 - alpha) / (4 * beta**2) * area * ((1 - alpha) * k**2 + beta),
        "LL": alpha**2 / (4 * beta**2) * area * (k**2 + 2 * beta),
    }
    for number, (path, form) in enumerate(forms.items(), start=10):
        yield Equation(str(number), f"PwiseOct, MACs of {path}", "5.3", form, costs[path].macs)
    yield Equation("14", "bottleneck, parameters", "5.3", params, bottleneck.params)


def _unnumbered() -> Iterable[Equation]:
    """Section 3's formulas, which have no number."""
    costs: Mapping[str, tuple[str, Cost, sp.Expr]] = {
        "standard convolution": ("3.1", convolution(c, f, k, w), k**2 * c * f),
        "pointwise convolution": ("3.2", pointwise(c, f, w), c * f),
        "depthwise convolution": ("3.3", depthwise(c, k, w), k**2 * c),
    }
    for name, (section, cost, params) in costs.items():
        yield Equation("", f"{name}, MACs", section, w**2 * params, cost.macs)
        yield Equation("", f"{name}, parameters", section, params, cost.params)


def equations() -> tuple[Equation, ...]:
    """Return section 3's formulas and equations (3) to (14), in the paper's order.

    >>> all(equation.holds for equation in equations())
    True
    """
    return (*_unnumbered(), *octave_equations(), *_bottleneck_equations())


def layer_saving(quantity: str) -> Fraction:
    """Return what a bottleneck saves of a layer's params or macs at c = f = 16, w = 32, k = 3, beta = 2.

    >>> layer_saving("macs")
    Fraction(23, 36)
    """
    sizes = {c: 16, f: 16, m: 8, k: 3, w: 32}
    plain, compressed = (
        getattr(cost.subs(sizes), quantity) for cost in (convolution(c, f, k, w), bottleneck_cost(c, f, m))
    )
    return 1 - Fraction(compressed, plain)
