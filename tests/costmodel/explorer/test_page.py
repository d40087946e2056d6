"""The explorer's page without a browser: the formulas in it, and that it is one complete file."""

from __future__ import annotations

import html
import re

import pytest
import sympy as sp

from costmodel.explorer.formulas import (
    CASES,
    FORMS,
    QUANTITIES,
    SYMBOLS,
    PageFormula,
    c_in,
    c_out,
    formulas,
    h,
    javascript,
    m,
    w,
)
from costmodel.explorer.mathematics import mathml
from costmodel.explorer.page import filled, page, references
from costmodel.networks.resnet import resnet
from costmodel.operators.octave import PATHS

BY_NAME: dict[str, PageFormula] = {formula.name: formula for formula in formulas()}


def evaluated(formula: PageFormula, **sizes: int) -> dict[str, int]:
    """Run a formula's JavaScript: a sum of products of whole numbers reads the same in Python."""
    body = formula.javascript().split("=> [")[1].split("], size")[0]
    names = {symbol.name: 0 for symbol in SYMBOLS} | sizes | {"ceilDiv": lambda a, b: -(-a // b)}
    return dict(zip(QUANTITIES, eval(f"[{body}]", names), strict=True))


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (c_in * m**2 + 3 * m, "c_in*m*m + 3*m"),
        (m * (c_in + c_out), "c_in*m + c_out*m"),
        (c_out * sp.ceiling(h / 2), "c_out*ceilDiv(h, 2)"),
        (sp.ceiling(sp.ceiling(h / 2) / 2), "ceilDiv(ceilDiv(h, 2), 2)"),
        (0, "0"),
    ],
)
def test_formulas_become_javascript_of_whole_numbers(formula: sp.Expr, expected: str) -> None:
    assert javascript(formula) == expected


@pytest.mark.parametrize("formula", [h / 4, sp.sqrt(h), 1 / h])
def test_what_may_not_be_whole_is_refused(formula: sp.Expr) -> None:
    with pytest.raises(ValueError, match="got"):
        javascript(formula)


def test_there_is_a_formula_for_each_path_form_and_stride() -> None:
    paths = {f"{path}.{form}.{case}" for path in PATHS for form in FORMS for case in CASES}
    operators = {"stem", "bn", "relu", "pool", "upsample", "add", "concatenate", "global_pool", "linear"}
    assert set(BY_NAME) == paths | operators


def test_plain_path_at_stride_1() -> None:
    cost = evaluated(BY_NAME["HH.plain.1"], c_in=12, c_out=4, k=3, h=32, w=30)
    assert cost == {
        "params": 9 * 12 * 4,
        "macs": 9 * 12 * 4 * 32 * 30,
        "macs_training": 3 * 9 * 12 * 4 * 32 * 30,
        "activations": 4 * 32 * 30,
        "element_ops": 0,
        "moved": (12 + 4) * 32 * 30 + 9 * 12 * 4,
        "calls": 1,
    }


def test_bottleneck_behind_a_pooling_of_odd_size_at_stride_2() -> None:
    # 33 x 50 is pooled to 17 x 25; the stride of the first 1x1 leads to 9 x 13.
    cost = evaluated(BY_NAME["HL.bn_relu.C"], c_in=12, c_out=4, m=2, k=3, h=33, w=50)
    weights = 12 * 2 + 9 * 2 * 2 + 2 * 4
    assert cost["params"] == weights + 2 * 2 * 2
    assert cost["macs"] == weights * 9 * 13
    assert cost["activations"] == (2 + 2 + 4) * 9 * 13
    # Pooling: an operation an input; BN: 2 per element, ReLU: 1, on both maps of 2 channels.
    assert cost["element_ops"] == 12 * 33 * 50 + 2 * (2 + 1) * 2 * 9 * 13
    assert cost["calls"] == 1 + 3 + 2 + 2


def test_rule_a_convolves_the_unpooled_low_map_and_does_not_upsample() -> None:
    cost = evaluated(BY_NAME["LH.plain.A"], c_in=4, c_out=12, k=3, h=16, w=16)
    assert (cost["macs"], cost["calls"]) == (9 * 4 * 12 * 16 * 16, 1)


def test_size_of_the_produced_map() -> None:
    assert BY_NAME["LH.plain.C"].size == (2 * sp.ceiling(h / 2), 2 * sp.ceiling(w / 2))
    assert BY_NAME["HL.plain.1"].size == (sp.ceiling(h / 2), sp.ceiling(w / 2))


def test_symbols_can_be_found_in_the_mathematics() -> None:
    text = mathml(m * (c_in + 9 * m))
    assert re.findall(r'data-symbol="(\w+)"', text) == ["m", "c_in", "m"]
    assert re.sub("<.*?>", "", html.unescape(text)) == "m·(cin+9·m)"


def test_formulas_are_written_in_the_fields_order() -> None:
    """Channels, taps, positions: not in the order of the alphabet."""
    texts = [
        re.sub("<.*?>", "", html.unescape(mathml(BY_NAME[name].cost.macs)))
        for name in ("HH.plain.1", "HH.none.1")
    ]
    assert texts == ["cin·cout·k2·h·w", "m·(cin+cout+m·k2)·h·w"]


def test_page_is_one_small_file_that_asks_for_nothing() -> None:
    text = page()
    assert len(text.encode()) < 400 * 1024
    addresses = set(re.findall(r"\w+://[^\"' ]+", text))
    namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML"}
    papers = {"https://arxiv.org/abs/1904.05049", "https://doi.org/10.1007/978-3-030-95903-6_23"}
    assert addresses == namespaces | papers
    assert set(re.findall(r'<a href="(http[^"]+)"', text)) == papers
    assert not re.search(r"\bsrc=|@import|url\((?!#)|fetch\(|XMLHttpRequest|WebSocket|/\*\{", text)
    assert "default-src 'none'" in text


def test_template_and_parts_must_fit() -> None:
    assert filled("a /*{x}*/ b", {"x": "1"}) == "a 1 b"
    with pytest.raises(ValueError, match="no place for y"):
        filled("a", {"y": "1"})


def test_references_are_what_the_networks_cost() -> None:
    found = {tuple(reference["state"].values()): reference for reference in references()}
    known = found["56", "1/8", "2", "none"]
    assert known["params"] == 855578
    assert found["56", "0", "2", "none"]["macs"] == 125747840
    for (depth, alpha, beta, paths), reference in found.items():
        names = () if paths == "none" else paths.split(",")
        operators = resnet(int(depth), alpha=alpha, beta=beta, paths=names).operators()
        assert reference["macs"] == sum(op.cost.macs for op in operators)
        assert reference["params"] == sum(op.cost.params for op in operators)
