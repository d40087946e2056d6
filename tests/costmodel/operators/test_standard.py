from typing import Any

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.convention import QUANTITIES
from costmodel.operators.standard import convolution, output_size, same_padding
from costmodel.sizes import remembered
from tests.costmodel.brute_force import Map, Tally

SMALL_PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, Any]:
    """Small convolutions of every kind in which the kernel fits into the padded input."""
    groups = draw(st.integers(1, 3))
    kernel, dilation = draw(SMALL_PAIR), draw(SMALL_PAIR)
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    least = [max(1, r - 2 * p) for r, p in zip(reach, padding, strict=True)]
    return {
        "c_in": groups * draw(st.integers(1, 2)),
        "c_out": groups * draw(st.integers(1, 2)),
        "kernel": kernel,
        "size": tuple(draw(st.integers(n, n + 3)) for n in least),
        "stride": draw(SMALL_PAIR),
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "bias": draw(st.booleans()),
    }


@given(convolutions())
@settings(max_examples=1000)
def test_agrees_with_a_count_of_every_tap(layer: dict[str, Any]) -> None:
    tally = Tally()
    x = Map(layer["c_in"], *layer["size"])
    tally.conv(
        x, *(layer[name] for name in ("c_out", "kernel", "stride", "padding", "dilation", "groups", "bias"))
    )
    cost = convolution(**layer)
    assert {name: getattr(cost, name) for name in QUANTITIES} == {name: tally[name] for name in QUANTITIES}


@given(st.integers(1, 9), st.integers(0, 3), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=300)
def test_the_usual_padding_gives_the_size_over_the_stride(
    size: int, half: int, stride: int, dilation: int
) -> None:
    kernel = 2 * half + 1
    assert output_size(size, kernel, stride, None, dilation) == len(range(0, size, stride))
    padding = same_padding(kernel, dilation)
    assert output_size(size, kernel, stride, padding, dilation) == len(range(0, size, stride))


def test_the_layer_of_the_documentation_by_hand() -> None:
    cost = convolution(16, 16, 3, 32)
    assert cost.weights == 9 * 16 * 16
    assert cost.macs == cost.macs_input_grad == cost.macs_weight_grad == 9 * 16 * 16 * 32 * 32
    assert cost.activations == cost.elements_written == 16 * 32 * 32
    assert cost.elements_read == 16 * 32 * 32 + 9 * 16 * 16
    assert cost.calls == 1
    assert cost.element_ops == 0


def test_groups_divide_weights_and_macs_and_their_gradients() -> None:
    cost = convolution(8, 12, 3, 10, groups=4)
    assert cost.weights == 9 * (8 // 4) * 12
    assert cost.macs_training == 3 * 9 * (8 // 4) * 12 * 10 * 10


def test_stride_padding_dilation_and_a_kernel_that_is_not_square() -> None:
    # height: 9 + 2 - (4 + 1) = 6, over 2: 3 + 1 positions; width: 8 - 1 = 7, over 3: 2 + 1 positions
    cost = convolution(2, 5, (3, 2), (9, 8), stride=(2, 3), padding=(1, 0), dilation=(2, 1))
    assert cost.activations == 5 * 4 * 3
    assert cost.macs == 3 * 2 * 2 * 5 * 4 * 3


def test_a_bias_is_a_parameter_and_an_operation_an_output() -> None:
    cost = convolution(2, 5, 1, 4, bias=True)
    assert (cost.biases, cost.bias_ops, cost.params) == (5, 5 * 16, 2 * 5 + 5)


def test_a_batch_multiplies_work_and_no_weights() -> None:
    one, four = convolution(3, 6, 3, 8), convolution(3, 6, 3, 8, batch=4)
    assert (four.macs, four.activations, four.weights) == (4 * one.macs, 4 * one.activations, one.weights)
    assert four.elements_read == 4 * 3 * 64 + 9 * 3 * 6


def test_the_first_layer_needs_no_gradient_by_its_input() -> None:
    cost = convolution(3, 16, 3, 32, input_grad=False)
    assert (cost.macs_input_grad, cost.macs_training) == (0, 2 * 9 * 3 * 16 * 1024)


def test_symbols_give_the_formula() -> None:
    c, f, k, w = sp.symbols("c f k w", positive=True, integer=True)
    cost = convolution(c, f, k, w)
    assert cost.weights == k**2 * c * f
    assert cost.macs == k**2 * c * w**2 * f


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"c_in": 0}, "c_in must be at least 1, got 0"),
        ({"size": (4, -1)}, "size must be at least 1, got -1"),
        ({"kernel": 0}, "kernel must be at least 1, got 0"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"dilation": 0}, "dilation must be at least 1, got 0"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"c_out": 0}, "c_out must be at least 1, got 0"),
        ({"groups": 0}, "groups must be at least 1, got 0"),
        ({"stride": (0, 1)}, "stride must be at least 1, got 0"),
        ({"stride": (1, 0)}, "stride must be at least 1, got 0"),
        ({"dilation": (0, 1)}, "dilation must be at least 1, got 0"),
        ({"dilation": (1, 0)}, "dilation must be at least 1, got 0"),
        ({"groups": 3}, "groups must divide the channels 4 -> 6, got 3"),
        ({"kernel": 2}, "kernel 2 with dilation 1 needs an explicit padding: none keeps the size"),
        ({"kernel": 5, "padding": 0}, "kernel 5 with dilation 1 does not fit into size 4 with padding 0"),
    ],
)
def test_impossible_layers_are_refused(options: dict[str, Any], message: str) -> None:
    layer: dict[str, Any] = {"c_in": 4, "c_out": 6, "kernel": 3, "size": 4, **options}
    with pytest.raises(ValueError, match=f"^{message}$"):
        convolution(**layer)


class StandsForOne:
    """A size that answers `isinstance(..., int)` with yes, as those of proofs do; here, without a hash."""

    __class__ = int  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


def test_only_results_of_plain_integers_are_kept() -> None:
    asked: list[Any] = []
    note = remembered(lambda *sizes: asked.append(sizes))
    stranger = StandsForOne()
    assert isinstance(stranger, int)
    for size in (3, 3, sp.Integer(3), sp.Integer(3), stranger, stranger):
        note(size, None)
    assert [type(size) for size, _ in asked] == [int, sp.Integer, sp.Integer, StandsForOne, StandsForOne]
    assert type(convolution(sp.Integer(3), 4, 1, 5).weights) is not int
    assert type(convolution(3, 4, 1, 5).weights) is int
