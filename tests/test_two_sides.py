"""The two packages, written apart, agree: on rounding, and on every count of random layers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from costmodel.checks.comparison import Report
from costmodel.checks.verify import verify_operators
from costmodel.networks.resnet import depth_of
from costmodel.operators.octave import PATHS, OctaveLayer, octave_map
from costmodel.operators.pwise_octave import record_pwise_octave
from costmodel.operators.recorder import Operator, Recorder
from costmodel.rounding import WIDTH_RULES, hidden, split
from pwoct.branches import Octave
from pwoct.channels import hidden_channels, split_channels
from pwoct.pwise_octave import PwiseOctConv
from pwoct.resnet import build

ALPHAS = st.sampled_from(["0", "1/8", "0.2", "1/4", "1/3", "1/2", "5/8", "3/4", "1"])
BETAS = st.sampled_from(["1", "3/2", "2", "4"])


@given(
    st.integers(1, 300),
    st.one_of(st.fractions(0, 1, max_denominator=64), st.floats(0, 1), st.sampled_from(["0.1", "3/8"])),
)
@settings(max_examples=300)
def test_both_sides_split_channels_alike(channels: int, alpha: Any) -> None:
    from costmodel.rounding import check_alpha

    assert split(channels, check_alpha(alpha)) == tuple(split_channels(channels, alpha))


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.one_of(st.fractions(1, 16, max_denominator=64), st.floats(1, 16)),
    st.sampled_from(sorted(WIDTH_RULES)),
)
@settings(max_examples=300)
def test_both_sides_give_bottlenecks_one_width(c_in: int, c_out: int, beta: Any, rule: str) -> None:
    from costmodel.rounding import check_beta

    assert hidden(c_in, c_out, check_beta(beta), rule) == hidden_channels(c_in, c_out, beta, rule)


@pytest.mark.parametrize(
    "name",
    ["resnet8", "resnet14", "resnet20", "resnet62", "resnet2", "resnet9", "resnet", "resnet-8", "vgg11"],
)
def test_both_sides_know_the_same_networks(name: str) -> None:
    def is_known(read: Callable[[str], object]) -> bool:
        try:
            read(name)
        except ValueError:
            return False
        return True

    assert is_known(depth_of) == is_known(partial(build, width=1))


class Net(nn.Module):
    """An octave layer as a model of tensors, behind a child `conv`."""

    def __init__(self, conv: nn.Module, *, has_high: bool) -> None:
        super().__init__()
        self.conv, self.has_high = conv, has_high

    def forward(self, *branches: Tensor) -> Octave:
        high, low = (*branches, None)[:2] if self.has_high else (None, *branches)
        return self.conv(Octave(high, low))  # type: ignore[no-any-return]


def verify_layer(
    conv: PwiseOctConv, formula: OctaveLayer, widths: dict[str, int], size: Any, batch: int
) -> Report:
    operators = record(formula, widths, size, batch, conv.between)
    x = octave_map(formula.c_in, size)
    inputs = [torch.zeros(batch, y.channels, *y.size, requires_grad=True) for y in x if y]
    return verify_operators(Net(conv, has_high=x.high is not None), inputs, operators)


def record(
    formula: OctaveLayer, widths: dict[str, int], size: Any, batch: int, between: str = "none"
) -> list[Operator]:
    rec = Recorder(batch)
    record_pwise_octave(rec, "conv", octave_map(formula.c_in, size), formula, widths, between)
    return rec.operators


def formula_layer(options: dict[str, Any]) -> tuple[OctaveLayer, dict[str, int]]:
    """What the formulas make of the options that `PwiseOctConv` takes."""
    from costmodel.networks.stages import path_set
    from costmodel.rounding import check_alpha, check_beta

    kernel = options["kernel_size"]
    layer = OctaveLayer(
        split(options["c_in"], check_alpha(options["alpha_in"])),
        split(options["c_out"], check_alpha(options["alpha_out"])),
        kernel if isinstance(kernel, tuple) else (kernel, kernel),
        **{
            name: options[name]
            for name in ("stride", "dilation", "groups", "bias", "stride_rule", "depthwise", "exchange")
        },
    )
    beta = check_beta(options["beta"])
    compressed = path_set(options["paths"]) & set(layer.paths)
    return layer, {p: hidden(*layer.channels(p), beta, options["width_rule"]) for p in compressed}


@st.composite
def layers(draw: st.DrawFn) -> dict[str, Any]:
    depthwise = draw(st.sampled_from([False, False, False, True]))
    groups = 1 if depthwise else draw(st.sampled_from([1, 1, 2, 3]))
    channels = st.integers(1, 6).map(lambda c: c * groups)
    c_in = draw(channels if not depthwise else st.integers(1, 12))
    rule = draw(st.sampled_from("ABC"))
    alpha = draw(ALPHAS)
    c_out = draw(channels) * 2 if not depthwise else c_in * 2 * draw(st.integers(1, 2))
    return {
        "c_in": c_in * 2,
        "c_out": c_out,
        "kernel_size": draw(st.sampled_from([1, 3, 5, (3, 1), (1, 5)])),
        "alpha_in": alpha,
        "alpha_out": alpha if depthwise else draw(ALPHAS),
        "beta": draw(BETAS.filter(lambda beta: Fraction(beta) <= c_out)),
        "paths": draw(st.frozensets(st.sampled_from(PATHS))),
        "width_rule": draw(st.sampled_from(sorted(WIDTH_RULES))),
        "between": draw(st.sampled_from(["none", "none", "bn", "bn_relu"])),
        "stride": draw(st.integers(1, 2 if rule == "A" else 3)),
        "stride_rule": rule,
        "dilation": draw(st.integers(1, 2)),
        "groups": groups,
        "bias": draw(st.booleans()),
        "depthwise": depthwise,
        "exchange": depthwise and draw(st.booleans()),
    }


def either(make: Any) -> Any:
    """Return what is made, or the ValueError that says why not."""
    try:
        return make()
    except ValueError as error:
        return error


@given(layers(), st.tuples(st.integers(1, 13), st.integers(1, 13)), st.integers(2, 3))
@settings(max_examples=100)
def test_formulas_agree_with_every_counter_on_random_layers(
    options: dict[str, Any], size: tuple[int, int], batch: int
) -> None:
    code = either(lambda: PwiseOctConv(**options))
    if isinstance(code, ValueError):
        refused = either(lambda: record(*formula_layer(options), size, batch))
        assert isinstance(refused, ValueError), code
        assume(False)
    layer, widths = formula_layer(options)
    report = verify_layer(code, layer, widths, size, batch)
    assert report.differences == []


def test_the_random_layers_can_differ() -> None:
    options = {"alpha_in": "1/4", "alpha_out": "1/4", "kernel_size": 3, "beta": "2", "paths": ("LH",)}
    conv = PwiseOctConv(8, 8, **options)
    layer = OctaveLayer((6, 2), (6, 2))
    report = verify_layer(conv, layer, {"LH": 2}, 8, 2)  # 3 hidden channels, not 2
    assert {line.partition(":")[0] for line in report.differences} == {
        "conv.lh.reduce",
        "conv.lh.spatial",
        "conv.lh.expand",
        "total",
    }
