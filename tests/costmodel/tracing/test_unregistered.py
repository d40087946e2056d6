"""Parameters that run but are not registered: in a plain list, in a module in a list, made while running."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from costmodel.checks.verify_foreign import verify_module
from costmodel.tables.traced_totals import remarks
from costmodel.tracing import closed_form, trace


class Weights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = [nn.Parameter(torch.zeros(4, 4)) for _ in range(3)]
        self.last = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        for weight in self.weights:
            x = F.linear(x, weight)
        return self.last(x)


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(4, 4), nn.Linear(4, 4)]
        self.last = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.last(x)


class Makes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x) @ nn.Parameter(x.new_zeros(4, 4))


class MakesAndChanges(Makes):
    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def forward(self, x: Tensor) -> Tensor:
        self.runs = min(self.runs + 1, 2)
        return super().forward(x)


class Fixes(Makes):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if int(x.shape[0]) < 1000 else x


class Frozen(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x @ nn.Parameter(x.new_zeros(x.shape[1], 5), requires_grad=False)


MODULES = [(Weights, 3 * 16), (Layers, 2 * 20), (Makes, 16), (MakesAndChanges, 16), (Fixes, 16), (Frozen, 20)]


@pytest.mark.parametrize(("kind", "unregistered"), MODULES)
def test_formulas_and_counts_have_the_same_parameters(kind: type[nn.Module], unregistered: int) -> None:
    module, x = kind(), torch.zeros(3, 4)
    counts = trace(module, [x]).parameters
    registered = sum(p.numel() for p in module.parameters())
    assert (counts.all, counts.unregistered) == (registered + unregistered, unregistered)
    form = closed_form(module, [x], {0: {0: "b"}})
    assert (form.total.params, form.unregistered) == (registered + unregistered, unregistered)


def test_their_number_may_depend_on_a_size() -> None:
    form = closed_form(Frozen(), [torch.zeros(3, 4)], {0: {0: "b", 1: "c"}})
    assert form.value("params", b=7, c=9) == 9 * 5


@pytest.mark.parametrize(("kind", "unregistered"), MODULES[:3])
def test_they_are_remarked_and_only_registered_ones_are_compared(
    kind: type[nn.Module], unregistered: int
) -> None:
    report = verify_module(kind(), [torch.zeros(3, 4)])
    assert all(row.verdict == "ok" for row in report.totals if row.counter == "parameters()")
    assert f"{unregistered} parameters are used but not registered" in " ".join(report.notes)
    (remark,) = remarks(trace(kind(), [torch.zeros(3, 4)]))
    assert remark.startswith(f"{unregistered} parameters are used but not registered, as in a plain list ")


def test_modules_in_a_plain_list_run_without_data() -> None:
    with torch.device("meta"):
        module = Layers()
    traced = trace(module, [torch.zeros(3, 4)])
    assert (traced.route, traced.notes, traced.total().macs) == ("fake", (), 3 * 3 * 16)
