"""A network is left as it was, and one that does not run is one line."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from costmodel.reconcile.observe import observe


class NeedsValues(nn.Module):
    """Cannot run on tensors without data."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y if float(y.sum()) > -1e30 else y + 1


@pytest.mark.parametrize("first", [nn.Identity(), NeedsValues()], ids=["without data", "with data"])
def test_each_module_keeps_its_own_mode(first: nn.Module) -> None:
    model = nn.Sequential(first, nn.Dropout(), nn.ReLU())
    model.train()
    model[1].eval()  # such as a normalisation that is frozen
    before = [module.training for module in model.modules()]
    observe(model, [torch.zeros(1, 3, 8, 8)])
    assert [module.training for module in model.modules()] == before


def test_what_does_not_run_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"^the network does not run: RuntimeError: [^\n]*$"):
        observe(nn.Conv2d(3, 4, 3), [torch.zeros(1, 2, 8, 8)])
