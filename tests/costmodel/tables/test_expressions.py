"""Closed forms in every language give the same whole numbers."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import sympy as sp

from costmodel.latex import to_latex
from costmodel.report import Column, Table
from costmodel.tables.expressions import HELPERS, javascript, latex, python, text, written
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
    3 * sp.Max(7, h) * w + sp.Min(h, w, 9),
    sp.Max(5, h / 4) * sp.Mod(3 * h, 7),
    sp.Min(sp.floor(h / 3), sp.ceiling(w / 5)) - sp.Max(1, sp.floor(h / 8)) ** 2,
    sp.floor(sp.Max(h / 3, sp.Rational(5, 2)) + sp.Min(w / 2, h / 5)),
    sp.Mod(h / 2, w / 3) * 6 + sp.Mod(-h, 5) + sp.Mod(h * w, h + 1),
    sp.Abs(h - w) * 2 + sp.floor(sp.Abs(h / 3 - w)),
    sp.floor(h / (2 * w)) + sp.floor(w / (h + 1)) * h + sp.floor(h * w / (h + w)),
    sp.floor((h - 1) / sp.ceiling(h / 3)) + sp.ceiling(w / sp.floor(h / 2)),
    sp.floor(h / (w - 13)) + sp.ceiling(h / (w - 20)) + sp.floor(sp.Max(h / (w - 13), w / (h - 5))),
    sp.Piecewise((h - 2, (h > 7) & sp.Ne(w, 8)), (w / 4, sp.Eq(sp.Mod(h, 3), 0)), (h * w, True)),
    sp.Piecewise((h, ~(h / 3 > sp.floor(w / 2)) | (w < 9)), (sp.Max(h, w) / 4, True)),
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
    code = [*HELPERS.values()]
    for i, formula in enumerate(FORMULAS):
        code.append(javascript(f"f{i}", formula, ["h", "w"], "all"))
    calls = [[f"String(f{i}({a}, {b}))" for a, b in SIZES] for i in range(len(FORMULAS))]
    code.append(f"console.log(JSON.stringify([{', '.join('[' + ', '.join(row) + ']' for row in calls)}]))")
    ran = subprocess.run(["node", "-e", "\n".join(code)], capture_output=True, text=True, check=True)
    assert [[int(value) for value in row] for row in json.loads(ran.stdout)] == [
        [int(sp.floor(value)) for value in expected(formula)] for formula in FORMULAS
    ]


def test_names_that_a_language_or_a_formula_needs_get_an_underscore() -> None:
    least, new = sp.symbols("max new", integer=True, positive=True)
    formula = sp.Max(3, least) * new
    names: dict[str, Any] = {}
    exec(python("f", formula, ["max", "max_", "new"], "all"), names)
    assert names["f"](2, 0, 5) == 15
    assert javascript("f", formula, ["max", "new"], "all").splitlines()[1:] == [
        "function f(max_, new_) {",
        "  [max_, new_] = [max_, new_].map(BigInt);",
        "  return new_*max(3n, max_);",
        "}",
    ]


@pytest.mark.parametrize(
    ("formula", "part"),
    [
        (sp.floor(sp.sqrt(h)), r"sqrt\(h\)"),
        (sp.floor(sp.Float(0.4) * h), "0.4"),
        (sp.log(h), r"log\(h\)"),
        (sp.Piecewise((h, h > 3)), "it has no value if no condition holds"),
    ],
)
@pytest.mark.parametrize("write", [python, javascript])
def test_what_has_no_expression_in_integers_is_refused(write: Any, formula: Any, part: str) -> None:
    with pytest.raises(ValueError, match=f"^no expression in integers for .*{part}"):
        write("f", formula, ["h"], "all")


def test_a_divisor_of_several_factors_stays_together() -> None:
    assert text(sp.floor(h / (2 * w))) == "floor(h/(2*w))"
    assert text(sp.floor(h / (2 * w + 1))) == "floor(h/(2*w + 1))"


def test_documents_can_show_every_function_of_a_formula() -> None:
    formula = sp.Mod(3 * h, 4) * sp.Abs(h - w) + sp.Max(1, sp.floor(h / 8)) * sp.Min(h, w)
    table = Table("t", "t", [Column("formula", "formula", "formula")], [{"formula": text(formula)}])
    shown = to_latex([table])
    for part in (r"3 h \bmod 4", r"\left|{h - w}\right|", r"\max\left(1,", r"\min\left(h, w\right)"):
        assert part in shown


def test_documents_show_powers_as_mathematics() -> None:
    table = Table("t", "t", [Column("f", "f", "formula")], [{"f": text(9 * sp.floor((h + 1) / 2) ** 2 * w)}])
    assert r"$9 w \left\lfloor{\frac{h}{2} + \frac{1}{2}}\right\rfloor^{2}$ \\" in to_latex([table])


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
    assert written("javascript", {"a": sp.Max(h, w)}, ["h", "w"], "all").startswith(
        "\n".join(HELPERS[name] for name in ("div", "max"))
    )
    with pytest.raises(ValueError, match="as must be one of text, latex, json, python, javascript, got c"):
        written("c", {}, [], "")
