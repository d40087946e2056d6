"""The registry: every operator's formulas by their names, and what is in it."""

from __future__ import annotations

import pytest
import sympy as sp

from costmodel.operators import formulas, registry
from costmodel.operators.layer import Layer
from costmodel.operators.octave import PATHS


def macs(name: str) -> dict[str, str]:
    """The MACs of an operator as the page of its explanation has them."""
    return {part: cost.formula("macs") for part, cost in registry.operator(name).formulas().items()}


def test_formulas_are_for_any_sizes_and_batch() -> None:
    assert macs("standard") == {"standard": "b*c_in*c_out*h*k_h*k_w*w/g"}
    assert macs("pointwise") == {"pointwise": "b*c_in*c_out*h*w"}
    assert macs("depthwise") == {"depthwise": "b*c*h*k_h*k_w*q*w"}
    assert macs("separable") == {"separable": "b*c_in*h*w*(c_out + k_h*k_w)"}
    assert macs("transposed") == {"transposed": "b*c_in*c_out*h*k_h*k_w*w/g"}
    assert macs("linear") == {"linear": "b*c_in*c_out"}
    assert macs("octave") == {
        "HH": "c_H**2*h*k**2*w",
        "HL": "c_H*c_L*h*k**2*w/4",
        "LH": "c_H*c_L*h*k**2*w/4",
        "LL": "c_L**2*h*k**2*w/4",
    }
    assert set(macs("pwise")) == set(PATHS)
    assert macs("pwise")["LL"] == "h*m*w*(2*c_L + k**2*m)/4"


def test_elementwise_operators_multiply_nothing() -> None:
    costs = registry.operator("elementwise").formulas()
    e, c = sp.Symbol("e", positive=True, integer=True), formulas.channels
    found = {
        part: (cost.elements_read, cost.elements_written, cost.element_ops) for part, cost in costs.items()
    }
    assert found == {
        "bn": (e + 4 * c, e, 2 * e),
        "activation": (e, e, e),
        "pool": (e, e / 4, e),
        "upsample": (e, 4 * e, 4 * e),
        "add": (2 * e, e, e),
        "concatenate": (e, e, 0),
    }


def test_an_operator_is_registered_once() -> None:
    entry = registry.operator("standard")
    message = r"^there is already an operator standard$"
    with pytest.raises(ValueError, match=message):
        registry.register(entry)
    assert registry.operator("standard") is entry
    other = registry.OperatorEntry("other", "Another", (), (), dict)
    try:
        assert registry.register(other) is other
        assert registry.operator("other") is other
        assert registry.operators()[-1] == "other"
        assert "other" not in registry.layer_kinds()  # it has no layer
    finally:
        registry.unregister("other")
    message = r"^operator must be one of standard, .*, elementwise, got other$"
    with pytest.raises(ValueError, match=message):
        registry.operator("other")


@pytest.mark.parametrize("kind", ["linear", "none"])
def test_what_is_no_layer_has_no_cost(kind: str) -> None:
    message = f"^op must be one of standard, pointwise, depthwise, separable, octave, pwise, got {kind}$"
    with pytest.raises(ValueError, match=message):
        registry.layer_cost(kind, Layer())
    assert registry.layer_kinds() == ("standard", "pointwise", "depthwise", "separable", "octave", "pwise")
