"""A module in memory is as it was after it was verified, and so are its inputs and the random numbers."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from costmodel.checks.verify_foreign import verify_module

IMAGE, ROWS = torch.ones(2, 3, 5, 5), torch.ones(2, 4)


def normed() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


class Changing(nn.Module):
    """Changes its input and itself, and draws random numbers of all kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.calls, self.seen = nn.Linear(4, 4), 0, list[int]()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        x.add_(1)
        self.calls += 1
        self.seen.append(self.calls)
        y = functional.dropout(self.fc(x), 0.5, self.training)
        if self.training:
            self.mean = self.mean * 0.9 + y.mean(0).detach()
            random.random()
            np.random.rand()
        return y  # type: ignore[no-any-return]


class Within(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, given: Any) -> Tensor:
        return self.fc(given["x"].mul_(2))  # type: ignore[no-any-return]


CASES: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    "normed": lambda: (normed(), IMAGE.clone()),
    "changing": lambda: (Changing(), ROWS.clone()),
    "input in a mapping": lambda: (Within(), OrderedDict(x=ROWS.clone())),
    "frozen": lambda: (nn.Sequential(nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 4)), ROWS.clone()),
    "scripted": lambda: (torch.jit.script(normed()), IMAGE.clone()),
    "partly scripted": lambda: (
        nn.Sequential(torch.jit.script(normed()), nn.Conv2d(4, 2, 1)),
        IMAGE.clone(),
    ),
}


def first(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else value["x"]  # type: ignore[no-any-return]


def what_is_held(model: nn.Module, x: Any) -> list[Any]:
    gradients = [p.grad for p in model.parameters()]
    return [
        *(t.tolist() for t in (*model.state_dict().values(), first(x), torch.get_rng_state())),
        *(None if gradient is None else gradient.tolist() for gradient in gradients),
        *(
            [module.training for module in model.modules()],
            random.getstate(),
            np.random.get_state()[1].tolist(),
        ),  # type: ignore[index, union-attr]
        *(getattr(model, "calls", 0), list(getattr(model, "seen", []))),
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of scripting
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_nothing_is_changed(case: str, trained: bool) -> None:
    model, x = CASES[case]()
    model.train(trained)
    if trained and case == "normed":
        model(x).sum().backward()  # gradients that are added up stay
    before, parameters = what_is_held(model, x), [*map(id, model.parameters())]
    verify_module(model, [x])
    assert what_is_held(model, x) == before
    assert isinstance(model, torch.jit.ScriptModule) or [*map(id, model.parameters())] == parameters


def test_a_graph_of_before_is_valid_after() -> None:
    model = normed().eval()
    y = model(IMAGE).sum()
    verify_module(model, [IMAGE])
    y.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_parameters_without_data_take_no_memory() -> None:
    """10^12 parameters, of which no real copy fits anywhere."""
    assert verify_module(nn.Linear(10**6, 10**6, device="meta"), [torch.zeros(1, 10**6)]).numbers_compared
