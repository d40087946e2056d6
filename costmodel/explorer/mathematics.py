"""The formulas as the page shows them: MathML in which each symbol can be replaced by its number."""

from __future__ import annotations

import json
from typing import Any

import sympy as sp
from sympy.printing.mathml import MathMLPresentationPrinter

from costmodel.explorer.formulas import FORMS, formulas
from costmodel.sizes import Size

SHOWN = ("params", "macs")


# Channels, then taps, then positions, as papers write them; a sum in brackets stands where channels do.
ORDER = ("m", "c_in", "c_out", "k", "h", "w")


def _rank(factor: Any) -> float:
    """Return where a factor stands in a product."""
    if factor.is_Number:
        return -1
    if factor.is_Add:
        return ORDER.index("c_in")
    return ORDER.index(factor.as_base_exp()[0].name)


class _MarkedSymbols(MathMLPresentationPrinter):  # type: ignore[misc]  # sympy has no types
    """Prints each symbol as an element that names it; products have a visible dot and the field's order."""

    def __init__(self) -> None:
        super().__init__({"mul_symbol": "dot"})

    def _print_Mul(self, expr: Any) -> Any:  # noqa: N802
        row = self.dom.createElement("mrow")
        for factor in sorted(expr.args, key=_rank):
            if row.hasChildNodes():
                row.appendChild(self._operator("\u00b7"))
            row.appendChild(self._bracketed(factor) if factor.is_Add else self._print(factor))
        return row

    def _bracketed(self, expr: Any) -> Any:
        row = self.dom.createElement("mrow")
        for part in (self._operator("("), self._print(expr), self._operator(")")):
            row.appendChild(part)
        return row

    def _operator(self, text: str) -> Any:
        element = self.dom.createElement("mo")
        element.appendChild(self.dom.createTextNode(text))
        return element

    def _print_Symbol(self, sym: Any, style: str = "plain") -> Any:  # noqa: ARG002, N802 - sympy calls it so
        letter, _, index = sym.name.partition("_")
        element = self.dom.createElement("msub" if index else "mrow")
        element.setAttribute("data-symbol", sym.name)
        for tag, text in (("mi", letter), ("mtext", index)):
            if text:
                element.appendChild(self.dom.createElement(tag)).appendChild(self.dom.createTextNode(text))
        return element


def mathml(formula: Size) -> str:
    """Return a formula as MathML without the enclosing element, common factors taken out.

    >>> mathml(sp.Symbol("c_in"))
    '<msub data-symbol="c_in"><mi>c</mi><mtext>in</mtext></msub>'
    """
    printed = str(_MarkedSymbols().doprint(sp.factor_terms(formula)))
    return printed.removeprefix('<math xmlns="http://www.w3.org/1998/Math/MathML">').removesuffix("</math>")


def mathematics_javascript() -> str:
    """Return the formulas of a path as the JavaScript object MATHEMATICS, by form and quantity.

    They are those of stride 1, where h and w are the size of the map that the path convolves.
    """
    by_name = {formula.name: formula.cost for formula in formulas()}
    shown = {form: {name: mathml(getattr(by_name[f"HH.{form}.1"], name)) for name in SHOWN} for form in FORMS}
    return f"const MATHEMATICS = {json.dumps(shown, ensure_ascii=False, indent=1)};\n"
