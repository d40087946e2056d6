"""Odd but reasonable arguments of the public face: taken for what they mean, or named in one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import costmodel

FLAT = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(256, 5))


@pytest.mark.parametrize("op", ["standard", "pointwise", "depthwise", "separable"])
def test_a_layer_without_branches_is_its_only_row(op: str) -> None:
    layer = costmodel.layer(op, c_in=10, c_out=20)
    (row,) = layer.per_path()
    cost = layer.cost()
    assert row == {"path": op, "channels": "10→20", "params": cost.params, "macs": cost.macs}
    assert layer.notes() == []
    assert costmodel.layer("standard", padding=0).per_path()[0]["macs"] == 16 * 16 * 9 * 30 * 30


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ({"c_out": 32}, 9 * (24 + 8)),
        ({"alpha": "1/2"}, 9 * (8 + 8)),
        ({"alpha": "1/2", "exchange": True}, 9 * (8 + 8 + 8 + 8)),
        ({"alpha": 0}, 9 * 16),
    ],
)
def test_an_octave_layer_may_be_depthwise(options: dict[str, Any], weights: int) -> None:
    layer = costmodel.layer(**{"alpha": "1/4", "depthwise": True, **options})
    assert (layer.op, layer.cost().weights) == ("octave", weights)
    rows = {row["path"]: row["params"] for row in layer.per_path()}
    assert rows["all paths"] == weights
    assert layer.formula().keys() == rows.keys() - {"all paths", "standard"}
    assert layer.formula()["HH"].formula("params").endswith("*k**2")


def test_paths_add_up_to_the_layer() -> None:
    for layer in (costmodel.layer("octave", alpha="1/2"), costmodel.layer(alpha="1/2", paths="all")):
        *paths, whole, _ = layer.per_path()
        assert sum(row["params"] for row in paths) == whole["params"] == layer.cost().params


@pytest.mark.parametrize(
    ("op", "options", "message"),
    [
        (
            "octave",
            {"alpha": 0.5, "paths": "all"},
            "paths does not apply: an octave layer has no bottlenecks",
        ),
        (
            "pointwise",
            {"kernel": 3, "groups": 4},
            "groups does not apply: the groups of a pointwise layer are",
        ),
        ("pointwise", {"padding": 1}, "padding does not apply: a pointwise layer is 1x1"),
        ("pointwise", {"kernel": 3}, "kernel does not apply: a pointwise layer is 1x1, got (3, 3)"),
        ("depthwise", {"groups": 1}, "groups does not apply: the groups of a depthwise layer are"),
        ("depthwise", {"groups": 4}, "groups does not apply: the groups of a depthwise layer are fixed"),
        ("standard", {"alpha": 0.5}, "alpha_in does not apply: a standard layer has no branches, got 1/2"),
        ("separable", {"stride_rule": "A"}, "stride_rule does not apply: a separable layer has no branches"),
        (
            "linear",
            {},
            "op must be one of standard, pointwise, depthwise, separable, octave, pwise, transposed, got lin",
        ),
        (
            "",
            {},
            "op must be one of standard, pointwise, depthwise, separable, octave, pwise, transposed, got ",
        ),
        ("standard", {"depthwise": True}, "depthwise does not apply: a standard layer has no branches"),
        ("pwise", {"depthwise": True}, "depthwise does not apply: a bottleneck is not depthwise"),
        (None, {"depthwise": True, "paths": "LL"}, "depthwise does not apply: a bottleneck is not depthwise"),
        (None, {"exchange": True}, "exchange needs a depthwise layer"),
        (None, {"depthwise": True, "groups": 2}, "a depthwise layer has a group per channel"),
        (None, {"width_rule": "foo"}, "width rule must be one of out, in, min, mean, got foo"),
        (None, {"stride_rule": "foo"}, "stride rule must be one of A, B, C, got foo"),
        (None, {"between": "foo"}, "between must be one of none, bn, bn_relu, got foo"),
        (None, {"stride": (2, 2)}, "stride must be a whole number, got (2, 2)"),
        (None, {"alpha": None}, "alpha must be a number such as 0.25 or 1/4, got None"),
        (None, {"alpha_out": [1]}, "alpha_out must be a number such as 0.25 or 1/4, got [1]"),
    ],
)
def test_what_a_layer_does_not_have_is_named(op: str | None, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        costmodel.layer(op, **options)


@pytest.mark.parametrize(
    ("op", "options"),
    [
        ("pointwise", {"kernel": 1}),
        ("pointwise", {"kernel": (1, 1), "padding": 0, "groups": 1}),
        ("depthwise", {"groups": 16}),
        ("depthwise", {"groups": 16, "c_out": 32}),
        ("octave", {"paths": "none", "beta": 2, "alpha": "1/4"}),
    ],
)
def test_values_that_a_kind_has_itself_may_be_given(op: str, options: dict[str, Any]) -> None:
    sizes = {name: value for name, value in options.items() if name in ("c_out", "alpha")}
    assert costmodel.layer(op, **options).cost() == costmodel.layer(op, **sizes).cost()


def test_a_layer_without_compressed_paths_says_so() -> None:
    assert costmodel.layer("pwise", alpha="1/4").notes() == [
        "no path is compressed: a pwise layer needs paths that exist at its alpha"
    ]
    assert costmodel.layer("pwise", alpha="1/4", paths="HL").notes() == []


def test_an_inferred_kind_leaves_out_what_it_does_not_need() -> None:
    assert costmodel.layer(beta=4, paths=[]).op == "standard"


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16])
def test_ratios_of_numpy_are_the_decimals_that_they_print(kind: Any) -> None:
    assert costmodel.layer(alpha=kind(0.1), c_in=20).cost() == costmodel.layer(alpha=0.1, c_in=20).cost()
    assert len(costmodel.grid("resnet20", alphas=np.linspace(0, 1, 5, dtype=kind))) == 5


def test_large_batches_of_numpy_do_not_overflow() -> None:
    net = costmodel.network("resnet20", alpha="1/4")
    assert net.cost(np.int64(10**13)).macs == 10**13 * net.cost().macs  # type: ignore[arg-type]
    assert net.saved_bytes(np.int64(10**14)) == net.saved_bytes(10**14) > 10**20  # type: ignore[arg-type]
    for wrong in (-1, 2.5, "float32"):
        with pytest.raises(ValueError, match="element_bytes must be"):
            net.saved_bytes(2, wrong)  # type: ignore[arg-type]


def test_symbols_are_replaced_by_name() -> None:
    path = costmodel.layer("octave", alpha="1/2").formula()["HH"]
    assert path.subs({"c_H": 8, "k": 3, "h": 32, "w": 32}).macs == 64 * 9 * 1024
    assert (
        costmodel.network("resnet20").formula("whole").subs({"n": 3}) == costmodel.network("resnet20").cost()
    )
    with pytest.raises(ValueError, match="the cost has no symbol c, d: there are c_H, h, k, w"):
        path.subs({"c": 8, "k": 3, "d": 1})
    with pytest.raises(ValueError, match="the cost has no symbol k: it has none"):
        costmodel.layer().cost().subs({"k": 3})


def test_costs_add_up() -> None:
    cost = costmodel.layer().cost()
    assert sum([cost, cost]) == cost * 2
    with pytest.raises(TypeError):
        _ = 1 + cost
    with pytest.raises(ValueError, match=r"quantity must be one of params, macs, .* got mac$"):
        cost.formula("mac")


def test_a_lone_tensor_is_one_input() -> None:
    x = torch.zeros(1, 3, 8, 8)
    assert costmodel.trace(FLAT, x).total() == costmodel.trace(FLAT, [x]).total()
    assert costmodel.verify(FLAT, x).verdict == "agrees"
    with pytest.raises(ValueError, match="a network given by name takes size and batch"):
        costmodel.verify("resnet8", [x])


def test_a_lone_value_is_one_of_several() -> None:
    (row,) = costmodel.grid("resnet20", alphas=0.25, widths=8, betas=2, path_sets="HL,LL", quantities="macs")
    assert (row["alpha"], row["width"], row["paths"], len(row)) == ("1/4", 8, "HL,LL", 6)
    assert costmodel.grid("resnet20", alphas="1/4")[0]["alpha"] == "1/4"
    front = costmodel.pareto("resnet20", minimise="macs", alphas="1/4", path_sets="none", widths=16)
    assert [row["options"] for row in front] == ["--model resnet20 --alpha 1/4"]
    for name in ("quantities", "alphas", "betas", "path_sets", "widths"):
        with pytest.raises(ValueError, match=f"{name} needs at least one value, got none"):
            costmodel.grid("resnet20", **{name: []})
    with pytest.raises(ValueError, match="models needs at least one value, got none"):
        costmodel.grid([])


def test_sets_of_paths_are_texts_too() -> None:
    rows = costmodel.grid("resnet20", alphas=0.25, path_sets=["HL", "all", "none", "HL+none+all", ("LH",)])
    found = ["HL", "HH,HL,LH,LL", "none", "HL+none+HH,HL,LH,LL", "LH"]
    assert [row["paths"] for row in rows] == found
    alone = costmodel.grid("resnet20", alphas=0.25, path_sets=[("LH",)])
    assert rows[-1] == alone[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: costmodel.network("resnet20", alhpa=1),
            "a network has no option alhpa: did you mean alpha?",
        ),
        (lambda: costmodel.grid("resnet20", clases=3), "a grid has no option clases: did you mean classes?"),
        (
            lambda: costmodel.verify("resnet8", btach=2),
            "a network to verify has no option btach: did you mean batch?",
        ),
        (
            lambda: costmodel.pareto("resnet20", wdiths=3),
            "a search has no option wdiths: did you mean widths?",
        ),
        (lambda: costmodel.pareto("resnet20", alpha=3), "a search has no option alpha: "),
    ],
)
def test_unknown_options_are_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        call()


def test_rules_are_checked_where_they_are_given() -> None:
    with pytest.raises(ValueError, match="stride rule must be one of A, B, C, got c"):
        costmodel.network("resnet20", stride_rule="c")


def test_equal_rows_are_equal() -> None:
    one, other = (costmodel.layer(alpha="1/4").per_path() for _ in range(2))
    assert one == other
    assert one != costmodel.layer(alpha="1/2").per_path()
    assert one != list(one)
