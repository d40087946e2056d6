"""Transposed convolutions: by hand, against the counts on plain numbers, and what is refused."""

from __future__ import annotations

import random
from itertools import product

import pytest
import sympy as sp

from costmodel.convention import Cost
from costmodel.operators.registry import operator
from costmodel.operators.spatial import SpatialLayer, spatial_cost
from costmodel.operators.transposed import transposed


def test_the_decoder_layer_of_a_u_net_by_hand() -> None:
    cost = transposed(64, 32, 2, 28, stride=2, bias=True, batch=3)
    assert cost.params == 64 * 32 * 4 + 32
    assert cost.macs == 3 * 28 * 28 * 4 * 64 * 32
    assert cost.macs_training == 3 * cost.macs
    assert cost.activations == cost.bias_ops == 3 * 32 * 56 * 56
    assert cost.elements_read == 3 * 64 * 28 * 28 + 64 * 32 * 4 + 32


def test_every_input_element_meets_every_tap_once() -> None:
    c_in, c_out, h, w, k_h, k_w = 4, 6, 3, 5, 2, 3
    pairs = product(range(h), range(w), range(k_h), range(k_w), range(c_in), range(c_out))
    in_one_group = [1 for *_, a, b in pairs if a // 2 == b // 3]
    assert transposed(c_in, c_out, (k_h, k_w), (h, w), groups=2).macs == len(in_one_group)


def drawn(chosen: random.Random) -> SpatialLayer:
    groups, stride, dilation = chosen.choice((1, 2, 3)), chosen.randrange(1, 4), chosen.randrange(1, 4)
    below = max(stride, dilation)
    return SpatialLayer(
        groups * chosen.randrange(1, 4),
        groups * chosen.randrange(1, 4),
        (chosen.randrange(4, 9), chosen.randrange(4, 9)),
        (chosen.randrange(1, 5), chosen.randrange(1, 5)),
        stride,
        (chosen.randrange(2), chosen.randrange(2)),
        dilation,
        groups,
        bias=chosen.random() < 0.5,
        batch=chosen.randrange(1, 4),
        transposed=True,
        output_padding=(chosen.randrange(below), chosen.randrange(below)),
    )


def test_it_is_the_count_on_plain_numbers() -> None:
    chosen = random.Random(0)
    names = ("kernel", "size", "stride", "padding", "output_padding", "dilation", "groups", "bias", "batch")
    for _ in range(200):
        layer = drawn(chosen)
        options = {name: getattr(layer, name) for name in names}
        assert transposed(layer.c_in, layer.c_out, **options) == spatial_cost(layer), layer


def test_the_explained_formulas_are_its_costs() -> None:
    values = {
        "b": 2,
        "c_in": 6,
        "c_out": 9,
        "g": 3,
        "h": 5,
        "w": 7,
        "k_h": 4,
        "k_w": 3,
        "s": 3,
        "p": 1,
        "o": 2,
    }
    (formula,) = operator("transposed").formulas().values()
    at_sizes = formula.subs({symbol: values[symbol.name] for symbol in symbols_of(formula)})
    cost = transposed(6, 9, (4, 3), (5, 7), stride=3, padding=1, output_padding=2, groups=3, batch=2)
    assert at_sizes == cost


def symbols_of(cost: Cost) -> set[sp.Symbol]:
    quantities = (cost.params, cost.macs, cost.activations, cost.elements_read)
    return set().union(*(quantity.free_symbols for quantity in quantities))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": 9}, r"^padding 9 leaves no output of an input of size 8x8$"),
        ({"padding": (0, 9)}, r"^padding 0x9 leaves no output of an input of size 8x8$"),
        ({"groups": 3}, r"^groups must divide the channels 4 -> 6, got 3$"),
        ({"padding": -1}, r"^padding must be at least 0, got -1$"),
        ({"padding": sp.Integer(9)}, r"^padding 9 leaves no output of an input of size 8x8$"),
        ({"output_padding": 1}, r"^output padding must be below 1, stride or dilation, got 1$"),
        ({"output_padding": (0, 3), "stride": 3}, r"^output padding must be below 3, .*, got 3$"),
        ({"output_padding": -1}, r"^output padding must be at least 0, got -1$"),
        ({"output_padding": 0.5}, r"^output padding must be a whole number, got 0.5$"),
        ({"output_padding": sp.Integer(1)}, r"^output padding must be below 1, stride or dilation, got 1$"),
        ({"stride": 0}, r"^stride must be at least 1, got 0$"),
        ({"dilation": (1, 0)}, r"^dilation must be at least 1, got 0$"),
    ],
)
def test_what_has_no_cost(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        transposed(4, 6, 3, 8, **options)  # type: ignore[arg-type]
