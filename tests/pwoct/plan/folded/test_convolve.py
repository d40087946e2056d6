"""Folded convolutions: how many arranged weights they keep, and that NaN and infinity are not hidden."""

import copy

import pytest
import torch
from torch import nn

from pwoct.plan import with_plan
from pwoct.plan.folded import bounds, convolve
from pwoct.plan.folded.bounds import Growth
from pwoct.plan.folded.convolve import Convolution, Geometry
from tests.pwoct.networks import ALL, images, network, relative_error

SIZE = (16, 16)
NETWORKS = [{}, {"alpha": "1/4"}, {"alpha": "1/2", "paths": ALL}, {"alpha": 1}]
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)


def test_arranged_weights_are_kept_for_the_latest_shapes():
    torch.manual_seed(0)
    weight = torch.randn(8, 4, 3, 3)
    convolution = Convolution(weight, None, Geometry((1, 1)))
    for n in (1, 2, 3, 4, 3, 1, 3):
        x = torch.randn(n, 4, 6, 6).contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(
            convolution(x), nn.functional.conv2d(x, weight, padding=1), rtol=1e-4, atol=1e-4
        )
        assert len(convolution._arranged) <= convolve.SHAPES


@dtypes
@pytest.mark.parametrize("options", NETWORKS, ids=str)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e38])
def test_what_is_not_finite_is_seen(options, dtype, value):
    model, x = network({"width": 16, **options}).eval(), images(SIZE, 3).float()
    snapshot = with_plan(model, "folded", size=SIZE, dtype=dtype)
    assert snapshot(x).isfinite().all()
    x[1, 0, 4, 4] = value
    expected = model(x).isfinite().all(1).tolist()
    assert snapshot(x).isfinite().all(1).tolist() == expected
    assert expected == [True, False, True] or value == 1e38


@pytest.mark.parametrize(
    "layer", ["stem", "stages.0.1.conv2.hh", "stages.1.1.conv1.ll", "stages.2.1.bn2.high"]
)
def test_weights_that_are_not_finite_are_seen(layer):
    model = network({"width": 16, "alpha": "1/2"}).eval()
    with torch.no_grad():
        model.get_submodule(layer).weight[0] = float("nan")
    assert with_plan(model, "folded", size=SIZE)(images(SIZE, 2)).isnan().all()


def test_few_maps_are_looked_at(monkeypatch):
    """A look costs as much as a ReLU apart: with usual weights, once for the images and a stage."""
    looked, largest = [], bounds.largest
    monkeypatch.setattr(bounds, "largest", lambda maps: looked.append(1) or largest(maps))
    snapshot = with_plan(network({"width": 16}, depth=56).eval(), "folded", size=SIZE)
    snapshot(images(SIZE, 2))
    assert 1 <= len(looked) <= 6


def test_growth_bounds_what_is_computed():
    torch.manual_seed(0)
    model, x = network({"alpha": "1/2", "paths": ALL}).eval(), images(SIZE, 2)
    snapshot = with_plan(model, "folded", size=SIZE, dtype=torch.float64)
    bound = bounds.Bound(x)
    y = snapshot.first(x, relu=True)
    assert bound.grow(snapshot.growth, x)
    assert y.abs().max() <= bound.value
    assert Growth(2, 1)(3) == 7
    assert Growth(2, 1).plus(Growth(3, 4)) == Growth(5, 5)


@dtypes
def test_without_the_instructions_of_bfloat16(dtype, monkeypatch):
    """PyTorch's own convolutions then compute it."""
    monkeypatch.setattr(convolve, "_has_bfloat16", lambda: False)
    model = network({"width": 16, "alpha": "1/2"}).eval()
    snapshot = with_plan(model, "folded", size=SIZE, dtype=dtype)
    with torch.no_grad():
        expected = copy.deepcopy(model).double()(images(SIZE))
    assert relative_error(snapshot(images(SIZE)), expected) < 5e-2
