from typing import Any

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.convention import QUANTITIES
from costmodel.operators.octave import PATHS, OctaveLayer, octave, octave_map, record_octave
from costmodel.operators.recorder import Recorder, cost_of
from costmodel.operators.standard import convolution
from tests.costmodel import brute_force
from tests.costmodel.brute_force import Tally

CHANNELS = st.tuples(st.integers(0, 3), st.integers(0, 3)).filter(any)
ODD = st.sampled_from([1, 3])


@st.composite
def layers(draw: st.DrawFn) -> brute_force.Layer:
    """Small octave layers: any branches, strides, rules and groups."""
    groups = draw(st.integers(1, 2))
    rule = draw(st.sampled_from("ABC"))
    return brute_force.Layer(
        c_in=tuple(groups * c for c in draw(CHANNELS)),
        c_out=tuple(groups * c for c in draw(CHANNELS)),
        kernel=draw(st.tuples(ODD, ODD)),
        stride=draw(st.integers(1, 2 if rule == "A" else 3)),
        dilation=draw(st.integers(1, 2)),
        groups=groups,
        bias=draw(st.booleans()),
        rule=rule,
        widths={},
    )


def as_layer(layer: brute_force.Layer) -> OctaveLayer:
    return OctaveLayer(
        layer.c_in,
        layer.c_out,
        layer.kernel,
        layer.stride,
        layer.dilation,
        layer.groups,
        layer.bias,
        layer.rule,
    )


@given(layers(), st.integers(1, 6), st.integers(1, 6))
@settings(max_examples=800)
def test_agrees_with_a_count_of_every_tap(layer: brute_force.Layer, h: int, w: int) -> None:
    tally = Tally()
    high, low = brute_force.octave(tally, layer, h, w)
    rec = Recorder()
    y = record_octave(rec, "conv", octave_map(layer.c_in, (h, w)), as_layer(layer))
    cost = cost_of(rec.operators)
    assert {name: getattr(cost, name) for name in QUANTITIES} == {name: tally[name] for name in QUANTITIES}
    assert [m and (m.channels, *m.size) for m in y] == [m and tuple(m) for m in (high, low)]


def paths_of(layer: OctaveLayer, size: int) -> dict[str, Any]:
    rec = Recorder()
    record_octave(rec, "conv", octave_map(layer.c_in, size), layer)
    return {path: cost_of(op for op in rec.operators if op.place.path == path) for path in PATHS}


def test_the_four_paths_by_hand() -> None:
    """Inoue and Gotoh, equations (3) to (6), at c = 16, alpha = 1/4, w = 32."""
    costs = paths_of(OctaveLayer((12, 4), (12, 4)), 32)
    assert [costs[path].weights for path in PATHS] == [9 * 12 * 12, 9 * 12 * 4, 9 * 4 * 12, 9 * 4 * 4]
    assert costs["HH"].macs == 9 * 12 * 12 * 32 * 32
    assert [costs[path].macs for path in PATHS[1:]] == [9 * c * 16 * 16 for c in (48, 48, 16)]
    assert costs["HL"].pool_ops == 12 * 32 * 32
    assert costs["LH"].upsample_ops == 12 * 32 * 32


def test_without_low_channels_it_is_the_standard_convolution() -> None:
    assert octave(OctaveLayer((16, 0), (32, 0), stride=2, bias=True), (9, 8)) == convolution(
        16, 32, 3, (9, 8), stride=2, bias=True
    )


def test_macs_fall_by_three_quarters_of_alpha_times_two_minus_alpha() -> None:
    """Equations (7) and (8): all parameters stay; the ratio of MACs is 1 - (3/4) alpha (2 - alpha)."""
    c, f, alpha = sp.symbols("c f alpha", positive=True)
    w = sp.Symbol("w", positive=True, integer=True)
    layer = OctaveLayer(((1 - alpha) * c, alpha * c), ((1 - alpha) * f, alpha * f))
    cost, plain = octave(layer, 2 * w), convolution(c, f, 3, 2 * w)
    assert sp.expand(cost.weights - plain.weights) == 0
    ratio = 1 - sp.Rational(3, 4) * alpha * (2 - alpha)
    assert sp.expand(cost.macs - ratio * plain.macs) == 0


@pytest.mark.parametrize(
    ("rule", "positions", "pool_ops", "upsample_ops"),
    [
        # HL pools 12 channels of 32x32; the convolutions run at 16x16 (HH) and 8x8
        ("C", {"HH": 16, "HL": 8, "LH": 8, "LL": 8}, 12 * 32 * 32, 12 * 16 * 16),
        # both inputs pooled first, then HL pools once more, at 16x16
        ("B", {"HH": 16, "HL": 8, "LH": 8, "LL": 8}, 12 * 32**2 + 4 * 16**2 + 12 * 16**2, 12 * 16 * 16),
        # LH has its output's resolution already: four times the MACs, and nothing to upsample
        ("A", {"HH": 16, "HL": 8, "LH": 16, "LL": 8}, 12 * 32**2 + 4 * 16**2 + 12 * 16**2, 0),
    ],
)
def test_stride_rules_by_hand(rule: str, positions: dict[str, int], pool_ops: int, upsample_ops: int) -> None:
    layer = OctaveLayer((12, 4), (12, 4), stride=2, stride_rule=rule)
    costs = paths_of(layer, 32)
    assert {path: costs[path].macs for path in PATHS} == {
        path: costs[path].weights * side**2 for path, side in positions.items()
    }
    cost = octave(layer, 32)
    assert (cost.pool_ops, cost.upsample_ops) == (pool_ops, upsample_ops)


def test_odd_sizes_round_the_low_branch_up() -> None:
    costs = paths_of(OctaveLayer((3, 2), (3, 2)), 7)
    assert costs["HH"].macs == 9 * 3 * 3 * 7 * 7
    assert costs["LL"].macs == 9 * 2 * 2 * 4 * 4


def test_a_branch_without_channels_does_not_exist() -> None:
    assert OctaveLayer((16, 0), (12, 4)).paths == ("HH", "HL")
    assert OctaveLayer((12, 4), (16, 0)).paths == ("HH", "LH")
    assert OctaveLayer((0, 16), (0, 16)).paths == ("LL",)


def test_a_bias_stands_once_in_each_output_branch() -> None:
    assert octave(OctaveLayer((12, 4), (12, 4), bias=True), 8).biases == 12 + 4
    assert octave(OctaveLayer((16, 0), (12, 4), bias=True), 8).biases == 12 + 4
    layer = OctaveLayer((0, 16), (12, 4), bias=True)
    assert [layer.has_bias(path) for path in layer.paths] == [True, True]  # LH and LL


def test_depthwise_stays_inside_its_branch_unless_branches_exchange() -> None:
    assert octave(OctaveLayer((12, 4), (12, 4), depthwise=True), 8).weights == 9 * 16
    layer = OctaveLayer((4, 4), (4, 4), depthwise=True, exchange=True)
    assert layer.paths == PATHS
    assert octave(layer, 8).weights == 9 * 4 * 4
    # from 2 low channels to 4 high ones: two outputs an input
    assert octave(OctaveLayer((4, 2), (4, 0), depthwise=True, exchange=True), 8).weights == 9 * 4 + 9 * 4


@given(layers(), st.integers(1, 6))
@settings(max_examples=100)
def test_a_batch_multiplies_work_and_no_weights(layer: brute_force.Layer, size: int) -> None:
    one, three = octave(as_layer(layer), size), octave(as_layer(layer), size, batch=3)
    assert (three.macs, three.element_ops) == (3 * one.macs, 3 * one.element_ops)
    assert (three.params, three.calls) == (one.params, one.calls)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": (3, 2)}, r"octave layers need an odd kernel, got 3x2"),
        ({"stride_rule": "D"}, r"stride rule must be one of A, B, C, got D"),
        ({"stride_rule": "A", "stride": 3}, r"stride rule A needs a stride of 1 or 2, got 3"),
        ({"stride": 0}, r"stride must be at least 1, got 0"),
        ({"groups": 8}, r"groups must divide the channels 12 -> 12, got 8"),
        ({"c_out": (11, 4), "depthwise": True}, r"groups must divide the channels 12 -> 11, got 12"),
        (
            {"c_in": (16, 0), "depthwise": True},
            r"no path leads into the L branch: channels \(16, 0\) -> \(12, 4\)",
        ),
    ],
)
def test_impossible_layers_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        octave(OctaveLayer(**{"c_in": (12, 4), "c_out": (12, 4), **options}), 8)


@pytest.mark.parametrize("option", ["kernel", "stride", "dilation", "groups"])
def test_a_layer_with_an_option_of_zero_does_not_exist(option: str) -> None:
    options: dict[str, Any] = {option: (0, 3) if option == "kernel" else 0}
    with pytest.raises(ValueError, match=f"^{option} must be at least 1, got 0$"):
        OctaveLayer((12, 4), (12, 4), **options)


def test_an_input_without_an_expected_branch_is_refused() -> None:
    layer = OctaveLayer((12, 4), (12, 4))
    with pytest.raises(ValueError, match=r"expects .* channels, but the input's L branch is empty"):
        record_octave(Recorder(), "conv", octave_map((12, 0), 8), layer)


@pytest.mark.parametrize("c_in", [(2, 2), (2, 0), (0, 2)])
@pytest.mark.parametrize("c_out", [(2, 2), (2, 0), (0, 2)])
@pytest.mark.parametrize("options", [{}, {"depthwise": True}, {"depthwise": True, "exchange": True}])
def test_every_branch_with_channels_is_reached_or_the_layer_refused(
    c_in: tuple[int, int], c_out: tuple[int, int], options: dict[str, bool]
) -> None:
    needed, sources = ({b for b, c in zip("HL", ends, strict=True) if c} for ends in (c_out, c_in))
    if options == {"depthwise": True} and not needed <= sources:
        with pytest.raises(ValueError, match=r"^no path leads into the [HL] branch"):
            OctaveLayer(c_in, c_out, **options)
        return
    if options == {"depthwise": True} and needed != sources:
        with pytest.raises(ValueError, match=r"needs the same branches in and out, but the [HL] branch has"):
            OctaveLayer(c_in, c_out, **options)
        return
    assert {path[1] for path in OctaveLayer(c_in, c_out, **options).paths} == needed
