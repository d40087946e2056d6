"""One layer of each kind: it costs what its operator costs, and its formulas give the numbers."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import sympy as sp

from costmodel.convention import Cost
from costmodel.operators.depthwise import depthwise, separable
from costmodel.operators.layer import Layer, layer_notes, path_formulas
from costmodel.operators.octave import PATHS, OctaveLayer, octave
from costmodel.operators.pointwise import pointwise
from costmodel.operators.pwise_octave import pwise_octave
from costmodel.operators.registry import layer_cost
from costmodel.operators.standard import convolution

# Every choice differs from its default, and no two numbers are alike.
SIZES: dict[str, Any] = {"c_in": 4, "c_out": 8, "size": (12, 19), "stride": 2, "batch": 7, "bias": True}
LAYER = Layer(**SIZES, kernel=(3, 5), padding=(0, 3), dilation=3)
COMMON: dict[str, Any] = {"stride": 2, "batch": 7, "bias": True}
SPATIAL: dict[str, Any] = {**COMMON, "padding": (0, 3), "dilation": 3}
QUARTER, HALF = Fraction(1, 4), Fraction(1, 2)


@pytest.mark.parametrize(
    ("kind", "layer", "cost"),
    [
        ("standard", replace(LAYER, groups=2), convolution(4, 8, (3, 5), (12, 19), groups=2, **SPATIAL)),
        ("pointwise", LAYER, pointwise(4, 8, (12, 19), **COMMON)),
        ("depthwise", LAYER, depthwise(4, (3, 5), (12, 19), multiplier=2, **SPATIAL)),
        ("separable", LAYER, separable(4, 8, (3, 5), (12, 19), **SPATIAL)),
    ],
)
def test_a_layer_costs_what_its_operator_costs(kind: str, layer: Layer, cost: Cost) -> None:
    assert layer_cost(kind, layer) == cost
    assert type(layer_cost(kind, layer).weights) is int


def test_octave_layers_pass_every_choice_on() -> None:
    layer = Layer(
        **{**SIZES, "c_in": 16, "c_out": 24},
        kernel=(3, 5),
        dilation=3,
        groups=2,
        alpha_in=QUARTER,
        alpha_out=HALF,
        beta=Fraction(3),
        paths=frozenset(["HL", "LH"]),
        width_rule="in",
        stride_rule="A",
        between="bn",
    )
    same = OctaveLayer((12, 4), (12, 12), (3, 5), 2, 3, 2, bias=True, stride_rule="A")
    assert layer.octave() == same
    assert layer.widths() == {"HL": 4, "LH": 1}
    assert layer_cost("octave", layer) == octave(same, (12, 19), batch=7)
    widened = replace(layer, width_rule="out")
    assert widened.widths() == {"HL": 4, "LH": 4}
    compressed = pwise_octave(same, (12, 19), widened.widths(), between="bn", batch=7)
    assert layer_cost("pwise", widened) == compressed


def test_depthwise_octave_layers() -> None:
    layer = Layer(alpha_in=QUARTER, alpha_out=QUARTER, depthwise=True)
    assert layer.octave().paths == ("HH", "LL")
    assert replace(layer, exchange=True).octave() == OctaveLayer(
        (12, 4), (12, 4), depthwise=True, exchange=True
    )


def test_without_a_multiple_there_is_no_depthwise_layer() -> None:
    message = r"^a depthwise convolution needs c_out to be a multiple of c_in, got 4 -> 6$"
    with pytest.raises(ValueError, match=message):
        layer_cost("depthwise", Layer(c_in=4, c_out=6))
    c = sp.Symbol("c", positive=True, integer=True)
    assert layer_cost("depthwise", Layer(c_in=c, c_out=2 * c)).weights == 9 * 2 * c


@pytest.mark.parametrize("name", ["c_in", "c_out", "batch", "size"])
def test_sizes_are_positive(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be at least 1, got 0$"):
        Layer(**{name: (1, 0) if name == "size" else 0})


def test_a_bottleneck_is_at_most_as_strong_as_the_channels() -> None:
    assert Layer(c_out=8, beta=Fraction(8), paths=frozenset(["HH"])).widths() == {"HH": 1}
    message = r"^beta must be at most the layer's 8 output channels, got 9$"
    with pytest.raises(ValueError, match=message):
        Layer(c_out=8, beta=Fraction(9), paths=frozenset(["HH"]))


def test_an_octave_layer_takes_no_padding() -> None:
    message = r"^an octave layer's padding keeps its size; it can't be chosen$"
    with pytest.raises(ValueError, match=message):
        Layer(padding=(1, 1)).octave()


def test_rounding_is_said_once_for_each_place() -> None:
    odd = Layer(c_in=9, c_out=9, alpha_in=HALF, alpha_out=HALF, paths=frozenset(["LL"]))
    assert layer_notes(odd) == ["alpha 1/2 of 9 channels is 4.5: c_L = 4"]
    other = replace(odd, c_out=11, beta=Fraction(3))
    assert layer_notes(other) == [
        "alpha 1/2 of 9 channels is 4.5: c_L = 4",
        "alpha 1/2 of 11 channels is 5.5: c_L = 5",
        "LL 4 → 5 at beta 3: 1.66667 hidden channels: m = 1",
    ]
    assert layer_notes(replace(other, width_rule="in"))[-1] == (
        "LL 4 → 5 at beta 3: 1.33333 hidden channels: m = 1"
    )
    assert layer_notes(Layer(alpha_in=QUARTER, alpha_out=QUARTER, paths=frozenset(["HH"]))) == []


def numbers(layer: Layer, rounded: dict[str, int]) -> dict[str, int]:
    """What each symbol of the formulas of a layer stands for."""
    (c_h_in, c_l_in), (c_h, c_l) = layer.octave().c_in, layer.octave().c_out
    height, width = (-(-int(side) // layer.stride) for side in layer.size)
    found = {"c_H": c_h, "c_L": c_l, "c_H_in": c_h_in, "c_L_in": c_l_in, "c_H_out": c_h, "c_L_out": c_l}
    kernels = {"k": layer.kernel[0], "k_h": layer.kernel[0], "k_w": layer.kernel[1]}
    return {
        name: int(value) for name, value in {**found, **kernels, "h": height, "w": width, **rounded}.items()
    }


@pytest.mark.parametrize(
    ("change", "width"),
    [
        ({}, 0),
        ({"alpha_out": HALF}, 0),
        ({"c_out": 32}, 0),
        ({"kernel": (3, 5)}, 0),
        ({"size": (13, 18)}, 0),
        ({"stride": 2, "size": (12, 20)}, 0),
        ({"alpha_in": Fraction(0)}, 0),
        ({"alpha_out": Fraction(1)}, 0),
        ({"paths": frozenset(["LH"]), "between": "bn"}, 6),
    ],
    ids=str,
)
def test_the_formulas_of_paths_give_the_numbers(change: dict[str, Any], width: int) -> None:
    layer = Layer(**{"size": (8, 12), "alpha_in": QUARTER, "alpha_out": QUARTER, **change})
    values = numbers(layer, {"m": width})
    formulas = path_formulas(layer)
    recorded = [op for op in layer.operators() if op.place.path]
    assert set(formulas) == {op.place.path for op in recorded}
    for path, cost in formulas.items():
        for quantity in ("params", "macs", "calls", "bn_ops", "pool_ops", "upsample_ops"):
            formula = sp.sympify(getattr(cost, quantity))
            value = formula.subs({symbol: values[symbol.name] for symbol in formula.free_symbols})
            assert value == sum(getattr(op.cost, quantity) for op in recorded if op.place.path == path)


def symbols_of(**options: Any) -> dict[str, sp.Symbol]:
    costs = path_formulas(Layer(**{"alpha_in": QUARTER, "alpha_out": QUARTER, **options})).values()
    return {symbol.name: symbol for cost in costs for symbol in cost.macs.free_symbols}  # type: ignore[union-attr]


def test_the_symbols_of_the_formulas() -> None:
    """Ends that differ have symbols of their own; sides are even where the numbers are."""
    same = symbols_of(size=(32, 33))
    assert set(same) == {"c_H", "c_L", "h", "k", "w"}
    assert (same["h"].is_even, same["w"].is_even, same["w"].is_integer) == (True, None, True)
    assert set(symbols_of(kernel=(3, 1))) == {"c_H", "c_L", "h", "k_h", "k_w", "w"}
    for other in ({"alpha_out": HALF}, {"c_out": 32}):
        ends = {"c_H_in", "c_H_out", "c_L_in", "c_L_out"}
        assert ends < set(symbols_of(**other))
    compressed = symbols_of(paths=frozenset(PATHS), kernel=(1, 3))
    assert all(symbol.is_positive and symbol.is_integer for symbol in (*same.values(), *compressed.values()))
    assert all(symbol.is_odd for name, symbol in (*same.items(), *compressed.items()) if name[0] == "k")
    assert "m" in compressed
