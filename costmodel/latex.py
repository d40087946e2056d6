"""Tables of results as LaTeX, with formulas as mathematics."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import sympy as sp

from costmodel.report import NUMERIC, Kind, Table, cell
from costmodel.text import visible


def to_latex(tables: Iterable[Table]) -> str:
    """Return tables as LaTeX: one booktabs `tabular` each, below its title as a comment."""
    return "\n\n".join(_latex_table(table.for_documents()) for table in tables)


def _latex_table(table: Table) -> str:
    alignment = "".join("r" if column.kind in NUMERIC else "l" for column in table.columns)
    rows = [
        [_latex_cell(row.get(column.key), column.kind) for column in table.columns] for row in table.lines
    ]
    lines = [
        f"% {visible(table.title)}",
        f"\\begin{{tabular}}{{{alignment}}}",
        "\\toprule",
        _latex_row(_escape_latex(column.heading) for column in table.columns),
        "\\midrule",
        *map(_latex_row, rows),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines)


def _latex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_cell(value: Any, kind: Kind) -> str:
    if kind == "formula" and value is not None and _FORMULA.fullmatch(str(value)):
        return _latex_formula(str(value))
    return _escape_latex(cell(value, kind))


_NAME = r"[^\W\d]\w*"
_FORMULA = re.compile(rf"(?:{_NAME}|[\d\s*^+\-/().,])+")  # names, numbers, operators; ^ is a power, as ** is
_FUNCTIONS = {"sqrt", "Min", "Max", "Mod", "Abs", "floor", "ceiling"}


def _latex_formula(formula: str) -> str:
    """Return a formula in Python's notation as mathematics.

    >>> _latex_formula("c_H**2*h*w/4")
    '$\\\\frac{c_{H}^{2} h w}{4}$'
    """
    names = set(re.findall(_NAME, formula)) - _FUNCTIONS
    return f"${sp.latex(sp.sympify(formula.replace('^', '**'), {name: sp.Symbol(name) for name in names}))}$"


_LATEX = {
    "\\": r"\textbackslash{}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "--": "-{}-",  # two hyphens would become a dash
    **{char: f"${char}$" for char in "<>|"},
    "→": r"$\to$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "…": r"\dots{}",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    **{char: rf"\textsuperscript{{{power}}}" for power, char in enumerate("²³⁴", start=2)},
}
_IN_LATEX = re.compile("|".join(map(re.escape, _LATEX)))


def _escape_latex(text: str) -> str:
    return _IN_LATEX.sub(lambda found: _LATEX[found[0]], text)
