"""Closed forms as text, LaTeX, JSON, Python and JavaScript; all give the same integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.str import StrPrinter

LANGUAGES = ("text", "latex", "json", "python", "javascript")
MOST_FACTORED = 12  # up to this many terms, a sum is fully factored; otherwise common factors are taken out
# Division that rounds down, since BigInt's rounds towards zero.
DIV = "const div = (a, b) => a >= 0n ? a / b : -((b - 1n - a) / b);"


def text(formula: Any) -> str:
    """Return a formula as readable text.

    >>> h = sp.Symbol("h", integer=True, positive=True)
    >>> text(9 * sp.floor((h + 1) / 2) ** 2)
    '9*floor((h + 1)/2)^2'
    """
    return str(_Text().doprint(tidy(formula))).replace("**", "^")


def latex(formula: Any) -> str:
    """Return a formula as LaTeX.

    >>> h = sp.Symbol("h", integer=True, positive=True)
    >>> latex(sp.floor(h / 2))
    '\\\\left\\\\lfloor \\\\frac{h}{2} \\\\right\\\\rfloor'
    """
    return str(_Latex().doprint(tidy(formula)))


def tidy(formula: Any) -> Any:
    """Return a formula with common factors taken out, and arguments of floors as single fractions."""
    expr = sp.sympify(formula)
    floors = {found: sp.Dummy(integer=True) for found in _outer_floors(expr)}
    inner = {dummy: found.func(sp.together(tidy(found.args[0]))) for found, dummy in floors.items()}
    outside = expr.xreplace(floors)
    few = len(sp.Add.make_args(sp.expand(outside))) <= MOST_FACTORED
    return (sp.factor if few else sp.factor_terms)(outside).xreplace(inner)


def _outer_floors(expr: Any) -> list[Any]:
    if isinstance(expr, sp.floor | sp.ceiling):
        return [expr]
    return [found for argument in expr.args for found in _outer_floors(argument)]


def python(name: str, formula: Any, symbols: Sequence[str], domain: str) -> str:
    """Return a Python function that computes a formula exactly, in integers.

    >>> h = sp.Symbol("h", integer=True, positive=True)
    >>> print(python("macs", 9 * sp.floor((h + 1) / 2), ["h"], "h >= 2"))
    def macs(h):
        \"\"\"Holds for h >= 2.\"\"\"
        return 9*((h + 1)//2)
    """
    body = _outside(_Python().doprint(_exact(tidy(formula))))
    return f'def {name}({", ".join(symbols)}):\n    """Holds for {domain}."""\n    return {body}'


def javascript(name: str, formula: Any, symbols: Sequence[str], domain: str) -> str:
    """Return a JavaScript function that computes a formula exactly, with BigInt and the function `DIV`.

    >>> h = sp.Symbol("h", integer=True, positive=True)
    >>> print(javascript("macs", 9 * sp.floor((h + 1) / 2), ["h"], "h >= 2"))
    // Holds for h >= 2.
    function macs(h) {
      [h] = [h].map(BigInt);
      return 9n*div(h + 1n, 2n);
    }
    """
    body = javascript_body(formula)
    names = ", ".join(symbols)
    lines = [f"// Holds for {domain}.", f"function {name}({names}) {{"]
    lines += [f"  [{names}] = [{names}].map(BigInt);"] if symbols else []
    return "\n".join([*lines, f"  return {body};", "}"])


def javascript_body(formula: Any) -> str:
    """Return a formula as an expression of JavaScript in BigInt, by `div` and `mod`, which round down.

    >>> javascript_body(sp.Mod(sp.Symbol("h", integer=True, positive=True), 4))
    'mod(h, 4n)'
    """
    return str(_JavaScript().doprint(_exact(tidy(formula))))


def written(language: str, formulas: Mapping[str, Any], symbols: Sequence[str], domain: str) -> str:
    """Return formulas by name in a language.

    Raises ValueError if the language is not one of `LANGUAGES`, or is json, which a table writes.
    """
    if language == "text":
        return "\n".join(f"{name} = {text(formula)}" for name, formula in formulas.items())
    if language == "latex":
        return "\n".join(f"\\mathrm{{{_upright(n)}}} = {latex(f)}" for n, f in formulas.items())
    if language in ("python", "javascript"):
        write = python if language == "python" else javascript
        functions = [write(name, formula, symbols, domain) for name, formula in formulas.items()]
        return "\n\n".join(functions if language == "python" else [DIV, *functions])
    raise ValueError(f"as must be one of {', '.join(LANGUAGES)}, got {language}")


def _upright(name: str) -> str:
    return name.replace("_", r"\ ")


class _Text(StrPrinter):  # type: ignore[misc]
    def _print_floor(self, expr: Any) -> str:
        return f"floor({_fraction(self, expr, '({})', '{}/{}')})"


class _Latex(LatexPrinter):  # type: ignore[misc]
    def _print_floor(self, expr: Any, exp: str | None = None) -> str:
        body = r"\left\lfloor " + _fraction(self, expr, "{}", r"\frac{{{}}}{{{}}}") + r" \right\rfloor"
        return body if exp is None else rf"{body}^{{{exp}}}"


def _fraction(printer: Any, expr: Any, several: str, quotient: str) -> str:
    """Print the argument of a floor as one fraction: sympy itself distributes a denominator over a sum."""
    top, bottom = sp.fraction(sp.together(expr.args[0]))
    if bottom == 1:
        return str(printer._print(top))
    above = several.format(printer._print(top)) if top.is_Add else printer._print(top)
    return quotient.format(above, printer._print(bottom))


def _outside(body: str) -> str:
    """Remove parentheses around the whole body."""
    inner = body[1:-1]
    whole = body.startswith("(") and body.endswith(")") and "(" not in inner and ")" not in inner
    return inner if whole else body


class _Quotient(sp.Function):  # type: ignore[misc]
    """The integer quotient of two integers, rounded down."""


def _exact(expr: Any) -> Any:
    """Return a formula in integers only: floors, ceilings and fractions become integer quotients."""
    floors = {found: sp.Dummy(integer=True) for found in _outer_floors(expr)}
    inner = {dummy: _rounded(found) for found, dummy in floors.items()}
    top, bottom = sp.fraction(sp.together(expr.xreplace(floors)))
    if bottom == 1:
        return expr.xreplace(floors).xreplace(inner)
    return _Quotient(top.xreplace(inner), bottom)


def _rounded(found: Any) -> Any:
    """Return a floor or a ceiling as an integer quotient."""
    top, bottom = _whole_fraction(found.args[0])
    return _Quotient(sp.expand(top + bottom - 1) if isinstance(found, sp.ceiling) else top, bottom)


def _whole_fraction(expr: Any) -> tuple[Any, Any]:
    floors = {found: sp.Dummy(integer=True) for found in _outer_floors(expr)}
    inner = {dummy: _rounded(found) for found, dummy in floors.items()}
    top, bottom = sp.fraction(sp.together(expr.xreplace(floors)))
    return sp.expand(top).xreplace(inner), bottom


class _Python(StrPrinter):  # type: ignore[misc]
    def _print__Quotient(self, expr: Any) -> str:  # noqa: N802 - the printer looks for this name
        top, bottom = (self.parenthesize(argument, PRECEDENCE["Mul"], strict=True) for argument in expr.args)
        return f"({top}//{bottom})"


class _JavaScript(StrPrinter):  # type: ignore[misc]
    """Writes BigInt."""

    def _print_Integer(self, expr: Any) -> str:  # noqa: N802
        return f"{expr.p}n"

    _print_Zero = _print_One = _print_NegativeOne = _print_Integer  # noqa: N815

    def _print_Mul(self, expr: Any) -> str:  # noqa: N802
        """Write -1n*h**2n, since JavaScript does not allow a sign before a power."""
        coefficient, rest = expr.as_coeff_Mul()
        return f"-1n*{self._print(rest)}" if coefficient == -1 else str(super()._print_Mul(expr))

    def _print__Quotient(self, expr: Any) -> str:  # noqa: N802
        return f"div({', '.join(map(self._print, expr.args))})"

    def _print_Mod(self, expr: Any) -> str:  # noqa: N802
        return f"mod({', '.join(map(self._print, expr.args))})"
