"""Converted layers by hand: two branches, each with the groups that lie in it, or the four paths."""

from typing import Any

import pytest

from costmodel.operators.converted import ConvertedLayer
from costmodel.operators.octave import OctaveLayer
from costmodel.operators.pwise_octave import pwise_octave
from costmodel.operators.standard import convolution


def layer(**options: Any) -> ConvertedLayer:
    """Of 16 channels, a quarter of them low."""
    return ConvertedLayer(
        **{"name": "c", "c_in": (12, 4), "c_out": (24, 8), "kernel": (3, 5), "size": (7, 6), **options}
    )


def test_whole_groups_stay_in_their_branches() -> None:
    """8 groups of 2 channels: 6 are high, on 7x6 pixels, and 2 low, on 4x3."""
    cost = layer(kind="whole groups", groups=8, stride=2, bias=True, batch=5).cost()
    high, low = 24 * 2 * 15, 8 * 2 * 15
    assert (cost.weights, cost.biases) == (high + low, 32)
    assert cost.macs == 5 * (high * 4 * 3 + low * 2 * 2)
    assert cost.elements_read == 5 * (12 * 7 * 6 + 4 * 4 * 3) + high + low + 32


def test_dilation_and_a_missing_branch() -> None:
    alone = layer(c_in=(16, 0), c_out=(32, 0), kind="whole groups", groups=8, dilation=2).cost()
    assert alone == convolution(16, 32, (3, 5), (7, 6), dilation=2, groups=8)
    low = layer(c_in=(0, 16), c_out=(0, 32), kind="whole groups", groups=8).cost()
    assert low == convolution(16, 32, (3, 5), (4, 3), groups=8)


@pytest.mark.parametrize("kind", ["dense", "depthwise"])
@pytest.mark.parametrize("options", [{}, {"stride": 2, "stride_rule": "B", "bias": True, "dilation": 2}])
def test_all_else_is_an_octave_layer(kind: str, options: dict[str, Any]) -> None:
    groups = 16 if kind == "depthwise" else 2
    cost = layer(kind=kind, groups=groups, widths={"LL": 4}, between="bn", batch=3, **options).cost()
    plain = OctaveLayer(
        (12, 4),
        (24, 8),
        (3, 5),
        groups=1 if kind == "depthwise" else 2,
        depthwise=kind == "depthwise",
        **options,
    )
    assert cost == pwise_octave(plain, (7, 6), {"LL": 4}, between="bn", batch=3)


def test_depthwise_has_one_filter_per_output_channel() -> None:
    assert layer(kind="depthwise", groups=16).cost().weights == 15 * 32
