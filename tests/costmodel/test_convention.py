from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp

from costmodel.convention import DTYPE_BYTES, QUANTITIES, Cost, dtype_bytes, total
from costmodel.networks.resnet import resnet
from costmodel.sizes import (
    ceil_div,
    check_groups,
    check_padding,
    check_sizes,
    exact_div,
    floor_div,
    pair,
    whole,
)

c, m = sp.symbols("c m", positive=True, integer=True)
EVERY_FIELD = Cost(*range(1, len(QUANTITIES) + 1))


@pytest.mark.parametrize(
    ("size", "divisor", "up", "down"), [(0, 2, 0, 0), (1, 2, 1, 0), (7, 2, 4, 3), (8, 2, 4, 4), (9, 4, 3, 2)]
)
def test_division_rounds_up_and_down(size: int, divisor: int, up: int, down: int) -> None:
    assert (ceil_div(size, divisor), floor_div(size, divisor)) == (up, down)


def test_division_of_symbols_keeps_the_rounding() -> None:
    assert ceil_div(c, 2) == sp.ceiling(c / 2)
    assert floor_div(c, 2) == sp.floor(c / 2)
    assert ceil_div(8 * c, 2) == 4 * c


def test_exact_division_refuses_a_rest() -> None:
    assert exact_div(12, 4) == 3
    assert exact_div(c, 4) == c / 4
    with pytest.raises(ValueError, match=r"^4 must divide 13$"):
        exact_div(13, 4)


def test_one_number_is_height_and_width() -> None:
    assert pair(5) == (5, 5)
    assert pair(c) == (c, c)
    assert pair([3, 1]) == (3, 1)


@pytest.mark.parametrize("kind", [int, np.int64, np.int8, sp.Integer])
def test_integers_of_every_library_are_checked(kind: Callable[[int], Any]) -> None:
    check_sizes(c=kind(1), k=(kind(3), c))
    check_padding(kind(0))
    check_groups(kind(2), kind(4), c)
    for size in (0, -3):
        with pytest.raises(ValueError, match=f"^c must be at least 1, got {size}$"):
            check_sizes(c=(2, kind(size)))
    with pytest.raises(ValueError, match=r"^padding must be at least 0, got -1$"):
        check_padding(kind(-1))
    with pytest.raises(ValueError, match=r"^groups must divide the channels 4 -> 5, got 2$"):
        check_groups(kind(2), kind(4), kind(5))
    with pytest.raises(ValueError, match=r"^width must be at least 1, got -4$"):
        resnet(20, width=kind(-4))


def test_costs_add_field_by_field() -> None:
    both = EVERY_FIELD + EVERY_FIELD
    assert [getattr(both, name) for name in QUANTITIES] == [2 * k for k in range(1, len(QUANTITIES) + 1)]


def test_costs_subtract_and_scale() -> None:
    assert EVERY_FIELD * 3 - EVERY_FIELD == 2 * EVERY_FIELD
    assert (EVERY_FIELD * 0).params == (EVERY_FIELD * 0).calls == 0


def test_the_total_of_costs_is_their_sum_and_of_none_it_is_nothing() -> None:
    assert total([EVERY_FIELD] * 4) == EVERY_FIELD * 4
    assert total([]) == Cost()


def test_sums_of_fields() -> None:
    cost = Cost(weights=1, biases=20, bn_weights=300, bn_buffers=4000)
    assert cost.params == 321
    assert Cost(macs=1, macs_input_grad=20, macs_weight_grad=300).macs_training == 321
    ops = Cost(bias_ops=1, bn_ops=20, activation_ops=300, pool_ops=4000, upsample_ops=50000, add_ops=600000)
    assert ops.element_ops == 654321
    others = Cost(softmax_ops=10**6, reduction_ops=10**7, elementwise_ops=10**8)
    assert (ops + others).element_ops == 111654321


@pytest.mark.parametrize(("dtype", "size"), DTYPE_BYTES.items())
def test_bytes_are_elements_of_a_size(dtype: str, size: int) -> None:
    cost = Cost(macs=60, elements_read=7, elements_written=5)
    assert (cost.bytes_read(dtype), cost.bytes_written(dtype)) == (7 * size, 5 * size)
    assert cost.intensity(dtype) == Fraction(60, 12 * size)


def test_float32_is_the_default() -> None:
    assert Cost(elements_read=3).bytes_read() == 12


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^dtype must be one of float64, .*int8, got float8$"):
        dtype_bytes("float8")


def test_the_intensity_of_nothing_is_zero_and_that_of_symbols_a_formula() -> None:
    assert Cost().intensity() == 0
    assert Cost(macs=c * m, elements_read=c, elements_written=c).intensity() == sp.Rational(1, 8) * m


def test_substitution_gives_python_integers() -> None:
    cost = Cost(weights=9 * c**2, macs=c / 3).subs({c: 4})
    assert (cost.weights, type(cost.weights)) == (144, int)
    assert cost.macs == sp.Rational(4, 3)


def test_whole_leaves_formulas_alone() -> None:
    assert whole(c + 1) == c + 1
    assert type(whole(sp.Integer(3))) is int


def test_formulas_are_factored_text_and_latex() -> None:
    cost = Cost(weights=9 * c**2 + 9 * c * m)
    assert cost.formula("weights") == "9*c*(c + m)"
    assert cost.latex("weights") == r"9 c \left(c + m\right)"
    for text in (cost.formula, cost.latex):
        with pytest.raises(ValueError, match=r"^quantity must be one of params, macs, .*, got bytes$"):
            text("bytes")
