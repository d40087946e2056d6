"""Layers in one and three dimensions, transposed and depthwise octave ones; expected numbers are products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


def cost(pwoct_cost: Run, *words: str) -> dict[str, Any]:
    run = pwoct_cost(*words, "--format", "json")
    assert (run.code, run.err) == (0, "")
    found: dict[str, Any] = run.json["cost"]
    return found


def test_one_and_three_dimensions(pwoct_cost: Run) -> None:
    audio = (
        "--c-in",
        "1",
        "--c-out",
        "64",
        "--kernel",
        "80",
        "--stride",
        "4",
        "--padding",
        "38",
        "--size",
        "8000",
    )
    found = cost(pwoct_cost, "--op", "standard", "--dim", "1", *audio)
    assert found["macs"] == 64 * 80 * ((8000 + 2 * 38 - 80) // 4 + 1)
    video = ("--c-in", "3", "--c-out", "64", "--kernel", "3", "--size", "16x112x112")
    found = cost(pwoct_cost, "--op", "standard", "--dim", "3", *video)
    assert found["macs"] == 64 * 3 * 27 * 16 * 112 * 112
    found = cost(
        pwoct_cost, "--op", "depthwise", "--dim", "1", "--c-in", "8", "--kernel", "31", "--size", "100"
    )
    assert (found["params"], found["macs"]) == (8 * 31, 8 * 31 * 100)


def test_a_transposed_layer(pwoct_cost: Run) -> None:
    sizes = (
        "--c-in",
        "64",
        "--c-out",
        "32",
        "--kernel",
        "2",
        "--stride",
        "2",
        "--padding",
        "0",
        "--size",
        "14x7",
    )
    run = pwoct_cost("--op", "transposed", *sizes)
    assert "Layer: 2x2, 64 → 32 channels, input 14x7, stride 2, padding 0, output 28x14" in run.out
    assert max(map(len, run.out.splitlines())) <= 80
    found = cost(pwoct_cost, "--op", "transposed", *sizes)
    assert found["macs"] == 64 * 32 * 4 * 14 * 7
    assert found["activations"] == 32 * 28 * 14


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--op", "octave", "--dim", "1"), "octave layers are defined in two dimensions, got octave"),
        (("--op", "standard", "--dim", "4"), "4"),
        (("--dim", "3"), "--dim does not apply here: it describes one layer, with --op"),
        (("--op", "standard", "--dim", "3", "--size", "8x8"), "or 3 such as 1x2x3, got 8x8"),
        (("--op", "standard", "--output-padding", "1"), "it applies to transposed convolutions"),
        (("--op", "transposed", "--output-padding", "1"), "output padding must be below 1"),
        (("--op", "transposed", "--alpha", "1/4"), "a transposed layer has no branches"),
        (("--op", "standard", "--depthwise"), "a standard layer has no branches"),
        (("--op", "pwise", "--depthwise"), "a bottleneck is not depthwise"),
        (("--op", "octave", "--exchange"), "only depthwise paths can be without it"),
        (("--op", "octave", "--depthwise", "--groups", "2"), "the groups of depthwise paths are fixed"),
        (("--depthwise",), "--depthwise does not apply here: it describes one layer, with --op"),
    ],
)
def test_what_means_nothing(pwoct_cost: Run, words: tuple[str, ...], message: str) -> None:
    run = pwoct_cost(*words)
    assert (run.code, run.out) == (2, "")
    assert message in run.err


@pytest.mark.parametrize("exchange", [False, True])
def test_a_depthwise_octave_layer_is_that_of_the_code(pwoct_cost: Run, exchange: bool) -> None:
    """12 high and 4 low channels at alpha 1/4, 9 weights each; exchange needs as many at both ends."""
    import torch

    from pwoct.octave import OctConv

    alpha = "1/2" if exchange else "1/4"
    words = ("--op", "octave", "--depthwise", "--alpha", alpha, *(["--exchange"] if exchange else []))
    found = cost(pwoct_cost, *words)
    layer = OctConv(16, 16, 3, alpha_in=alpha, alpha_out=alpha, depthwise=True, exchange=exchange)
    assert found["params"] == sum(p.numel() for p in layer.parameters())
    from costmodel.checks.measure import flop_counter_macs
    from pwoct.branches import Octave

    high = 8 if exchange else 12
    x = Octave(torch.zeros(1, high, 32, 32), torch.zeros(1, 16 - high, 16, 16))
    assert found["macs"] == flop_counter_macs(layer, [x])[""]
    if not exchange:
        assert found["macs"] == 9 * (12 * 32 * 32 + 4 * 16 * 16)
