"""Code that `torch.compile` was given costs what it costs as it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costmodel.tracing import trace
from costmodel.tracing.calls import UndefinedCostError

X = torch.zeros(2, 3)


class Activated(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.fc, self.function = nn.Linear(3, 3), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.fc(x))


def linear() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU())


class Compiled(nn.Module):
    """A part that is compiled in one of four ways."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, part = how, linear()
        self.part = torch.compile(part, fullgraph=True) if how == "as a part" else part
        if how == "in place":
            part.compile()

    def forward(self, x: Tensor) -> Tensor:
        part = torch.compile(self.part) if self.how == "while it runs" else self.part
        return part(x)  # type: ignore[no-any-return]


@pytest.fixture
def uncompiled_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process in which nothing was compiled: torch's compiler has not yet wrapped nn.Module."""
    for name in ("__init__", "__setstate__"):
        monkeypatch.setattr(nn.Module, name, getattr(nn.Module, name))
    monkeypatch.setattr(nn.Module, "___needs_generation_tag_patch", True, raising=False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, where its compiler is loaded
@pytest.mark.usefixtures("uncompiled_before")
@pytest.mark.parametrize("how", ["as a part", "in place", "while it runs", "as a whole", "a function"])
def test_compiled_code_costs_what_it_costs_uncompiled(how: str) -> None:
    module: Any = Compiled(how)
    if how == "as a whole":
        module = torch.compile(module)
    if how == "a function":
        module = Activated(torch.compile(torch.relu))
    traced = trace(module, [X], training=True)
    weights = 3 * 3 if how == "a function" else 3 * 4
    assert traced.total().macs == 2 * weights
    assert traced.training is not None
    assert traced.training.macs == 2 * 2 * weights


def test_who_pretends_to_be_the_compiler_is_refused() -> None:
    def replacing(x: Tensor) -> Tensor:
        def init(*_: Any) -> None:
            pass

        init.__module__ = "torch._dynamo.mutation_guard"
        nn.Module.__init__ = init  # type: ignore[assignment, method-assign]
        return x

    with pytest.raises(UndefinedCostError, match=r"replaces torch\.nn\.Module\.__init__ while it runs"):
        trace(Activated(replacing), [X])
