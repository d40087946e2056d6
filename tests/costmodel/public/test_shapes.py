"""Layers in one and three dimensions, and transposed ones, from Python."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import costmodel

MODULES = {
    (False, 1): nn.Conv1d,
    (False, 2): nn.Conv2d,
    (False, 3): nn.Conv3d,
    (True, 1): nn.ConvTranspose1d,
    (True, 2): nn.ConvTranspose2d,
    (True, 3): nn.ConvTranspose3d,
}


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize(
    ("op", "options"),
    [
        ("standard", {"kernel": 5, "padding": 1, "stride": 2, "groups": 2}),
        ("standard", {"dilation": 2, "bias": True, "batch": 3}),
        ("transposed", {"kernel": 2, "stride": 2, "padding": 0}),
        ("transposed", {"stride": 2, "padding": 1, "output_padding": 1, "groups": 4, "batch": 2}),
    ],
)
def test_layers_cost_what_torch_runs(op: str, options: dict[str, Any], dim: int) -> None:
    cost = costmodel.layer(op, c_in=8, c_out=4, size=9, dim=dim, **options).cost()
    batch, kernel = options.get("batch", 1), options.get("kernel", 3)
    padding = options.get("padding", options.get("dilation", 1) * (kernel - 1) // 2)
    others = {
        key: options[key] for key in ("stride", "groups", "dilation", "output_padding") if key in options
    }
    make = MODULES[op == "transposed", dim]
    module = make(8, 4, kernel, padding=padding, bias=options.get("bias", False), **others)
    image = torch.zeros(batch, 8, *(9,) * dim)
    assert (cost.macs, cost.params) == (
        costmodel.trace(module, image).total().macs,
        sum(parameter.numel() for parameter in module.parameters()),
    )
    assert cost.activations == module(image).numel()


def test_one_number_per_dimension_is_taken_as_it_is() -> None:
    layer = costmodel.layer("depthwise", dim=3, size=(4, 8, 16), kernel=(1, 3, 5), padding=(0, 1, 2))
    assert layer.cost().macs == 16 * 15 * 4 * 8 * 16
    assert layer.per_path().to_dict() == [
        {"path": "depthwise", "channels": "16→16", "params": 240, "macs": 122880}
    ]
    assert not layer.has_branches
    assert layer.notes() == []
    one = costmodel.layer(dim=1, size=(7,)).cost()
    assert one == costmodel.layer("standard", dim=np.int64(1), size=np.array([7])).cost()


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_pointwise_layer_may_be_given_its_kernel(dim: int) -> None:
    layer = costmodel.layer("pointwise", dim=dim, kernel=1, padding=(0,) * dim, size=6)
    assert layer.cost().macs == 16 * 16 * 6**dim


def test_formulas_of_transposed_layers_are_those_that_are_explained() -> None:
    layer = costmodel.layer("transposed", c_in=8, c_out=4, size=(5, 7), kernel=(2, 3), padding=0)
    formula = layer.formula()["transposed"]
    values = {"b": 1, "c_in": 8, "c_out": 4, "g": 1, "k_h": 2, "k_w": 3, "h": 5, "w": 7}
    assert formula.subs(values).macs == layer.cost().macs == 2 * 3 * 8 * 4 * 5 * 7
    with pytest.raises(ValueError, match="formulas need a layer in two dimensions, got 1"):
        costmodel.layer(dim=1).formula()


@pytest.mark.parametrize(
    ("op", "options", "message"),
    [
        (None, {"dim": 4}, "dim must be 1, 2 or 3, got 4"),
        (None, {"dim": 0}, "dim must be 1, 2 or 3, got 0"),
        (None, {"dim": "2"}, "dim must be 1, 2 or 3, got '2'"),
        (None, {"dim": 2.0}, "dim must be 1, 2 or 3, got 2.0"),
        (None, {"dim": None}, "dim must be 1, 2 or 3, got None"),
        (None, {"dim": 1, "size": (3, 3)}, "one number, or one in a sequence, is needed, got (3, 3)"),
        (
            None,
            {"dim": 3, "kernel": (3, 3)},
            "one number, or three, one per dimension, is needed, got (3, 3)",
        ),
        (None, {"dim": 1, "size": 3.5}, "size must be a whole number, got 3.5"),
        (None, {"dim": 1, "alpha": 0.5}, "op with dim 1 must be one of standard, pointwise, depthwise, "),
        (
            "octave",
            {"dim": 3},
            "op with dim 3 must be one of standard, pointwise, depthwise, separable, tran",
        ),
        ("standard", {"dim": 1, "paths": "LL"}, "paths does not apply: a standard layer has no branches"),
        (
            "transposed",
            {"alpha": 0.5},
            "alpha_in does not apply: a transposed layer has no branches, got 1/2",
        ),
        ("pointwise", {"dim": 1, "kernel": 3}, "kernel does not apply: a pointwise layer is 1x1, got (3,)"),
        ("depthwise", {"dim": 1, "groups": 2}, "groups does not apply: the groups of a depthwise layer are"),
        (
            "standard",
            {"output_padding": 0},
            "output_padding does not apply: a standard layer is not transposed",
        ),
        (
            "transposed",
            {"output_padding": 1},
            "output padding must be below 1, stride or dilation, got 1",
        ),
        (
            "standard",
            {"dim": 1, "size": 2, "kernel": 5, "padding": 0},
            "kernel 5 with dilation 1 does not fit into size 2 with padding 0",
        ),
    ],
)
def test_what_is_no_layer_is_one_line(op: str | None, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        costmodel.layer(op, **options)
