"""Defects in what is printed beside the default totals are found by the claims about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from costmodel.checks import kind_theorems
from costmodel.checks import printed_theorems as theorems
from costmodel.checks.prove import Claim, Identity
from costmodel.convention import Cost
from costmodel.grids import compiled, evaluate
from costmodel.networks import resnet
from costmodel.networks.closed_form import network_cost
from costmodel.networks.resnet import ResNetDesign
from costmodel.operators import depthwise, layer
from costmodel.operators.recorder import cost_of
from costmodel.tables import counting, diff, network, sweep
from costmodel.tables import layer as layer_tables
from tests.costmodel.checks.differences import differs


@pytest.fixture
def fresh_grids() -> Iterator[None]:
    compiled.compiled.cache_clear()
    compiled._operators.cache_clear()
    yield
    compiled.compiled.cache_clear()
    compiled._operators.cache_clear()


@pytest.mark.parametrize("claim", [*theorems.printed_claims()], ids=lambda claim: claim.name)
def test_nothing_differs(claim: Claim) -> None:
    assert differs(claim.cases()) == ""


def _shortcut_of_low_counted_as_block(patch: pytest.MonkeyPatch) -> None:
    right = counting._weights_part
    patch.setattr(counting, "_weights_part", lambda op: op.part if op.place.path == "LL" else right(op))


def _thirteen_blocks_recorded_as_twelve(patch: pytest.MonkeyPatch) -> None:
    right = resnet.record_resnet

    def wrong(backbone: Any, *others: Any) -> Any:
        return right(replace(backbone, n=12) if backbone.n == 13 else backbone, *others)

    patch.setattr(resnet, "record_resnet", wrong)


def _standard_layer_with_pools(patch: pytest.MonkeyPatch) -> None:
    right = layer_tables._standard
    patch.setattr(layer_tables, "_standard", lambda one: replace(right(one), stride_rule=one.stride_rule))


def _activations_of_one_image(patch: pytest.MonkeyPatch) -> None:
    right = network._layer_row

    def wrong(name: str, operators: Any, *others: Any) -> Any:
        return right(name, operators, *others) | {"activations": cost_of(operators).activations}

    patch.setattr(network, "_layer_row", wrong)


def _fold_that_loses_a_block(patch: pytest.MonkeyPatch) -> None:
    right = ResNetDesign.folded

    def wrong(net: ResNetDesign) -> Any:
        n = net.backbone.n
        return right(replace(net, backbone=replace(net.backbone, n=n - (n >= 100))))

    patch.setattr(ResNetDesign, "folded", wrong)


def _stage_of_one_image(patch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: Any, batch: int = 1, **options: Any) -> Cost:
        return network_cost(*arguments, batch=1 if options.get("stage") is not None else batch, **options)

    patch.setattr(theorems, "network_cost", wrong)


def _networks_with_another_shortcut(patch: pytest.MonkeyPatch) -> None:
    right = evaluate._setting_of
    patch.setattr(
        evaluate, "_setting_of", lambda net: tuple(pair for pair in right(net) if pair[0] != "shortcut")
    )


def _low_bound(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(compiled.CompiledForm, "bound", lambda *_: 0)


def _bound_of_the_first_stage(patch: pytest.MonkeyPatch) -> None:
    right = compiled._largest_value
    # All symbols of channels and widths at the base width, not at that of the last stage.
    patch.setattr(compiled, "_largest_value", lambda s, n, w: min(w, right(s, n, w)))


def _sides_taken_for_even(patch: pytest.MonkeyPatch) -> None:
    right = layer._side
    patch.setattr(layer, "_side", lambda name, number: right(name, number if number % 4 == 3 else 2))


def _sweep_of_single_precision(patch: pytest.MonkeyPatch) -> None:
    right = sweep._counted
    patch.setattr(sweep, "_counted", lambda space, measured: right(space, replace(measured, dtype="float32")))


def _sweep_against_the_first_row(patch: pytest.MonkeyPatch) -> None:
    right = sweep._counted
    patch.setattr(sweep, "_counted", lambda *given: (right(*given)[0], right(*given)[0][-1]))


def _diff_from_b_to_a(patch: pytest.MonkeyPatch) -> None:
    right = diff._row

    def wrong(*arguments: Any) -> Any:
        row = right(*arguments)
        return {key: -value if key.endswith("_difference") else value for key, value in row.items()}

    patch.setattr(diff, "_row", wrong)


def _dilation_of_rows_for_columns(patch: pytest.MonkeyPatch) -> None:
    right = depthwise._strided
    patch.setattr(depthwise, "_strided", lambda *given: right(*given[:4], (given[4][0], given[4][0])))


@pytest.mark.parametrize(
    ("cases", "plant"),
    [
        (theorems._chosen, _shortcut_of_low_counted_as_block),
        (theorems._chosen, _standard_layer_with_pools),
        (theorems._chosen, _activations_of_one_image),
        (theorems._deep, _fold_that_loses_a_block),
        (theorems._deep, _thirteen_blocks_recorded_as_twelve),
        (theorems._grids, _stage_of_one_image),
        (theorems._grids, _networks_with_another_shortcut),
        (theorems._overflow, _low_bound),
        (theorems._overflow, _bound_of_the_first_stage),
        (theorems._odd, _sides_taken_for_even),
        (theorems._compared_networks, _sweep_of_single_precision),
        (theorems._compared_networks, _sweep_against_the_first_row),
        (theorems._compared_networks, _diff_from_b_to_a),
        (lambda: kind_theorems._pairs_of_options(5), _dilation_of_rows_for_columns),
    ],
)
@pytest.mark.usefixtures("fresh_grids")
def test_a_defect_is_found(
    cases: Callable[[], Iterable[Identity]],
    plant: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch)
    with np.errstate(over="ignore"):
        assert differs(cases()) != ""
