import pytest
import sympy as sp

from costmodel.grids.factored import factored

a, b, plain, pwise = sp.symbols("a b plain_HL1 pwise_HL1")


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (sp.Integer(0), "0"),
        (sp.Integer(7), "7"),
        (3 * a, "3*a"),
        (plain, "plain_HL1"),
        (4 * a + 6 * b, "2*(2*a + 3*b)"),
        (a * (4 * a + 6 * b), "2*a*(2*a + 3*b)"),
        (a * (a + b) + a * (a - b), "2*a**2"),
        (a / 2 + b / 6, "(3*a + b)/6"),
        (plain * a * (4 * a + 6 * b) + 9 * pwise * b + 5, "2*a*plain_HL1*(2*a + 3*b) + 9*b*pwise_HL1 + 5"),
    ],
    ids=str,
)
def test_common_factors_are_taken_out_of_the_terms_of_each_choice(formula: sp.Expr, text: str) -> None:
    found = factored(formula)
    assert str(found) == text
    assert sp.expand(found - formula) == 0
