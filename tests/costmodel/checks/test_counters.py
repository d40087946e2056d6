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
