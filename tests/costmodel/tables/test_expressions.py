"""Closed forms in every language give the same whole numbers."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import sympy as sp

from costmodel.tables.expressions import DIV, javascript, latex, python, text, written
from tests.conftest import needs_node

h, w = sp.symbols("h w", integer=True, positive=True)
FORMULAS = [
    9 * sp.floor((h + 1) / 2) ** 2,
    h * w / 4 + sp.floor(h / 2) / 2 + sp.floor(h / 2) * sp.Rational(1, 2),
    -(h**2) + 3 * sp.floor((h - 7) / 2) * w,
    sp.ceiling((h + 3) / 4) * w - sp.ceiling(h / 3),
    sp.floor(sp.floor((h - 1) / 2 + 1) / 2 + sp.Rational(1, 2)) * 64,
    sp.floor(sp.floor(h / 2) / 3 + w),
    sp.Integer(12),
    -h,
]
SIZES = [(h_, w_) for h_ in (4, 12, 33) for w_ in (8, 16)]


def expected(formula: Any) -> list[Any]:
    return [sp.sympify(formula).subs({h: a, w: b}) for a, b in SIZES]


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_functions_of_python_compute_the_formula_in_whole_numbers(formula: Any) -> None:
    names: dict[str, Any] = {}
    exec(python("f", formula, ["h", "w"], "all"), names)
    found = [names["f"](*sizes) for sizes in SIZES]
    wanted = [sp.floor(value) for value in expected(formula)]
    assert found == wanted
    assert all(type(value) is int for value in found)


@needs_node
def test_functions_of_javascript_compute_the_formula_in_whole_numbers() -> None:
    code = [DIV]
    for i, formula in enumerate(FORMULAS):
        code.append(javascript(f"f{i}", formula, ["h", "w"], "all"))
    calls = [[f"String(f{i}({a}, {b}))" for a, b in SIZES] for i in range(len(FORMULAS))]
    code.append(f"console.log(JSON.stringify([{', '.join('[' + ', '.join(row) + ']' for row in calls)}]))")
    ran = subprocess.run(["node", "-e", "\n".join(code)], capture_output=True, text=True, check=True)
    assert [[int(value) for value in row] for row in json.loads(ran.stdout)] == [
        [int(sp.floor(value)) for value in expected(formula)] for formula in FORMULAS
    ]


def test_text_and_latex_are_formulas() -> None:
    formula = 64 * sp.floor((h - 1) / 2 + 1) * w + 32 * w * h**2
    assert text(formula) == "32*w*(h^2 + 2*floor((h + 1)/2))"
    assert latex(9 * w * h) == "9 h w"


def test_several_formulas_are_written_in_one_language() -> None:
    assert (
        written("text", {"macs": h * w, "params": sp.Integer(3)}, ["h", "w"], "all")
        == "macs = h*w\nparams = 3"
    )
    assert written("javascript", {"a": h, "b": w}, ["h", "w"], "all").startswith("const div = ")
    with pytest.raises(ValueError, match="as must be one of text, latex, json, python, javascript, got c"):
        written("c", {}, [], "")
