from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costmodel.checks.counters import count_by_torch
from costmodel.checks.observe import (
    ModuleError,
    ObservedCall,
    observe_training,
    result_is_unused,
)

IMAGES = torch.zeros(2, 3, 8, 8)
INPUT, MAPS = 2 * 3 * 8 * 8, 2 * 4 * 8 * 8  # elements


def small() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1))


def test_bytes_are_saved_once_a_storage_by_the_module_that_saves_first() -> None:
    seen = observe_training(small(), [IMAGES])
    # The convolution keeps its input, normalisation its own and two statistics, ReLU its output; the last
    # convolution keeps what ReLU has kept. Parameters and running statistics are there anyway.
    assert dict(seen.saved_bytes) == {"0": 4 * INPUT, "1": 4 * (MAPS + 2 * 4), "2": 4 * MAPS}


def test_an_odd_count_of_operations_is_no_count_of_macs() -> None:
    model = nn.Conv2d(3, 4, 1)
    rules = {torch.ops.aten.convolution: lambda *_, **__: 5}
    with pytest.raises(ValueError, match=r"must be even, got \d+"):
        observe_training(model, [IMAGES], rules)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_view_keeps_the_whole_storage_and_counts_once() -> None:
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x[:, :2]) + self.b(x[:, 2:])  # type: ignore[no-any-return]

    seen = observe_training(Halves(), [torch.zeros(1, 4, 5, 5)])
    assert dict(seen.saved_bytes) == {"a": 4 * 4 * 25}


def test_a_training_step_is_counted_as_a_whole() -> None:
    seen = observe_training(small(), [IMAGES])
    assert seen.training_macs == 2 * (MAPS * 27) + 3 * (MAPS * 4)  # the images need no gradient


def test_code_that_fails_says_which_module() -> None:
    class Fails(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("three\nlines\nlong")

    for model, name in ((nn.Sequential(small(), nn.Sequential(Fails())), "1.0"), (Fails(), r"\(model\)")):
        with pytest.raises(ModuleError, match=rf"^{name}: the code fails: three$"):
            observe_training(model, [IMAGES])


def test_a_model_is_left_as_it_was() -> None:
    model = small()
    with torch.no_grad():
        model[1].running_mean.fill_(3.0)
    observe_training(model.eval(), [IMAGES])
    assert not model.training
    assert model[1].running_mean.tolist() == [3.0] * 4
    assert model[1].num_batches_tracked == 0
    assert all(parameter.grad is None for parameter in model.parameters())


def test_calls_tell_shapes_outputs_and_whether_a_gradient_is_needed() -> None:
    seen = observe_training(small(), [IMAGES])
    assert seen.calls == {
        "0": [ObservedCall((2, 3, 8, 8), MAPS, input_grad=False)],
        "3": [ObservedCall((2, 4, 8, 8), MAPS, input_grad=True)],
    }
    assert (seen.activations("0"), seen.activations("1")) == (MAPS, 0)


def test_a_layer_may_be_called_by_keyword() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(input=x)  # type: ignore[no-any-return]

    calls = observe_training(Named(), [IMAGES]).calls
    assert calls == {"conv": [ObservedCall((2, 3, 8, 8), MAPS, input_grad=False)]}


def test_a_frozen_model_is_observed_without_a_backward_pass() -> None:
    seen = observe_training(small().requires_grad_(False), [IMAGES])
    assert (seen.training_macs, seen.saved_bytes.total()) == (MAPS * 27 + MAPS * 4, 0)


@pytest.mark.parametrize("error", [KeyError("here"), IndexError("here"), AssertionError("here")])
def test_whatever_the_code_raises_is_its_failure(error: Exception) -> None:
    class Raises(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise error

    with pytest.raises(ModuleError, match=r"^1: the code fails: .*here"):
        observe_training(nn.Sequential(nn.Conv2d(3, 4, 1), Raises()), [IMAGES])


def test_a_backward_pass_that_fails_is_told() -> None:
    class Negated(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, x: Tensor) -> Tensor:
            return -x

        @staticmethod
        def backward(context: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
            raise LookupError("no gradient")

    class Negates(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return Negated.apply(x)

    model = nn.Sequential(nn.Conv2d(3, 4, 1), Negates())
    with pytest.raises(ModuleError, match=r"^\(model\): the code fails in the backward pass: no gradient"):
        observe_training(model, [IMAGES])


def test_no_hook_is_left_on_a_module() -> None:
    model = Unused()
    result_is_unused(model, [IMAGES], "used")
    observe_training(model, [IMAGES])
    count_by_torch(model, ([IMAGES], {}))
    assert not [m for m in model.modules() if m._forward_hooks or m._forward_pre_hooks]


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused, self.selected = (nn.Conv2d(3, 4, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        self.unused(x)
        return self.used(x) + self.selected(x).detach()  # type: ignore[no-any-return]


def test_a_result_is_unused_where_the_output_does_not_depend_on_it() -> None:
    unused = {name: result_is_unused(Unused(), [IMAGES], name) for name in ("used", "unused", "selected")}
    assert unused == {"used": False, "unused": True, "selected": False}


def test_a_result_is_unused_in_eval_mode() -> None:
    """In training, dropout makes each output another one."""
    model = nn.Sequential(Unused(), nn.Dropout()).train()
    assert result_is_unused(model, [IMAGES], "0.unused")
    assert model[1].training
