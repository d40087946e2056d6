from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

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
