"""torch's symbolic sizes as plain sympy: its own functions become floors, remainders and maxima."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

from costmodel.tracing.calls import TraceError
from costmodel.tracing.rounding import ceiling_of, floor_of

SMALL = 2**20  # products of sizes up to 2^33 with such integers have 53 bits


def _floor_div(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    return floor_of(a / b)


def _modular_indexing(base: sp.Expr, divisor: sp.Expr, modulus: sp.Expr) -> sp.Expr:
    return sp.Mod(floor_of(base / divisor), modulus)


def _rounded_to_even(value: sp.Expr, *digits: sp.Expr) -> sp.Expr:
    raise TraceError(f"(model): no rule for round({', '.join(map(str, (value, *digits)))}) of sizes")


# Sizes are positive, so rounding towards zero is rounding down, and Python's remainder equals C's.
_RULES: Mapping[str, Callable[..., sp.Expr]] = {
    "FloorDiv": _floor_div,
    "CleanDiv": lambda a, b: sp.expand(a / b),
    "IntTrueDiv": lambda a, b: a / b,
    "FloatTrueDiv": lambda a, b: a / b,
    "Mod": sp.Mod,
    "PythonMod": sp.Mod,
    "ModularIndexing": _modular_indexing,
    "Max": sp.Max,
    "Min": sp.Min,
    "ToFloat": lambda a: a,
    "TruncToInt": floor_of,
    "TruncToFloat": floor_of,
    "FloorToInt": floor_of,
    "CeilToInt": ceiling_of,
    "CeilToFloat": ceiling_of,
    "CeilDiv": lambda a, b: ceiling_of(a / b),
    "RoundToInt": _rounded_to_even,
    "RoundDecimal": _rounded_to_even,
    "Identity": lambda a: a,
    "PowByNatural": lambda a, b: a**b,
    "FloatPow": lambda a, b: a**b,
    "Where": lambda condition, a, b: sp.Piecewise((a, condition), (b, True)),
}


def _exact(number: sp.Float) -> sp.Expr:
    """Return a number as a fraction if products of sizes with it are exact in floating point, too."""
    numerator, denominator = float(number).as_integer_ratio()
    is_exact = denominator <= SMALL and abs(numerator) <= SMALL
    return sp.Rational(numerator, denominator) if is_exact or denominator == 1 else number


class Translation:
    """Translates expressions in torch's symbols into ours."""

    def __init__(self, symbols: Mapping[sp.Symbol, sp.Symbol]) -> None:
        self._symbols = symbols
        self._known: dict[Any, Any] = {}

    def size(self, value: Any) -> Any:
        """Return a torch size as an integer or an expression."""
        return self.expression(value.node.expr) if hasattr(value, "node") else int(value)

    def expression(self, expression: Any) -> Any:
        """Return a torch expression or condition as a sympy one."""
        if expression not in self._known:
            self._known[expression] = self._translated(expression)
        return self._known[expression]

    def _translated(self, expression: Any) -> Any:
        if not expression.args:
            if isinstance(expression, sp.Float):
                return _exact(expression)
            return self._symbols.get(expression, expression)
        arguments = [self.expression(argument) for argument in expression.args]
        rule = _RULES.get(type(expression).__name__)
        return rule(*arguments) if rule else expression.func(*arguments)
