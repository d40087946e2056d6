"""A network is left as it was, and one that does not run is one line."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from costmodel.reconcile.observe import observe
from costmodel.tracing import closed_form


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


def test_functions_that_a_module_keeps_are_noted_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is imported while the network runs, and holds what is in torch's place then."""
    (tmp_path / "imported_late.py").write_text("from torch.nn.functional import relu\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    class Late(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            relu: Any = importlib.import_module("imported_late").relu
            return cast("Tensor", relu(x))

    assert [event.name for event in observe(Late(), [torch.zeros(2, 3)]).events if event.level == "function"]
    form = closed_form(Late(), [torch.zeros(2, 3)], {0: {0: "n"}})
    assert (form.status, form.specialised) == ("exact for the domain", {})
    assert (form.domain.text, str(form.total.activation_ops)) == ("for n >= 1", "3*n")
