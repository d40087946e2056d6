from typing import Any

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.convention import QUANTITIES
from costmodel.operators.depthwise import depthwise, separable
from costmodel.operators.pointwise import pointwise
from costmodel.operators.standard import convolution
from tests.costmodel.brute_force import Map, Tally

ODD = st.sampled_from([1, 3])


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.tuples(ODD, ODD),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 2),
)
@settings(max_examples=500)
def test_agrees_with_a_count_of_every_tap(
    channels: int, multiplier: int, kernel: tuple[int, int], h: int, w: int, stride: int
) -> None:
    tally = Tally()
    x = Map(channels, h, w)
    tally.conv(x, channels * multiplier, kernel, (stride, stride), groups=channels, bias=True)
    cost = depthwise(channels, kernel, (h, w), multiplier=multiplier, stride=stride, bias=True)
    assert {name: getattr(cost, name) for name in QUANTITIES} == {name: tally[name] for name in QUANTITIES}


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 3),
    st.booleans(),
)
@settings(max_examples=300)
def test_separable_agrees_with_two_convolutions(
    c: int, f: int, h: int, w: int, stride: int, bias: bool
) -> None:
    tally = Tally()
    y = tally.conv(Map(c, h, w), c, (3, 3), (stride, stride), dilation=(2, 2), groups=c)
    tally.conv(y, f, (1, 1), bias=bias)
    cost = separable(c, f, 3, (h, w), stride=stride, dilation=2, bias=bias)
    assert {name: getattr(cost, name) for name in QUANTITIES} == {name: tally[name] for name in QUANTITIES}


def test_depthwise_by_hand() -> None:
    cost = depthwise(16, 3, 32, multiplier=2)
    assert (cost.weights, cost.macs) == (9 * 32, 9 * 32 * 32 * 32)
    assert cost.activations == 32 * 32 * 32


def test_separable_saves_1_f_plus_1_k2() -> None:
    """The known ratio to a standard convolution: 1/f + 1/k^2 (Howard et al., 2017, section 3.1)."""
    c, f, w = sp.symbols("c f w", positive=True, integer=True)
    cost = separable(c, f, 3, w)
    assert sp.simplify(cost.macs / (9 * c * f * w**2) - 1 / f - sp.Rational(1, 9)) == 0


def test_impossible_layers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^c_in must be at least 1, got 0$"):
        depthwise(0, 3, 8)


def test_padding_and_dilation_reach_both_convolutions() -> None:
    options = {"stride": 2, "padding": (0, 3), "dilation": 3, "batch": 2}
    first = depthwise(4, (3, 5), (12, 19), **options)
    assert first == convolution(4, 4, (3, 5), (12, 19), groups=4, **options)
    both = separable(4, 8, (3, 5), (12, 19), **options)
    assert both == first + pointwise(4, 8, (3, 7), batch=2)
    assert both.biases == 0


@pytest.mark.parametrize(
    "layer", [lambda **o: depthwise(4, 2, 8, **o), lambda **o: separable(4, 8, 2, 8, **o)]
)
def test_an_even_kernel_needs_a_padding_unless_it_is_dilated(layer: Any) -> None:
    assert layer(dilation=2).weights == layer(padding=1).weights
    with pytest.raises(ValueError, match=r"^kernel 2 with dilation 1 needs an explicit padding"):
        layer()
