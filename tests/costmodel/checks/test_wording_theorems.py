"""Words and units that do not fit the numbers beside them are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from costmodel.checks import random_tables, wording_theorems
from costmodel.networks import wording
from costmodel.networks.resnet import ResNetDesign
from costmodel.tables import counting, layer, network, sweep
from tests.costmodel.checks.differences import differs


def test_nothing_differs() -> None:
    assert not differs(wording_theorems._cases(4))


def _compressed_in_all_stages(patch: pytest.MonkeyPatch) -> None:
    is_compressed = property(lambda net: all(stage.paths for stage in net.stages))
    patch.setattr(ResNetDesign, "is_compressed", is_compressed)


def _alpha_as_beta(patch: pytest.MonkeyPatch) -> None:
    right = network.stage_words

    def wrong(stages: Any) -> Any:
        words = right(stages)
        return words._replace(beta=words.alpha)

    patch.setattr(network, "stage_words", wrong)


def _one_width(patch: pytest.MonkeyPatch) -> None:
    right = layer._form
    patch.setattr(layer, "_form", lambda *channels: right(*dict.fromkeys(channels)))


def _giga_as_mega(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(counting, "PREFIXES", {**counting.PREFIXES, "G": 10**6})


def _size_without_width(patch: pytest.MonkeyPatch) -> None:
    right = wording._options

    def wrong(net: ResNetDesign) -> Any:
        high, _ = net.backbone.size
        return right(replace(net, backbone=replace(net.backbone, size=(high, high))))

    patch.setattr(wording, "_options", wrong)


@pytest.mark.parametrize(
    "plant", [_compressed_in_all_stages, _alpha_as_beta, _one_width, _giga_as_mega, _size_without_width]
)
def test_words_that_do_not_fit(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    assert differs(wording_theorems._cases(16))


def test_a_sweep_that_repeats_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_is_shown", lambda space, i: True)
    assert differs(random_tables._sweeps(2))
