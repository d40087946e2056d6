"""Padding, batch, input channels, shares and units of the calculator; expected numbers are products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


def kinds(run: Any) -> dict[str, dict[str, Any]]:
    return {row["op"]: row for row in run.json["kinds"]}


def test_a_patch_layer_of_a_vision_transformer(pwoct_cost: Run) -> None:
    sizes = ("--c-in", "3", "--c-out", "768", "--kernel", "16", "--stride", "16", "--size", "224")
    run = pwoct_cost("--op", "standard", *sizes, "--padding", "0", "--bias", "--format", "json")
    assert run.json["cost"]["params"] == 768 * 3 * 16 * 16 + 768
    assert run.json["cost"]["macs"] == 768 * 3 * 16 * 16 * 14 * 14
    assert run.json["cost"]["activations"] == 768 * 14 * 14
    assert not {"octave", "pwise"} & set(kinds(run))
    assert "needs an explicit padding" in pwoct_cost("--op", "standard", *sizes).err


@pytest.mark.parametrize(
    ("kernel", "padding", "size", "out"),
    [
        ("2", "0", "56", (28, 28)),  # ConvNeXt's downsampling, stride 2
        ("7", "3", "56", (28, 28)),
        ("3", "0x1", "9x9", (4, 5)),
        ("4x2", "1x0", "8", (4, 4)),
    ],
)
def test_kernels_with_a_padding(
    pwoct_cost: Run, kernel: str, padding: str, size: str, out: tuple[int, int]
) -> None:
    k_h, k_w = map(int, kernel.split("x") if "x" in kernel else (kernel, kernel))
    sizes = ("--kernel", kernel, "--padding", padding, "--size", size, "--stride", "2", "--format", "json")
    places = out[0] * out[1]
    standard = kinds(pwoct_cost("--op", "standard", *sizes))["standard"]
    assert standard["macs"] == 16 * 16 * k_h * k_w * places
    separable = kinds(pwoct_cost("--op", "separable", *sizes))["separable"]
    assert separable["macs"] == (16 * k_h * k_w + 16 * 16) * places


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--padding", "1"), "--padding does not apply here: it applies to --op standard"),
        (("--op", "octave", "--padding", "1"), "an octave layer's padding keeps its size"),
        (("--op", "pointwise", "--padding", "1"), "a pointwise layer is 1x1"),
        (("--op", "standard", "--padding", "-1"), "padding must be a whole number such as 1"),
        (("--op", "standard", "--padding", "same"), "padding must be a whole number such as 1"),
        (
            ("--op", "standard", "--kernel", "9", "--size", "4", "--padding", "0"),
            "does not fit into size 4 with padding 0",
        ),
    ],
)
def test_paddings_that_mean_nothing(pwoct_cost: Run, words: tuple[str, ...], message: str) -> None:
    run = pwoct_cost(*words)
    assert (run.code, run.out) == (2, "")
    assert message in run.err


def test_a_depthwise_layer_has_as_many_outputs_as_inputs(pwoct_cost: Run) -> None:
    run = pwoct_cost("--op", "depthwise", "--c-in", "96", "--kernel", "7", "--size", "56", "--format", "json")
    assert run.json["cost"]["macs"] == 96 * 49 * 56 * 56
    doubled = pwoct_cost("--op", "depthwise", "--c-in", "8", "--c-out", "16", "--format", "json")
    assert doubled.json["cost"]["macs"] == 16 * 9 * 32 * 32


def test_a_batch_multiplies_work_and_no_parameter(pwoct_cost: Run) -> None:
    options = ("--alpha", "1/4", "--paths", "HL", "--count", "conv,bias,bn,pool", "--format", "json")
    options = (*options, "--model", "resnet14", "--per-layer")
    one, many = pwoct_cost(*options).json, pwoct_cost(*options, "--batch", "7").json
    for table, same in (("layer", ("params",)), ("network", ("params",)), ("layers", ("params", "calls"))):
        for before, after in zip(one[table], many[table], strict=True):
            assert all(before[key] == after[key] for key in same)
            assert after["macs"] == 7 * before["macs"]
            assert after.get("activations", 0) == 7 * before.get("activations", 0)
    assert one["formulas"] == many["formulas"]


@pytest.mark.parametrize("count", [(), ("--count", "conv,bn,pool")])
def test_a_batch_of_a_list_is_that_of_one(pwoct_cost: Run, count: tuple[str, ...]) -> None:
    options = ("--paths", "LL", "--batch", "3", "--model", "resnet8", *count, "--format", "json")
    rows = pwoct_cost("--alpha", "1/4,1/2", *options).json["configurations"]
    one = pwoct_cost("--alpha", "1/4", *options).json["network"][-1]
    assert (rows[0]["params"], rows[0]["macs"]) == (one["params"], one["macs"])


def test_a_batch_agrees_with_the_operators_of_a_batch() -> None:
    from costmodel.networks.resnet import named
    from costmodel.tables.counting import COUNTS, Totals, counted_work

    net = named("resnet8", alpha="1/4", paths=["HL"])
    every = frozenset(COUNTS)
    work = Totals(every, every, "mac", batch=5).of(net.operators())["macs"]
    assert work == counted_work(net.operators(batch=5), every)


def test_input_channels_change_the_stem_alone(pwoct_cost: Run) -> None:
    colour, grey = (
        pwoct_cost("--model", "resnet8", "--in-channels", n, "--format", "json").json["network"][0]
        for n in "31"
    )
    assert colour["params"] - grey["params"] == 2 * 9 * 16
    assert colour["macs"] - grey["macs"] == 2 * 9 * 16 * 32 * 32
    assert "input 1x32x32" in pwoct_cost("--in-channels", "1").out


def test_shares_of_layers(pwoct_cost: Run) -> None:
    run = pwoct_cost("--model", "resnet20", "--per-layer")
    assert max(map(len, run.out.splitlines())) <= 80
    found = pwoct_cost("--model", "resnet20", "--per-layer", "--format", "json").json
    layers, total = found["layers"], found["layers_total"]
    assert sum(row["params_share"] for row in layers) == pytest.approx(1)
    assert sum(row["macs_share"] for row in layers) == pytest.approx(1)
    assert (total["params_share"], total["macs_share"]) == (1, 1)
    stem = next(row for row in layers if row["layer"] == "stem")
    assert stem["macs_share"] == pytest.approx(9 * 3 * 16 * 32 * 32 / total["macs"])


@pytest.mark.parametrize(
    ("unit", "heading", "shown", "key", "exact"),
    [
        ("Mmac", "MMACs", "125.748", "macs", 125_747_840),
        ("GMACs", "GMACs", "0.126", "macs", 125_747_840),
        ("gflop", "GFLOPs", "0.251", "flops", 251_495_680),
        ("KFLOPs", "kFLOPs", "251,495.680", "flops", 251_495_680),
        ("FLOP", "FLOPs", "251,495,680", "flops", 251_495_680),
    ],
)
def test_units_are_shown_scaled_and_written_exactly(
    pwoct_cost: Run, unit: str, heading: str, shown: str, key: str, exact: int
) -> None:
    table = pwoct_cost("--unit", unit).out.partition("Network:")[2]
    assert {heading, shown} <= set(table.split())
    assert pwoct_cost("--unit", unit, "--format", "json").json["network"][0][key] == exact
