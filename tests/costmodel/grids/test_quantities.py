"""Quantities by name, amounts, and options as text."""

from __future__ import annotations

from fractions import Fraction

import pytest

from costmodel.convention import Cost
from costmodel.grids.grid import grid
from costmodel.grids.quantities import NAMED, amount, cost_quantities, grid_quantities, short
from costmodel.networks.resnet import resnet
from costmodel.networks.wording import options_of
from costmodel.operators.recorder import cost_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.4M", 400_000),
        ("60M", 60_000_000),
        ("1.2G", 1_200_000_000),
        ("3k", 3000),
        ("3K", 3000),
        ("2T", 2 * 10**12),
        ("123456789012345678", 123456789012345678),
        ("0.1", Fraction(1, 10)),
        ("1/3M", Fraction(10**6, 3)),
    ],
)
def test_amounts_are_exact(text: str, value: Fraction) -> None:
    assert amount(text) == value


@pytest.mark.parametrize("text", ["", "M", "1x", "1MM", "1 million", "nan", "inf", "1/0", "1m"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match=f"an amount is a number such as 400000, 0.4M or 1.2G, got {text}"):
        amount(text)


@pytest.mark.parametrize("text", ["0", "-1", "-0.4M"])
def test_amounts_are_positive(text: str) -> None:
    with pytest.raises(ValueError, match=f"an amount must be positive, got {text}"):
        amount(text)


def test_quantities_of_a_cost() -> None:
    cost = Cost(weights=3, biases=2, macs=5, macs_input_grad=7, macs_weight_grad=11, bn_ops=13, add_ops=17)
    cost += Cost(activations=19, elements_read=23, elements_written=29, calls=31)
    assert cost_quantities(cost, NAMED, "bfloat16") == {
        "params": 3 + 2,
        "macs": 5,
        "flops": 2 * 5,
        "activations": 19,
        "bytes": 2 * (23 + 29),
        "training-macs": 5 + 7 + 11,
        "training-flops": 2 * (5 + 7 + 11),
        "element-ops": 13 + 17,
        "calls": 31,
    }


def test_a_grid_has_the_quantities_of_its_networks() -> None:
    configurations = grid(alphas=["1/4"], path_subsets=[("HL",), ("HH", "LL")], depths=[20])
    values = grid_quantities(configurations, NAMED)
    for i in range(2):
        expected = cost_quantities(cost_of(configurations.network(i).operators()), NAMED)
        assert {name: int(column[i]) for name, column in values.items()} == expected


def test_short() -> None:
    assert [short(value) for value in (0, 999, 1000, 85_295_744, 1.25e9, 3e12)] == [
        *("0", "999", "1k", "85.3M", "1.25G", "3T"),
    ]


def test_options_leave_out_defaults() -> None:
    assert options_of(resnet(20)) == "--model resnet20"
    assert options_of(resnet(20, beta=4, width_rule="in", between="bn")) == "--model resnet20"


def test_options_name_everything_else() -> None:
    net = resnet(
        *(20,),
        alpha=["0", "1/8", "1/4"],
        beta=[2, "8/3", 2],
        paths=[[], ["LL", "HH"], ["HH", "HL", "LH", "LL"]],
        width_rule="mean",
        stride_rule="B",
        between="bn_relu",
        width=24,
        classes=100,
        size=(32, 48),
    )
    assert options_of(net) == (
        "--model resnet20 --alpha 0+1/8+1/4 --beta 2+8/3+2 --paths none+HH,LL+all --width-rule mean "
        "--stride-rule B --between bn_relu --width 24 --classes 100 --size 32x48"
    )
