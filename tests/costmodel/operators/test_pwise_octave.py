import dataclasses

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.convention import QUANTITIES, Cost
from costmodel.operators.octave import PATHS, OctaveLayer, octave, octave_map
from costmodel.operators.pwise_octave import pwise_octave, record_pwise_octave
from costmodel.operators.recorder import Recorder, cost_of
from tests.costmodel import brute_force
from tests.costmodel.brute_force import Tally
from tests.costmodel.operators.test_octave import as_layer, layers


@given(layers(), st.sets(st.sampled_from(PATHS)), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))
@settings(max_examples=600)
def test_agrees_with_a_count_of_every_tap(
    layer: brute_force.Layer, paths: set[str], m: int, h: int, w: int
) -> None:
    layer = layer._replace(widths=dict.fromkeys(paths, m * layer.groups))
    tally = Tally()
    brute_force.octave(tally, layer, h, w)
    cost = pwise_octave(as_layer(layer), (h, w), layer.widths)
    assert {name: getattr(cost, name) for name in QUANTITIES} == {name: tally[name] for name in QUANTITIES}


def test_without_bottlenecks_it_is_the_octave_convolution() -> None:
    layer = OctaveLayer((12, 4), (8, 8), stride=2, bias=True)
    assert pwise_octave(layer, 9, {}) == octave(layer, 9)


def bottleneck(c_in: int, m: int, c_out: int, positions: int) -> tuple[int, int]:
    weights = c_in * m + 9 * m * m + m * c_out
    return weights, weights * positions


def test_every_path_by_hand() -> None:
    """Inoue and Gotoh, equations (10) to (14), at c = 16, alpha = 1/4, beta = 2: m is 6 and 2."""
    layer = OctaveLayer((12, 4), (12, 4))
    high, low = 32 * 32, 16 * 16
    paths = [
        bottleneck(12, 6, 12, high),
        bottleneck(12, 2, 4, low),
        bottleneck(4, 6, 12, low),
        bottleneck(4, 2, 4, low),
    ]
    cost = pwise_octave(layer, 32, dict(zip(PATHS, (6, 2, 6, 2), strict=True)))
    assert cost.weights == sum(weights for weights, _ in paths)
    assert cost.macs == sum(macs for _, macs in paths)
    assert cost.calls == 4 * 3 + 1 + 1 + 2  # convolutions, a pooling, an upsampling, two additions


def test_the_stride_is_on_the_first_pointwise_convolution() -> None:
    layer = OctaveLayer((16, 0), (32, 0), stride=2)
    assert pwise_octave(layer, 32, {"HH": 16}).macs == bottleneck(16, 16, 32, 16 * 16)[1]


def test_the_pointwise_parts_have_no_groups() -> None:
    cost = pwise_octave(OctaveLayer((8, 0), (8, 0), groups=2), 4, {"HH": 4})
    assert cost.weights == 8 * 4 + 9 * 4 * 4 // 2 + 4 * 8


def test_what_stands_between_has_its_own_cost() -> None:
    layer = OctaveLayer((12, 4), (12, 4))
    none, bn, relu = (pwise_octave(layer, 8, {"LL": 2}, between=b) for b in ("none", "bn", "bn_relu"))
    elements = 2 * 4 * 4  # m channels, at the low resolution, after the first 1x1 and after the 3x3
    assert bn - none == Cost(
        bn_weights=2 * (2 * 2),
        bn_buffers=2 * (2 * 2),
        bn_ops=2 * (2 * elements),
        other_outputs=2 * elements,
        elements_read=2 * (elements + 4 * 2),
        elements_written=2 * elements,
        calls=2,
    )
    assert (relu - bn).activation_ops == 2 * elements


def test_a_layer_of_symbols_is_the_sum_of_three_products() -> None:
    c, f, m, w = sp.symbols("c f m w", positive=True, integer=True)
    cost = pwise_octave(OctaveLayer((c, 0), (f, 0)), w, {"HH": m})
    assert sp.expand(cost.macs - w**2 * (c * m + 9 * m**2 + m * f)) == 0


def test_the_parts_have_the_names_of_the_modules() -> None:
    rec = Recorder()
    layer = OctaveLayer((12, 4), (12, 4))
    record_pwise_octave(rec, "conv", octave_map(layer.c_in, 8), layer, {"HL": 2}, "bn_relu")
    assert [op.name for op in rec.operators if op.place.path == "HL"] == [
        "conv.hl_pool",
        "conv.hl.reduce",
        "conv.hl.reduce_bn",
        "conv.hl.reduce_relu",
        "conv.hl.spatial",
        "conv.hl.spatial_bn",
        "conv.hl.spatial_relu",
        "conv.hl.expand",
    ]
    assert cost_of(rec.operators).calls == len(rec.operators)


def test_unknown_paths_parts_and_groups_are_refused() -> None:
    layer = OctaveLayer((12, 4), (12, 4))
    with pytest.raises(ValueError, match=r"^between must be one of none, bn, bn_relu, got relu$"):
        pwise_octave(layer, 8, {}, between="relu")
    with pytest.raises(ValueError, match=r"^groups must divide the channels 3 -> 3, got 2$"):
        pwise_octave(dataclasses.replace(layer, groups=2), 8, {"HH": 3})
