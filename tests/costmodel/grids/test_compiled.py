import pytest
import sympy as sp

from costmodel.grids.compiled import Kind, Setting, compiled, symbolic_quantities
from costmodel.grids.evaluate import SUMS

SETTING = Setting(SUMS, "out", "C", "none", 10, 3, (32, 32), 1, None)
KINDS = [
    Kind((a, b, c), single)
    for a in ("HL", "H", "L")
    for b in ("HL", "L")
    for c in ("HL", "H")
    for single in (False, True)
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_all_coefficients_are_positive(kind: Kind) -> None:
    """So a form is largest where all its symbols are: what the bound for 64 bits rests on."""
    for formula in symbolic_quantities(SETTING, kind):
        assert all(coefficient > 0 for coefficient in sp.Poly(formula).coeffs())


def test_the_bound_is_above_every_count() -> None:
    form = compiled(SETTING, Kind(("HL", "HL", "HL"), False))
    plain = 9 * 16 * 16 * 32 * 32
    assert form.bound(n=9, width=16) > 3 * 18 * plain  # the first stage alone, in training
    assert form.bound(n=2, width=1) > 0


def test_a_form_is_compiled_once() -> None:
    kind = Kind(("HL", "HL", "HL"), False)
    assert compiled(SETTING, kind) is compiled(SETTING, kind)
