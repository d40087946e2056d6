from typing import get_args

import pytest
import sympy as sp

from costmodel.operators.recorder import FeatureMap, Part, Place, Recorder, Saved, cost_of, saved_elements
from costmodel.operators.standard import convolution

X = FeatureMap(4, (8, 6), "x")


def test_feature_maps_have_elements() -> None:
    assert (X.elements(), X.elements(batch=3)) == (4 * 8 * 6, 3 * 4 * 8 * 6)


def test_slices_are_views_of_the_whole() -> None:
    view = X.channel_slice(3).channel_slice(2)
    assert (view.channels, view.size) == (2, (8, 6))
    assert view.view_of == X


def test_upsampling_is_cropped_and_repeats_a_single_pixel_without_a_copy() -> None:
    rec = Recorder()
    y = rec.upsample("up", X, (15, 12))
    assert (y.size, y.view_of) == ((15, 12), FeatureMap(4, (16, 12), "up"))
    assert rec.upsample("up", X, (16, 12)).view_of is None
    pixel = FeatureMap(4, (1, 1), "pixel")
    assert rec.upsample("up", pixel, (2, 2)) == FeatureMap(4, (2, 2), "up", pixel)
    assert rec.operators[0].cost.upsample_ops == 4 * 16 * 12


def test_what_is_computed_of_a_view_is_no_view() -> None:
    rec = Recorder()
    view = X.channel_slice(3)
    maps = rec.bn("a", view), rec.relu("b", view), rec.add("c", view, view), rec.concatenate("d", view, view)
    assert [(y.name, y.channels, y.view_of) for y in maps] == [
        ("a", 3, None),
        ("b", 3, None),
        ("c", 3, None),
        ("d", 6, None),
    ]


def test_a_convolution_is_noted_with_its_cost_and_output() -> None:
    rec = Recorder(batch=2)
    y = rec.conv("a", X, 5, (3, 1), stride=2)
    assert (y.channels, y.size, y.name) == (5, (4, 3), "a")
    (operator,) = rec.operators
    assert operator.cost == convolution(4, 5, (3, 1), (8, 6), stride=2, batch=2)
    assert operator.saved == (Saved("x", 2 * 4 * 8 * 6),)
    assert operator.has_weights


def test_places_nest_and_end() -> None:
    rec = Recorder()
    with rec.at(stage=1, block=2):
        with rec.at(role="shortcut", path="HH"):
            rec.relu("a", X)
        rec.relu("b", X)
    rec.relu("c", X)
    assert [op.place for op in rec.operators] == [
        Place("shortcut", "HH", 1, 2),
        Place("block", None, 1, 2),
        Place(),
    ]


@pytest.mark.parametrize(
    ("size", "window", "pooled"), [((8, 6), 2, (4, 3)), ((7, 5), 2, (4, 3)), ((7, 5), 3, (3, 2))]
)
def test_pooling_rounds_sizes_up(size: tuple[int, int], window: int, pooled: tuple[int, int]) -> None:
    rec = Recorder()
    assert rec.pool("p", FeatureMap(2, size, "x"), window).size == pooled
    assert rec.operators[0].cost.pool_ops == 2 * size[0] * size[1]


def test_the_global_mean_saves_nothing_and_reads_everything() -> None:
    rec = Recorder()
    assert rec.global_pool("p", X).size == (1, 1)
    assert (rec.operators[0].cost.pool_ops, rec.operators[0].saved) == (4 * 48, ())


def test_the_crop_of_an_upsampling_is_free() -> None:
    rec = Recorder()
    y = rec.upsample("u", FeatureMap(2, (4, 3), "x"), (7, 5))
    assert y.size == (7, 5)
    assert rec.operators[0].cost.upsample_ops == 4 * (2 * 4 * 3)


def test_adding_needs_one_shape() -> None:
    rec = Recorder()
    assert rec.add("s", X, FeatureMap(4, (8, 6), "y")).size == (8, 6)
    for other in (FeatureMap(5, (8, 6), "y"), FeatureMap(4, (8, 5), "y")):
        with pytest.raises(ValueError, match=r"^s: can't add x 4x\(8, 6\) and y "):
            rec.add("s", X, other)


def test_symbolic_shapes_are_added_unless_they_differ_for_certain() -> None:
    c_high, c_low = sp.symbols("c_H c_L", positive=True, integer=True)
    rec = Recorder()
    rec.add("s", FeatureMap(16, (8, 8), "x"), FeatureMap(c_high + c_low, (8, 8), "y"))
    with pytest.raises(ValueError, match="can't add"):
        rec.add("s", FeatureMap(c_low, (8, 8), "x"), FeatureMap(c_low + 1, (8, 8), "y"))


def test_concatenation_joins_channels() -> None:
    rec = Recorder()
    assert rec.concatenate("c", X, FeatureMap(3, (8, 6), "y")).channels == 7
    assert rec.operators[0].cost.elements_written == 7 * 48


def test_zeros_follow_the_channels_of_every_second_pixel() -> None:
    rec = Recorder(batch=5)
    y = rec.zero_pad("pad", FeatureMap(4, (7, 6), "x"), 10, 2)
    assert (y.channels, y.size) == (10, (4, 3))
    (operator,) = rec.operators
    assert (operator.name, operator.part) == ("pad", "zero_pad")
    assert operator.cost.elements_read == 5 * 4 * 12
    assert operator.cost.elements_written == 5 * 10 * 12


def test_a_linear_layer_reads_channels() -> None:
    rec = Recorder(batch=5)
    y = rec.linear("fc", FeatureMap(64, (1, 1), "pooled"), 10)
    assert (y.channels, rec.operators[0].cost.macs) == (10, 5 * 640)


def test_each_storage_is_kept_once() -> None:
    rec = Recorder()
    y = rec.conv("a", X, 4, 3)  # keeps x
    y = rec.bn("b", y)  # keeps a, and two statistics a channel
    y = rec.relu("c", y)  # keeps its output c
    rec.conv("d", y, 4, 3)  # keeps c, which is kept already
    rec.pool("e", X.channel_slice(1))  # keeps x, of which it is a view
    assert saved_elements(rec.operators) == 3 * 4 * 48 + 2 * 4
    assert cost_of(rec.operators).weights == 2 * 9 * 4 * 4


def test_each_operator_is_noted_as_what_it_is() -> None:
    rec = Recorder()
    rec.relu("relu", rec.bn("bn", rec.conv("conv", X, 4, 3)))
    rec.add("add", X, X)
    rec.concatenate("joined", X, X)
    pooled = rec.pool("pool", X)
    rec.upsample("up", pooled, (8, 6))
    mean = rec.global_pool("mean", X)
    rec.zero_pad("padded", X, 8, 2)
    y = rec.linear("fc", mean, 10)
    assert [(op.name, op.part) for op in rec.operators] == [
        ("conv", "conv"),
        ("bn", "bn"),
        ("relu", "activation"),
        ("add", "add"),
        ("joined", "concatenate"),
        ("pool", "pool"),
        ("up", "upsample"),
        ("mean", "pool"),
        ("padded", "zero_pad"),
        ("fc", "linear"),
    ]
    assert {op.part for op in rec.operators} == set(get_args(Part))
    assert (pooled.name, mean.name) == ("pool", "mean")
    assert y == FeatureMap(10, (1, 1), "fc")


def test_what_each_operator_keeps_for_the_backward_pass() -> None:
    rec = Recorder(batch=2)
    rec.bn("bn", X)
    rec.relu("relu", X)
    rec.pool("pool", X)
    rec.linear("fc", FeatureMap(64, (1, 1), "mean"), 10)
    assert [op.saved for op in rec.operators] == [
        (Saved("x", 2 * 192), Saved("bn:statistics", 2 * 4)),
        (Saved("relu", 2 * 192),),
        (Saved("x", 2 * 192),),
        (Saved("mean", 2 * 64),),
    ]


def test_dilation_changes_no_cost_but_needs_a_padding_that_exists() -> None:
    rec = Recorder()
    rec.conv("a", X, 4, 2, dilation=2)
    with pytest.raises(ValueError, match=r"^kernel 2 with dilation 1 needs an explicit padding"):
        rec.conv("b", X, 4, 2)
