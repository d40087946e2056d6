from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwoct.channels import (
    as_alpha,
    as_beta,
    as_paths,
    as_ratio,
    as_sizes,
    check_choice,
    hidden_channels,
    split_channels,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, Fraction(1, 10)),  # not 3602879701896397 / 2**55
        (1e-3, Fraction(1, 1000)),
        (5e-324, Fraction(5, 10**324)),
        (np.float64(0.7), Fraction(7, 10)),
        ("0.125", Fraction(1, 8)),
        ("3/8", Fraction(3, 8)),
        (Decimal("0.30"), Fraction(3, 10)),
        (Fraction(2, 6), Fraction(1, 3)),
        (2, Fraction(2)),
        (np.int64(3), Fraction(3)),
    ],
)
def test_a_ratio_is_what_the_user_wrote(value, expected):
    assert as_ratio(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "a",
        "",
        "1/0",
        float("nan"),
        float("inf"),
        Decimal("nan"),
        None,
        [1],
        "1e999999999",
        Decimal("1e-999999999"),
    ],
)
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match=r"^beta must be a finite number such as 0.25 or 1/4, got "):
        as_ratio(value, "beta")


@pytest.mark.parametrize("value", [1.5, -0.1, "5/4"])
def test_alpha_outside_its_range(value):
    with pytest.raises(ValueError, match=rf"^alpha must be in \[0, 1\], got {value}$"):
        as_alpha(value)


def test_beta_is_at_least_one():
    assert as_beta(1) == 1
    with pytest.raises(ValueError, match=r"^beta must be at least 1, got 0.5$"):
        as_beta(0.5)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), ()),
        ("", ()),
        ("ll, hh", ("HH", "LL")),
        (["LH", "hl", "LH"], ("HL", "LH")),
        ({"HH", "HL", "LH", "LL"}, ("HH", "HL", "LH", "LL")),
        (["Ll"], ("LL",)),
    ],
)
def test_paths_in_any_order_and_case(names, expected):
    assert as_paths(names) == as_paths(iter(names) if not isinstance(names, str) else names) == expected


def test_unknown_path():
    with pytest.raises(ValueError, match=r"^paths must be among HH, HL, LH, LL, got 'HX'$"):
        as_paths(["HH", "HX"])


@pytest.mark.parametrize(
    ("channels", "alpha", "expected"),
    [
        (16, 0, (16, 0)),
        (16, 1, (0, 16)),
        (16, 0.25, (12, 4)),
        (10, 0.8, (2, 8)),  # int((1 - 0.8) * 10) is 1
        (100, 0.29, (71, 29)),  # int(0.29 * 100) is 28
        (7, "1/3", (5, 2)),  # floor(7/3) = 2
        (3, 0.3, (3, 0)),  # floor(0.9) = 0
    ],
)
def test_split(channels, alpha, expected):
    assert split_channels(channels, alpha) == expected


@given(st.integers(1, 10_000), st.fractions(0, 1, max_denominator=1000))
def test_split_loses_no_channel(channels, alpha):
    high, low = split_channels(channels, alpha)
    assert high + low == channels
    assert low <= alpha * channels < low + 1


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("out", 6), ("in", 2), ("min", 2), ("mean", 4)],  # 12/2, 4/2, min(4, 12)/2, (4 + 12)/4
)
def test_width_rules(rule, expected):
    assert hidden_channels(4, 12, 2, rule) == expected


def test_hidden_channels_rounds_down_but_not_to_zero():
    assert hidden_channels(5, 7, 2) == 3
    assert hidden_channels(8, 3, 4) == 1
    assert hidden_channels(5, 8, 2, "mean") == 3  # floor(13/4)
    assert hidden_channels(5, 8, "1.6") == 5  # exactly 8 / (8/5)


def test_unknown_width_rule():
    with pytest.raises(ValueError, match=r"^width_rule must be one of out, in, min, mean, got 'max'$"):
        hidden_channels(4, 4, 2, "max")


@pytest.mark.parametrize("channels", [0, -1, 2.0])
def test_no_channels(channels):
    with pytest.raises(ValueError, match=rf"^channels must be an integer of at least 1, got {channels}$"):
        split_channels(channels, 0.5)


def test_checks_accept_what_is_right():
    assert as_sizes(width=1, classes=10) == (1, 10)
    check_choice("stride_rule", "A", ("A", "B"))


def test_numbers_of_numpy_are_numbers():
    assert [type(size) for size in as_sizes(a=np.int64(3), b=np.uint8(1))] == [int, int]
    assert split_channels(np.int32(16), np.float32(0.25)) == (12, 4)
    assert type(split_channels(np.int32(16), np.float64(0.25)).high) is int
    # np.float32(0.1) is 0.100000001490116 in binary: it is read as it is written
    assert as_ratio(np.float32(0.1)) == as_ratio(np.float16(0.1)) == Fraction(1, 10)
    assert as_ratio(np.int64(2)) == Fraction(2)
    assert type(as_ratio(np.int64(2)).numerator) is int
    assert hidden_channels(16, 16, np.float32(2.5)) == 6


@pytest.mark.parametrize(
    "size", [True, np.True_, np.float32(2), np.int64(0), np.array([2]), "2", None], ids=repr
)
def test_what_is_no_size(size):
    with pytest.raises(ValueError, match=r"^width must be an integer of at least 1, got "):
        as_sizes(width=size)


@pytest.mark.parametrize(
    "ratio", [np.float32("nan"), np.float64("inf"), np.complex64(1), None, [2]], ids=repr
)
def test_what_is_no_ratio(ratio):
    with pytest.raises(ValueError, match=r"^alpha must be a finite number such as 0.25 or 1/4, got "):
        as_ratio(ratio, "alpha")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (None, ", or all or none, got None"),
        (5, ", or all or none, got 5"),
        ([["HH"]], r", got \['HH'\]"),
        ([None], ", got None"),
    ],
)
def test_what_are_no_paths(names, told):
    with pytest.raises(ValueError, match=f"^paths must be among HH, HL, LH, LL{told}$"):
        as_paths(names)
