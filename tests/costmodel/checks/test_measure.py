from __future__ import annotations

import logging
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costmodel.checks.measure import (
    canonical_names,
    flop_counter_macs,
    fvcore_macs,
    fvcore_own_counts,
    layer_training_macs,
    mode,
    own_counts,
    parameters_by_module,
    total_macs,
)
from tests.costmodel.checks import zoo

CONV = 2 * (4 * 3 * 3 * 3) * (8 * 9)  # batch x weights x positions
IMAGES = torch.zeros(2, 3, 8, 9)


class Mixed(nn.Module):
    """A convolution and a normalisation of which counters disagree, a linear layer, outputs of all kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.fc = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Any:
        y = self.body(x)
        return {"maps": y, "nothing": None, "scores": self.fc(y.mean((2, 3)))}


@pytest.mark.parametrize("count", [fvcore_macs, flop_counter_macs])
def test_counters_give_macs_by_module_without_normalisation(count: Any) -> None:
    assert count(Mixed(), [IMAGES]) == {
        "": CONV + 2 * 4 * 5,
        "body": CONV,
        "body.0": CONV,
        **{name: 0 for name in ("body.1", "body.2") if count is fvcore_macs},
        "fc": 2 * 4 * 5,
    }


@pytest.mark.parametrize("count", [fvcore_macs, flop_counter_macs])
def test_a_module_called_twice_counts_twice_under_its_first_name(count: Any) -> None:
    conv = nn.Conv2d(3, 3, 1)
    model = nn.ModuleDict({"a": conv, "b": conv})
    model.forward = lambda x: model["b"](model["a"](x))  # type: ignore[method-assign]
    assert count(model, [IMAGES])["a"] == 2 * (2 * 3 * 3 * 8 * 9)


@pytest.mark.parametrize("count", [fvcore_macs, flop_counter_macs])
def test_counts_are_of_eval_mode(count: Any) -> None:
    """In training, the network has one more head."""
    assert count(zoo.Branches(), [torch.zeros(2, 3, 6, 5)])[""] == 2 * (108 * 12 + 8)


def test_counting_leaves_every_module_in_its_mode() -> None:
    model = Mixed()
    model.body.eval()
    fvcore_macs(model, [IMAGES])
    flop_counter_macs(model, [IMAGES])
    assert (model.training, model.body.training, model.body[1].training) == (True, False, False)


def test_a_mode_ends_with_an_error_too() -> None:
    model = Mixed()
    with pytest.raises(KeyError), mode(model, training=False):
        raise KeyError
    assert model.training


@pytest.mark.parametrize(("input_grad", "passes"), [(True, 3), (False, 2)])
def test_a_training_step_is_forward_and_a_pass_for_each_gradient(input_grad: bool, passes: int) -> None:
    conv = nn.Conv2d(3, 4, 3, padding=1)
    assert layer_training_macs(conv, (2, 3, 8, 9), input_grad=input_grad) == passes * CONV
    assert conv.weight.grad is None


def test_a_frozen_layer_without_gradients_counts_forward_alone() -> None:
    conv = nn.Conv2d(3, 4, 3, padding=1).requires_grad_(False)
    assert layer_training_macs(conv, (2, 3, 8, 9), input_grad=False) == CONV


def test_a_layer_of_another_type_is_counted_in_its_own() -> None:
    conv = nn.Conv2d(3, 4, 3, padding=1, dtype=torch.float64, device="meta")
    assert layer_training_macs(conv, (2, 3, 8, 9), input_grad=True) == 3 * CONV


def test_a_total_is_that_of_eval_mode_and_names_no_module() -> None:
    assert total_macs(Mixed(), [IMAGES]) == CONV + 2 * 4 * 5
    assert total_macs(zoo.Branches(), [torch.zeros(2, 3, 6, 5)]) == 2 * (108 * 12 + 8)


def test_counters_print_and_warn_of_nothing(capfd: pytest.CaptureFixture[str], caplog: Any) -> None:
    class Unsupported(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.idle = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.erfinv(self.conv(x)) if len(x) else x  # fvcore has no rule, and the tracer warns

    model, logger = Unsupported(), logging.getLogger("fvcore.nn.jit_analysis")
    level = logger.level
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for count in (fvcore_macs, flop_counter_macs, total_macs):
            count(model, [IMAGES])
        fvcore_own_counts(model, [IMAGES], {})
    assert (warned, caplog.records, capfd.readouterr()) == ([], [], ("", ""))
    assert logger.level == level


def test_an_operator_that_fvcore_cannot_count_is_missing_where_it_runs() -> None:
    class Unknown(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            y = torch.erfinv(torch.erfinv(self.conv(x)))
            vector = y.sum((0, 2, 3))
            return torch.matmul(vector, vector)  # the rule fails for vectors

    own = fvcore_own_counts(Unknown(), [IMAGES], {})
    assert (own.macs, own.einsum) == ({"conv": CONV}, {})
    assert own.missing == {"": {"aten::erfinv": 2, "aten::sum": 1, "aten::matmul": 1}}


def test_nothing_is_counted_of_a_network_without_products() -> None:
    assert flop_counter_macs(nn.Sequential(nn.ReLU()), [IMAGES]) == {"": 0}
    assert total_macs(nn.ReLU(), [IMAGES]) == 0


def test_a_module_with_two_names_has_the_first() -> None:
    conv = nn.Conv2d(3, 3, 1)
    assert canonical_names(nn.ModuleDict({"a": conv, "b": conv})) == {"": "", "a": "a", "b": "a"}


def test_other_inputs_than_tensors_are_filled_in() -> None:
    class Scaled(nn.Conv2d):
        def forward(self, scale: float, x: Tensor, *, more: Any) -> Tensor:  # type: ignore[override]
            return super().forward(x) * scale + more["shift"]

    model = Scaled(3, 4, 3, padding=1)
    own = fvcore_own_counts(model, [2.0, IMAGES], {"more": {"shift": torch.zeros(1), "name": "text"}})
    assert own.macs == {"": CONV}


def test_parameters_belong_to_the_module_that_holds_them() -> None:
    assert parameters_by_module(Mixed()) == {"body.0": 4 * 27 + 4, "body.1": 8, "fc": 4 * 5 + 5}


def test_own_counts_leave_out_children() -> None:
    model = nn.Sequential(nn.Sequential(nn.Identity()), nn.Identity())
    assert own_counts({"": 10, "0": 6, "0.0": 5, "1": 3}, model) == {"": 1, "0": 1, "0.0": 5, "1": 3}
    assert own_counts({"": 10, "0.0": 4}, model) == {"": 10, "0": -4, "0.0": 4, "1": 0}
