"""Convolutions in one, two and three dimensions, and transposed ones: against PyTorch and torch's counter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from costmodel.operators.depthwise import depthwise, separable
from costmodel.operators.pointwise import pointwise
from costmodel.operators.spatial import SPATIAL_KINDS, SpatialLayer, spatial_cost
from costmodel.operators.standard import convolution

LAYERS = [
    SpatialLayer(4, 6, (20,), (5,), bias=True),
    SpatialLayer(4, 6, (21,), (4,), stride=3, padding=(2,), dilation=2, groups=2),
    SpatialLayer(4, 6, (7, 9), (3, 5), stride=2, batch=2),
    SpatialLayer(3, 6, (8, 8), (2, 2), stride=2, padding=(0, 0), bias=True),
    SpatialLayer(2, 4, (5, 6, 7), (3, 3, 3), stride=2),
    SpatialLayer(2, 4, (5, 6, 7), (1, 2, 3), padding=(0, 1, 0), groups=2, bias=True),
    SpatialLayer(4, 6, (9,), (4,), stride=2, padding=(1,), transposed=True),
    SpatialLayer(4, 6, (5, 7), (3, 3), stride=2, transposed=True, output_padding=(1, 1), bias=True),
    SpatialLayer(4, 6, (5, 7), (3, 2), stride=3, padding=(0, 1), groups=2, transposed=True, batch=3),
    SpatialLayer(2, 4, (3, 4, 5), (2, 2, 2), stride=2, padding=(0, 0, 0), transposed=True),
    SpatialLayer(2, 2, (3, 4), (3, 3), dilation=2, transposed=True, output_padding=(1, 0)),
]


def module(layer: SpatialLayer) -> nn.Module:
    names = ("ConvTranspose" if layer.transposed else "Conv") + f"{len(layer.size)}d"
    padding: Any = layer.padding or tuple(layer.dilation * (k - 1) // 2 for k in layer.kernel)
    options: dict[str, Any] = {"stride": layer.stride, "padding": padding, "dilation": layer.dilation}
    if layer.transposed:
        options["output_padding"] = layer.output_padding or 0
    built: nn.Module = getattr(nn, names)(
        layer.c_in, layer.c_out, layer.kernel, groups=layer.groups, bias=layer.bias, **options
    )
    return built


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_sizes_parameters_and_macs_are_those_of_pytorch(layer: SpatialLayer) -> None:
    conv, x = module(layer), torch.zeros(layer.batch, layer.c_in, *layer.size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        y = conv(x)
    cost = spatial_cost(layer)
    assert tuple(y.shape[2:]) == layer.output
    assert cost.params == sum(p.numel() for p in conv.parameters())
    assert 2 * cost.macs == counter.get_total_flops()
    assert cost.activations == y.numel()
    assert cost.bytes_read() == 4 * (x.numel() + cost.params)


@pytest.mark.parametrize("bias", [False, True])
def test_in_two_dimensions_they_are_the_other_formulas(bias: bool) -> None:
    layer = SpatialLayer(4, 8, (9, 12), (3, 5), stride=2, bias=bias, batch=2)
    options: dict[str, Any] = {"stride": 2, "bias": bias, "batch": 2}
    assert SPATIAL_KINDS["standard"](layer) == convolution(4, 8, (3, 5), (9, 12), **options)
    assert SPATIAL_KINDS["pointwise"](layer) == pointwise(4, 8, (9, 12), **options)
    assert SPATIAL_KINDS["depthwise"](layer) == depthwise(4, (3, 5), (9, 12), multiplier=2, **options)
    assert SPATIAL_KINDS["separable"](layer) == separable(4, 8, (3, 5), (9, 12), **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": (3,)}, "kernel needs 2 numbers, one per dimension, got 1"),
        ({"padding": (1, 1, 1)}, "padding needs 2 numbers, one per dimension, got 3"),
        ({"output_padding": (1,)}, "output padding needs 2 numbers, one per dimension, got 1"),
        ({"c_out": 0}, "c_out must be at least 1, got 0"),
        ({"size": (5, 0)}, "size must be at least 1, got 0"),
        ({"kernel": (0, 3)}, "kernel must be at least 1, got 0"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"dilation": 0}, "dilation must be at least 1, got 0"),
        ({"groups": 0}, "groups must be at least 1, got 0"),
        ({"groups": 3}, "groups must divide the channels 4 -> 8, got 3"),
        ({"c_in": 0}, "c_in must be at least 1, got 0"),
        (
            {"output_padding": (2, 0), "stride": 2},
            "output padding must be below 2, stride or dilation, got 2",
        ),
        ({"output_padding": (0.5, 0)}, "output padding must be a whole number, got 0.5"),
        ({"output_padding": (0, -1)}, "output padding must be at least 0, got -1"),
        ({"padding": (4, 3), "transposed": True}, "padding 4x3 leaves no output of an input of size 5x5"),
        ({"kernel": (2, 2)}, "kernel 2 with dilation 1 needs an explicit padding"),
        ({"kernel": (7, 7), "padding": (0, 0)}, "does not fit into size 5 with padding 0"),
    ],
)
def test_what_cannot_be(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spatial_cost(SpatialLayer(**{"c_in": 4, "c_out": 8, "size": (5, 5), "kernel": (3, 3), **change}))


def test_kinds_fix_what_they_do_not_have() -> None:
    layer = SpatialLayer(4, 8, (9, 12), (3, 5), stride=2, padding=(0, 1), dilation=2, groups=2, batch=2)
    spread = replace(layer, transposed=True, output_padding=(1, 1))
    for kind in ("standard", "pointwise", "depthwise", "separable"):
        assert SPATIAL_KINDS[kind](spread) == SPATIAL_KINDS[kind](layer)
    assert SPATIAL_KINDS["transposed"](replace(spread, transposed=False)) == spatial_cost(spread)
    assert SPATIAL_KINDS["pointwise"](layer) == pointwise(4, 8, (9, 12), stride=2, batch=2)
    message = r"^a depthwise convolution needs c_out to be a multiple of c_in, got 4 -> 6$"
    with pytest.raises(ValueError, match=message):
        SPATIAL_KINDS["depthwise"](replace(layer, c_out=6))


def test_an_output_of_one_pixel_is_enough() -> None:
    assert SpatialLayer(4, 8, (1,), (3,), padding=(1,), transposed=True).output == (1,)


def test_weights_are_whole_numbers() -> None:
    assert type(spatial_cost(SpatialLayer(4, 8, (5,), (3,), groups=2)).weights) is int
