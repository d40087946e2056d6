"""torch's counter as it runs here: what it leaves behind, and where modules end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costmodel.checks.counters import count_by_torch
from tests.costmodel.checks.test_verify_foreign import IMAGE


@pytest.mark.parametrize("enabled", [True, False])
def test_kernels_are_chosen_as_before(enabled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", enabled)
    before: Any = torch.backends.mha.get_fastpath_enabled()
    count_by_torch(nn.Conv2d(3, 4, 1), ([IMAGE], {}))
    assert (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled) == (before, enabled)


def test_a_module_whose_error_is_caught_has_ended() -> None:
    class Bad(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("never mind")

    class Catches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bad, self.w = Bad(), nn.Parameter(torch.ones(4, 3, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            with suppress(ValueError):
                self.bad(x)
            return nn.functional.conv2d(x, self.w)

    assert count_by_torch(Catches(), ([IMAGE], {})).macs == {"": 12 * 30}


class Untrainable(nn.Linear):
    """It does not train, and takes 3 features only."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            raise ValueError("not today")
        return torch.erf(super().forward(x))


def test_what_torch_counts_of_a_network_that_does_not_train(capfd: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(nn.Identity(), Untrainable(3, 4, bias=False))
    others: Any = [([torch.zeros(5, 3)], {}), ([torch.zeros(5, 2)], {})]
    found = count_by_torch(model, ([torch.zeros(2, 3)], {}), others)
    assert capfd.readouterr() == ("", "")
    assert (found.macs, found.activations) == ({"1": 24}, {"1": 8})
    assert (found.training, found.notes) == (None, ["no training step: not today"])
    assert found.sizes == [60, None]
    assert (found.own_parameters, found.parameters["all"]) == ({"1": 12}, 12)
    assert [*found.unruled] == ["1"]
    assert "aten.erf" in found.unruled["1"]
    assert found.as_json()["macs_by_operator"] == {"1": {"aten.mm": 24}}


def test_each_operator_is_counted_in_its_module() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 5, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.b(self.a(x))
            return (y @ y.T).erf()

    found = count_by_torch(Net(), ([torch.zeros(2, 3)], {}))
    assert found.macs == {"a": 24, "b": 40, "": 20}
    assert found.activations == {"a": 8, "b": 10, "": 4}
    # The input has no gradient: a has that of its weights, b both, and so has the product of y with itself.
    assert found.training_by_operator == {"aten.addmm": 24, "aten.mm": (40 + 20) + 24 + 2 * 40 + 2 * 20}
    assert found.training == 24 + 204
    assert "aten.erf" in found.unruled[""]
