import pytest
import sympy as sp

from costmodel.networks.expansion import expanded

a, b = sp.symbols("a b", positive=True)
n = sp.Symbol("n", integer=True, positive=True)
rounded = sp.floor(a * (b + n / 2))


@pytest.mark.parametrize(
    "formula",
    [
        sp.Integer(3),
        (a + 2) * (a - b) ** 2 - a**3,
        (a + b) * (a - b) / 3 + sp.Rational(1, 7),
        (n - rounded) ** 2 * (rounded + 4),
        n * (sp.Max(1, sp.floor((n - rounded) / b)) - rounded) * (n + 1),
        (a + 1 / b) * (b - 1 / a) ** 2,
        (a + 1) / b**2 + (a + b) / (a - b),  # of other kinds than polynomials
        2**n * (a + b) * (a + sp.sqrt(b)),
    ],
    ids=str,
)
def test_it_is_what_sympy_expands(formula: sp.Expr) -> None:
    assert expanded(formula) == sp.expand(formula)
    assert expanded(-(formula**2)) == sp.expand(-(formula**2))
