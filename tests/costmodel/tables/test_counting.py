"""What enters a total: hand-made sums over the plain ResNet-8, whose few layers can be written out."""

from __future__ import annotations

import pytest

from costmodel.networks.resnet import resnet
from costmodel.tables.counting import (
    counted_element_ops,
    counted_macs,
    counted_params,
    counted_work,
    parse_counts,
    work_heading,
)

NET = resnet(8).operators()  # stem, three blocks of two convolutions, two shortcuts, head

STEM = 9 * 3 * 16
BLOCKS = 9 * (16 * 16 * 2 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64)
SHORTCUTS = 16 * 32 + 32 * 64
BN = 2 * (16 * 3 + 32 * 2 + 64 * 2)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"conv"}, STEM + BLOCKS),
        ({"shortcut"}, SHORTCUTS),
        ({"linear"}, 64 * 10),
        ({"bias"}, 10),
        ({"bn"}, BN),
        ({"activation", "pool", "upsample", "add"}, 0),
        ({"conv", "linear", "shortcut", "bias", "bn"}, STEM + BLOCKS + SHORTCUTS + 650 + BN),
    ],
)
def test_params(counts: set[str], expected: int) -> None:
    assert counted_params(NET, counts) == expected


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"linear"}, 64 * 10),
        ({"shortcut"}, 16 * 32 * 16**2 + 32 * 64 * 8**2),
        (
            {"conv"},
            32**2 * (STEM + 9 * 2 * 16 * 16)
            + 16**2 * 9 * (16 * 32 + 32 * 32)
            + 8**2 * 9 * (32 * 64 + 64 * 64),
        ),
    ],
)
def test_macs(counts: set[str], expected: int) -> None:
    assert counted_macs(NET, counts) == expected


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"bias"}, 10),
        ({"bn"}, 2 * (3 * 16 * 32**2 + 2 * 32 * 16**2 + 2 * 64 * 8**2)),
        ({"activation"}, 3 * 16 * 32**2 + 2 * 32 * 16**2 + 2 * 64 * 8**2),
        ({"add"}, 16 * 32**2 + 32 * 16**2 + 64 * 8**2),
        ({"pool"}, 64 * 8**2),
        ({"upsample"}, 0),
        ({"conv", "linear", "shortcut"}, 0),
    ],
)
def test_element_ops(counts: set[str], expected: int) -> None:
    assert counted_element_ops(NET, counts) == expected


def test_a_flop_is_half_a_mac_but_an_element_operation_counts_once() -> None:
    assert counted_work(NET, {"linear", "bias"}, "mac") == 640 + 10
    assert counted_work(NET, {"linear", "bias"}, "flop") == 2 * 640 + 10


def test_headings() -> None:
    assert work_heading({"conv"}, "mac") == "MACs"
    assert work_heading({"conv", "bn", "bias"}, "flop") == "FLOPs + bias + bn"


def test_bad_choices() -> None:
    with pytest.raises(ValueError, match=r"count must be some of conv,linear,.*, got conv,dropout"):
        parse_counts("conv,dropout")
    with pytest.raises(ValueError, match="unit must be mac or flop, got tops"):
        counted_work(NET, {"conv"}, "tops")
