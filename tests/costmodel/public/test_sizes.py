"""Sizes that users give to the public face: integers of any kind, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import costmodel

NO_SIZES = [16.5, 16.0, "16", None, Fraction(16), float("nan"), np.float64(16)]


@pytest.mark.parametrize("value", NO_SIZES, ids=repr)
@pytest.mark.parametrize("name", ["width", "classes", "in_channels"])
def test_a_network_needs_whole_numbers(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be a whole number, got "):
        costmodel.network("resnet20", **{name: value})


@pytest.mark.parametrize("value", [value for value in NO_SIZES if value is not None], ids=repr)
@pytest.mark.parametrize(
    "name", ["c_in", "c_out", "kernel", "stride", "padding", "dilation", "groups", "batch"]
)
def test_a_layer_needs_whole_numbers(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be a whole number, got |^one number, or a pair"):
        costmodel.layer("standard", **{name: value})


@pytest.mark.parametrize("size", [32.5, (32, 32.0), "32", (32,), (1, 2, 3), None, (32, None)], ids=repr)
@pytest.mark.parametrize(
    "make", [lambda size: costmodel.network("resnet20", size=size), lambda size: costmodel.layer(size=size)]
)
def test_a_size_is_one_whole_number_or_two(make: Callable[[Any], Any], size: Any) -> None:
    with pytest.raises(ValueError, match=r"^size must be a whole number, got |^one number, or a pair"):
        make(size)


def test_paddings_are_not_negative() -> None:
    with pytest.raises(ValueError, match="padding must be at least 0, got -1"):
        costmodel.layer("standard", padding=-1)
    assert costmodel.layer("standard", padding=0).cost().macs == 16 * 16 * 9 * 30 * 30


@pytest.mark.parametrize("values", [{"batch": 2.5}, {"classes": 10.5}, {"size": 32.5}, {"widths": [16.5]}])
def test_a_grid_needs_whole_numbers(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be a whole number, got \d+\.5"):
        costmodel.grid("resnet20", **values)
    if "batch" not in values:
        with pytest.raises(ValueError, match=r"must be a whole number, got \d+\.5"):
            costmodel.pareto("resnet20", **values)


def test_a_batch_is_a_whole_number() -> None:
    for method in (costmodel.network("resnet20").cost, costmodel.network("resnet20").saved_bytes):
        with pytest.raises(ValueError, match=r"batch must be a whole number, got 2\.5"):
            method(2.5)  # type: ignore[arg-type]


def test_integers_of_numpy_are_integers_without_overflow() -> None:
    many = np.int32(2**20)
    wide = costmodel.layer("standard", c_in=many, c_out=many).cost()
    assert wide == costmodel.layer("standard", c_in=2**20, c_out=2**20).cost()
    assert wide.macs == 2**40 * 9 * 1024
    net = costmodel.network("resnet20", width=np.int8(16), size=np.array([32, 32]))
    assert net.cost() == costmodel.network("resnet20").cost()
