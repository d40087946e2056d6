"""The formulas of the page: the cost of each kind of operator, generated as JavaScript.

The recorder runs each path of an octave convolution, and each other operator, on symbolic sizes. The
resulting expressions are printed as JavaScript: sums and products of integers, and quotients that are
rounded up in integer arithmetic. No formula on the page was written by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy as sp
from sympy.printing.jscode import JavascriptCodePrinter
from sympy.printing.precedence import PRECEDENCE

from costmodel.convention import Cost
from costmodel.operators.octave import PATHS, OctaveLayer, PathConvolution, plain_path, record_octave
from costmodel.operators.pwise_octave import BETWEEN, compressing
from costmodel.operators.recorder import FeatureMap, OctaveMap, Operator, Recorder, cost_of
from costmodel.sizes import Size

c_in, c_out, m, h, w, n = sp.symbols("c_in c_out m h w n", positive=True, integer=True)
k = sp.Symbol("k", positive=True, odd=True)
SYMBOLS = (c_in, c_out, m, k, h, w)

FORMS = ("plain", *BETWEEN)  # a single convolution, or a bottleneck with something between its parts
CASES: Mapping[str, tuple[int, str]] = {"1": (1, "C"), "A": (2, "A"), "B": (2, "B"), "C": (2, "C")}

# What the page shows of a cost, in this order; `moved` is what operators read and write.
QUANTITIES: Mapping[str, Callable[[Cost], Size]] = {
    "params": lambda cost: cost.params,
    "macs": lambda cost: cost.macs,
    "macs_training": lambda cost: cost.macs_training,
    "activations": lambda cost: cost.activations,
    "element_ops": lambda cost: cost.element_ops,
    "moved": lambda cost: cost.elements_read + cost.elements_written,
    "calls": lambda cost: cost.calls,
}


@dataclass(frozen=True)
class PageFormula:
    """The cost of an operator or a path on a map of (h, w), and the size of the map that it produces."""

    name: str
    cost: Cost
    size: tuple[Size, Size]
    operators: tuple[Operator, ...] = ()  # of a batch, one by one

    def javascript(self) -> str:
        """Return it as a JavaScript object: functions of c_in, c_out, m, k, h, w."""
        arguments = ", ".join(map(str, SYMBOLS))
        costs = ", ".join(javascript(quantity(self.cost)) for quantity in QUANTITIES.values())
        sizes = ", ".join(map(javascript, self.size))
        return f'"{self.name}": {{cost: ({arguments}) => [{costs}], size: (h, w) => [{sizes}]}}'


class _WholeNumbers(JavascriptCodePrinter):  # type: ignore[misc]  # sympy has no types
    """Prints expressions in integer arithmetic: no Math.pow, no division without rounding."""

    def _print_Pow(self, expr: Any) -> str:  # noqa: N802 - sympy names printers after classes
        if not expr.exp.is_Integer or expr.exp < 1:
            raise ValueError(f"only whole positive powers stay whole, got {expr}")
        base = self.parenthesize(expr.base, PRECEDENCE["Mul"])
        return "*".join([base] * int(expr.exp))

    def _print_Rational(self, expr: Any) -> str:  # noqa: N802
        raise ValueError(f"a fraction may stand only inside ceiling, got {expr}")

    def _print_ceiling(self, expr: Any) -> str:
        numerator, denominator = sp.fraction(sp.together(expr.args[0]))
        return f"ceilDiv({self._print(numerator)}, {self._print(denominator)})"


def javascript(formula: Size) -> str:
    """Return a formula as JavaScript.

    Raises ValueError if it holds a quotient that is not rounded.

    >>> javascript(9*m**2 + m*sp.ceiling(h/2))
    '9*m*m + m*ceilDiv(h, 2)'
    """
    return str(_WholeNumbers().doprint(sp.expand(formula)))


@cache
def formulas() -> tuple[PageFormula, ...]:
    """Return every formula of the page: paths by form and stride, then all other operators."""
    paths = [
        _path(path, form, case, stride, rule)
        for path in PATHS
        for form in FORMS
        for case, (stride, rule) in CASES.items()
    ]
    return (*paths, *_operators())


def _path(path: str, form: str, case: str, stride: int, rule: str) -> PageFormula:
    """A path alone: what it pools, convolves and upsamples, on the map that enters it."""
    entering, leaving = path[0], path[1]
    layer = OctaveLayer(_on(entering, c_in), _on(leaving, c_out), (k, k), stride, stride_rule=rule)
    x = FeatureMap(c_in, (h, w), "x")

    def run(rec: Recorder) -> FeatureMap:
        high, low = record_octave(rec, "conv", OctaveMap(*_either(entering, x)), layer, _convolve(form))
        produced = high or low
        assert produced is not None
        return produced

    # Under rules A and B two paths share the pooling by the stride, so it is a separate operator.
    return _formula(f"{path}.{form}.{case}", run, path)


def _formula(name: str, run: Callable[[Recorder], FeatureMap], path: str | None = None) -> PageFormula:
    """Run operators for one image, whose cost is shown, and for a batch, whose time is predicted."""
    one, many = Recorder(), Recorder(batch=n)
    produced = run(one)
    run(many)
    own, all_own = ([op for op in rec.operators if op.place.path == path] for rec in (one, many))
    return PageFormula(name, cost_of(own), produced.size, tuple(all_own))


def _on(branch: str, channels: Size) -> tuple[Size, Size]:
    return (channels, 0) if branch == "H" else (0, channels)


def _either(branch: str, x: FeatureMap) -> tuple[FeatureMap | None, FeatureMap | None]:
    return (x, None) if branch == "H" else (None, x)


def _convolve(form: str) -> PathConvolution:
    return plain_path if form == "plain" else compressing(lambda _: m, form)


def _operators() -> Iterator[PageFormula]:
    x = FeatureMap(c_in, (h, w), "x")
    runs: Mapping[str, Callable[[Recorder], FeatureMap]] = {
        "stem": lambda rec: rec.conv("y", x, c_out, (k, k), input_grad=False),
        "bn": lambda rec: rec.bn("y", x),
        "relu": lambda rec: rec.relu("y", x),
        "pool": lambda rec: rec.pool("y", x),
        "upsample": lambda rec: rec.upsample("y", x, (2 * h, 2 * w)),
        "add": lambda rec: rec.add("y", x, x),
        "concatenate": lambda rec: rec.concatenate("y", x, FeatureMap(c_out, (h, w), "z")),
        "global_pool": lambda rec: rec.global_pool("y", x),
        "linear": lambda rec: rec.linear("y", x, c_out),
    }
    for name, run in runs.items():
        yield _formula(name, run)


def formulas_javascript() -> str:
    """Return all formulas as the JavaScript object FORMULAS."""
    return "const FORMULAS = {\n" + ",\n".join(formula.javascript() for formula in formulas()) + "\n};\n"
