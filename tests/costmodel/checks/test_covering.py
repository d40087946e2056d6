"""Random layers show nearly all triples of options, and defects that only such a triple shows."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from costmodel.checks import point_theorems
from costmodel.checks.covering import spread_layers, traits, triples
from costmodel.checks.random_options import layer_options
from costmodel.operators.octave import OctaveLayer
from pwoct import octave, pwise_octave
from pwoct.branches import pool
from pwoct.pwise_octave import Bottleneck
from tests.costmodel.checks.differences import differs


def test_spread_layers_show_more_triples_than_independent_ones() -> None:
    chosen = random.Random(1)
    spread = set().union(*(triples(point.options) for point in spread_layers(chosen, 40)))
    independent = set().union(*(triples(layer_options(chosen)) for _ in range(40)))
    assert len(spread) > 1.05 * len(independent)


def test_traits_of_missing_options_are_those_of_the_defaults() -> None:
    assert traits({})["alpha_in"] == "none"
    assert traits({"depthwise": True, "exchange": True})["kind"] == 3


def test_a_bias_that_one_path_of_a_depthwise_layer_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    right = OctaveLayer.has_bias

    def wrong(layer: OctaveLayer, path: str) -> bool:
        return right(layer, path) and not (layer.exchange and path == "LH" and layer.c_in[0] == 0)

    monkeypatch.setattr(OctaveLayer, "has_bias", wrong)
    (claim,) = (one for one in point_theorems.point_claims() if one.name == "random layers")
    assert differs(claim.cases())


def test_a_stride_of_4_that_pools_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    from costmodel.checks import training_theorems

    monkeypatch.setattr(octave, "pool", lambda x, by=2: pool(pool(x)) if by == 4 else pool(x, by))
    (claim,) = (one for one in training_theorems.training_claims() if one.name.startswith("random layers"))
    assert differs(claim.cases())


def _frozen(layer: nn.Module) -> nn.Module:
    return layer.requires_grad_(False)


def _shared(layer: Bottleneck) -> Bottleneck:
    if layer.reduce_bn is not None and layer.spatial_bn is not None:
        layer.spatial_bn.weight = layer.reduce_bn.weight
    return layer


@pytest.mark.parametrize("change", [_frozen, _shared])
def test_parameters_that_are_frozen_or_shared(
    change: Callable[[Any], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = pwise_octave.Bottleneck
    monkeypatch.setattr(pwise_octave, "Bottleneck", lambda *arguments: change(right(*arguments)))
    (claim,) = (one for one in point_theorems.point_claims() if one.name == "random layers")
    assert differs(claim.cases())
