"""Closed forms as text, LaTeX, JSON, Python and JavaScript; all give the same integers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.str import StrPrinter

from costmodel.tables.whole import condition_in_integers, in_integers, outer

LANGUAGES = ("text", "latex", "json", "python", "javascript")
MOST_FACTORED = 12  # up to this many terms, a sum is fully factored; otherwise common factors are taken out
# What formulas in JavaScript call: division and remainder round down, since BigInt's round towards zero.
HELPERS: Mapping[str, str] = {
    "div": "const div = (a, b) => a / b - (a % b && a < 0n !== b < 0n ? 1n : 0n);",
    "mod": "const mod = (a, b) => ((a % b) + b) % b;",
    "max": "const max = (...sizes) => sizes.reduce((a, b) => (a > b ? a : b));",
    "min": "const min = (...sizes) => sizes.reduce((a, b) => (a < b ? a : b));",
    "abs": "const abs = (a) => (a < 0n ? -a : a);",
}
CALLED_IN_PYTHON = frozenset({"max", "min", "abs"})
# Words that Python allows as a name, and JavaScript does not.
RESERVED_IN_JAVASCRIPT = frozenset({
    "arguments", "BigInt", "case", "catch", "const", "debugger", "default", "delete", "do", "enum",
    "eval", "export", "extends", "false", "function", "implements", "instanceof", "interface",
    "let", "new", "null", "package", "private", "protected", "public", "static", "super", "switch",
    "this", "throw", "true", "typeof", "undefined", "var", "void",
    *HELPERS,
})  # fmt: skip


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
    floors = {found: sp.Dummy(integer=True) for found in outer(expr, (sp.floor, sp.ceiling))}
    inner = {dummy: found.func(sp.together(tidy(found.args[0]))) for found, dummy in floors.items()}
    outside = expr.xreplace(floors)
    few = len(sp.Add.make_args(sp.expand(outside))) <= MOST_FACTORED
    return (sp.factor if few else sp.factor_terms)(outside).xreplace(inner)


def python(name: str, formula: Any, symbols: Sequence[str], domain: str) -> str:
    """Return a Python function that computes a formula exactly, in integers.

    A size that is called like a function of the formula gets an underscore. Raises ValueError if the formula
    has a function that does not exist for integers.

    >>> h = sp.Symbol("h", integer=True, positive=True)
    >>> print(python("macs", 9 * sp.floor((h + 1) / 2), ["h"], "h >= 2"))
    def macs(h):
        \"\"\"Holds for h >= 2.\"\"\"
        return 9*((h + 1)//2)
    """
    formula, symbols = _renamed(formula, symbols, CALLED_IN_PYTHON)
    body = _outside(_Python().doprint(in_integers(tidy(formula))))
    return f'def {name}({", ".join(symbols)}):\n    """Holds for {domain}."""\n    return {body}'


def javascript(name: str, formula: Any, symbols: Sequence[str], domain: str) -> str:
    """Return a JavaScript function that computes a formula exactly, with BigInt and functions of `HELPERS`.

    A size whose name JavaScript or a helper has gets an underscore. Raises ValueError as `python` does.

    >>> h = sp.Symbol("h", integer=True, positive=True)
    >>> print(javascript("macs", 9 * sp.floor((h + 1) / 2), ["h"], "h >= 2"))
    // Holds for h >= 2.
    function macs(h) {
      [h] = [h].map(BigInt);
      return 9n*div(h + 1n, 2n);
    }
    """
    formula, symbols = _renamed(formula, symbols, RESERVED_IN_JAVASCRIPT)
    body = javascript_body(formula)
    names = ", ".join(symbols)
    lines = [f"// Holds for {domain}.", f"function {name}({names}) {{"]
    lines += [f"  [{names}] = [{names}].map(BigInt);"] if symbols else []
    return "\n".join([*lines, f"  return {body};", "}"])


def javascript_body(formula: Any) -> str:
    """Return a formula as an expression of JavaScript in BigInt, which calls functions of `HELPERS`.

    >>> javascript_body(sp.Mod(sp.Symbol("h", integer=True, positive=True), 4))
    'mod(h, 4n)'
    """
    return str(_JavaScript().doprint(in_integers(tidy(formula))))


def javascript_condition(condition: Any) -> str:
    """Return a condition on sizes as an expression of JavaScript.

    >>> h = sp.Symbol("h", integer=True, positive=True)
    >>> javascript_condition(sp.Eq(sp.Mod(h, 4), 1) | (sp.floor(h / 3) * h > 9))
    '((h*div(h, 3n) > 9n) || (mod(h, 4n) === 1n))'
    """
    return str(_JavaScript().doprint(condition_in_integers(condition)))


def _renamed(formula: Any, symbols: Sequence[str], reserved: frozenset[str]) -> tuple[Any, list[str]]:
    """Return the formula and the names of its sizes without reserved names."""
    new: dict[str, str] = {}
    for name in symbols:
        new[name] = name
        while new[name] in reserved or new[name] in {*symbols} - {name}:
            new[name] += "_"
    expr = sp.sympify(formula)
    sizes = [size for size in expr.free_symbols if new[size.name] != size.name]
    other = {size: sp.Symbol(new[size.name], **size.assumptions0) for size in sizes}
    return expr.xreplace(other), list(new.values())


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
        return "\n\n".join(functions if language == "python" else [_helpers(functions), *functions])
    raise ValueError(f"as must be one of {', '.join(LANGUAGES)}, got {language}")


def _helpers(functions: Sequence[str]) -> str:
    called = {"div"}.union(*(re.findall(r"\b(\w+)\(", function) for function in functions))
    return "\n".join(line for name, line in HELPERS.items() if name in called)


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
    below = (
        several.format(printer._print(bottom)) if bottom.is_Add or bottom.is_Mul else printer._print(bottom)
    )
    return quotient.format(above, below)


def _outside(body: str) -> str:
    """Remove parentheses around the whole body."""
    inner = body[1:-1]
    whole = body.startswith("(") and body.endswith(")") and "(" not in inner and ")" not in inner
    return inner if whole else body


class _Code(StrPrinter):  # type: ignore[misc]
    """Writes functions, comparisons and choices as Python and JavaScript share them."""

    words: Mapping[str, str]  # of operators
    choice: str  # between two values, by a condition

    def _called(self, expr: Any) -> str:
        return f"{type(expr).__name__.lower()}({', '.join(map(self._print, expr.args))})"

    _print_Max = _print_Min = _print_Abs = _called  # noqa: N815

    def _print_Piecewise(self, expr: Any) -> str:  # noqa: N802
        *before, (value, condition) = expr.args
        if condition != sp.true:
            raise ValueError(f"no expression in integers for {expr}: it has no value if no condition holds")
        text = self._print(value)
        for value, condition in reversed(before):
            text = self.choice.format(self._print(value), self._print(condition), text)
        return str(text)

    def _print_Relational(self, expr: Any) -> str:  # noqa: N802
        left, right = map(self._print, expr.args)
        return f"({left} {self.words.get(expr.rel_op, expr.rel_op)} {right})"

    def _joined(self, expr: Any) -> str:
        word = self.words[type(expr).__name__]
        return f"({f' {word} '.join(sorted(map(self._print, expr.args)))})"

    _print_And = _print_Or = _joined  # noqa: N815

    def _print_Not(self, expr: Any) -> str:  # noqa: N802
        return f"({self.words['Not']}{self._print(expr.args[0])})"


class _Python(_Code):
    words = {"And": "and", "Or": "or", "Not": "not "}  # noqa: RUF012
    choice = "({0} if {1} else {2})"

    def _print_Quotient(self, expr: Any) -> str:  # noqa: N802 - the printer looks for this name
        return self._divided(expr, "//")

    def _print_Mod(self, expr: Any) -> str:  # noqa: N802
        return self._divided(expr, " % ")

    def _divided(self, expr: Any, operator: str) -> str:
        top, bottom = expr.args
        above = self.parenthesize(top, PRECEDENCE["Mul"], strict=True)
        return f"({above}{operator}{self.parenthesize(bottom, PRECEDENCE['Mul'])})"


class _JavaScript(_Code):
    """Writes BigInt."""

    words = {"==": "===", "!=": "!==", "And": "&&", "Or": "||", "Not": "!"}  # noqa: RUF012
    choice = "({1} ? {0} : {2})"

    def _print_Integer(self, expr: Any) -> str:  # noqa: N802
        return f"{expr.p}n"

    _print_Zero = _print_One = _print_NegativeOne = _print_Integer  # noqa: N815

    def _print_BooleanTrue(self, _: Any) -> str:  # noqa: N802
        return "true"

    def _print_BooleanFalse(self, _: Any) -> str:  # noqa: N802
        return "false"

    def _print_Mul(self, expr: Any) -> str:  # noqa: N802
        """Write -1n*h**2n, since JavaScript does not allow a sign before a power."""
        coefficient, rest = expr.as_coeff_Mul()
        return f"-1n*{self._print(rest)}" if coefficient == -1 else str(super()._print_Mul(expr))

    def _print_Quotient(self, expr: Any) -> str:  # noqa: N802
        return f"div({', '.join(map(self._print, expr.args))})"

    def _print_Mod(self, expr: Any) -> str:  # noqa: N802
        return f"mod({', '.join(map(self._print, expr.args))})"
