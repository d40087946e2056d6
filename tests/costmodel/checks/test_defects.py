"""Every rule about a wrong counter: the defect is there, is predicted exactly, and hides nothing else."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, cast

import pytest
import torch
from torch import nn

from costmodel.checks import defects
from costmodel.checks.comparison import Report, total_row
from costmodel.checks.defects import DEFECTS, Defect, Evidence, excuse
from costmodel.checks.measure import flop_counter_macs
from costmodel.checks.observe import observe_training, result_is_unused
from costmodel.checks.verify import Formula, compare, measure
from costmodel.convention import Cost
from costmodel.operators.standard import convolution
from tests.costmodel.checks.test_observe import Unused

IMAGES = torch.zeros(2, 4, 6, 6)
MODELS: dict[str, Any] = {
    "text padding": lambda: nn.Conv2d(4, 6, 3, padding="same"),
    "unused result": Unused,
    "grouped weight gradient": lambda: nn.Conv2d(4, 6, 3, groups=2, padding=1, bias=False),
}


def verify(name: str) -> Report:
    images = torch.zeros(2, 3, 6, 6) if name == "unused result" else IMAGES.clone().requires_grad_()
    model = MODELS[name]()
    measured = measure(model, [images], observe_training(model, [images]))
    rows = []
    for path, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            counts = {quantity: measured.of(path)[quantity] for quantity in ("macs", "macs_training")}
            is_unused = partial(result_is_unused, model, [images], path)
            rows.append(compare(path, formula(layer, images), counts, layer, is_unused))
    return Report(name, rows, total_row(rows, {"macs": measured.totals["macs"]}))


def formula(layer: nn.Conv2d, images: torch.Tensor) -> Formula:
    """What a convolution costs that keeps the images' size."""
    cost = convolution(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size[0],
        (6, 6),
        groups=layer.groups,
        bias=layer.bias is not None,
        batch=2,
        input_grad=images.requires_grad,
    )
    return Formula("conv", cost)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_the_installed_counter_has_the_defect(defect: Defect) -> None:
    assert defect.is_present()


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_counter_that_is_right_has_no_defect(defect: Defect, monkeypatch: pytest.MonkeyPatch) -> None:
    """The defects of fvcore are none of `FlopCounterMode`'s, and three passes of 2 MACs are 6."""
    monkeypatch.setattr(defects, "fvcore_macs", flop_counter_macs)
    monkeypatch.setattr(defects, "layer_training_macs", lambda *_, **__: 6)
    assert not cast(Any, defect.is_present).__wrapped__()


def test_a_layer_without_groups_is_not_excused_for_them() -> None:
    layer, cost = nn.Linear(3, 4), Cost(macs=12, macs_input_grad=12, macs_weight_grad=12)
    evidence = Evidence(layer, cost, lambda: False)
    for times in (1, 2):
        assert excuse(evidence, "macs_training", "FlopCounterMode", 24 + times * 12) is None


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_is_excused_and_listed(defect: Defect) -> None:
    report = verify(defect.name)
    assert report.differences == []
    assert [(quantity, name) for _, quantity, name in report.excuses] == [(defect.quantity, defect.name)]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
@pytest.mark.parametrize(
    "changed",
    [
        {"is_present": lambda: False},
        {"applies": lambda _evidence: False},
        {"wrong_count": lambda _cost, _module: 12345},
    ],
    ids=["gone", "elsewhere", "other value"],
)
def test_nothing_else_is_excused(
    defect: Defect, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defects, "DEFECTS", (dataclasses.replace(defect, **changed),))
    report = verify(defect.name)
    assert report.excuses == []
    assert any(defect.counter in line for line in report.differences)


def test_the_weight_gradient_of_a_grouped_convolution_is_off_by_the_groups() -> None:
    (row,) = verify("grouped weight gradient").rows
    check = row.check("macs_training")
    forward = 2 * (6 * 2 * 9) * 36
    assert check is not None
    assert (check.formula, dict(check.counts)) == (3 * forward, {"FlopCounterMode": (2 + 2) * forward})
