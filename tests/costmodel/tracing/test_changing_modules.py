"""Modules that change PyTorch, themselves or their code, and modules that leave work for later."""

from __future__ import annotations

import itertools
import os
import random
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules import module as torch_module

from costmodel.tracing import trace
from costmodel.tracing.calls import UndefinedCostError
from costmodel.tracing.changes import difference, state
from costmodel.tracing.patched import torch_unchanged

X = torch.zeros(2, 3)
CALLS = [0]


class Layer(nn.Module):
    """A linear layer that calls a function each time that it runs, and runs as often as that says."""

    def __init__(self, act: Callable[[Any], Any] = lambda _: 1) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.act(self) or 1):
            x = self.fc(x)
        return x


def replace(owner: Any, name: str) -> Callable[[Any], None]:
    right = getattr(owner, name)

    def other(*arguments: Any, **options: Any) -> Any:
        return right(*arguments, **options)

    return lambda _: setattr(owner, name, other)


PATCHES = {
    "torch.nn.Module.__call__": replace(nn.Module, "__call__"),
    "torch.nn.Conv2d.forward": replace(nn.Conv2d, "forward"),
    "torch.nn.Linear.__call__": replace(nn.Linear, "__call__"),  # new there, and hides what is inherited
    "torch.nn.functional.conv2d": replace(functional, "conv2d"),
    "torch.Tensor.__add__": replace(Tensor, "__add__"),
    "torch.relu": replace(torch, "relu"),
    "torch.hann_window": lambda _: delattr(torch, "hann_window"),
    "the hooks _global_forward_hooks": lambda _: torch_module.register_module_forward_hook(print) and None,
}


@pytest.mark.parametrize("what", PATCHES)
def test_what_a_run_replaces_in_torch_is_named_and_put_back(what: str) -> None:
    owners = (nn.Module, nn.Conv2d, nn.Linear, functional, Tensor, torch)
    before = [dict(vars(owner)) for owner in owners]
    with pytest.raises(
        UndefinedCostError, match=f"^\\(model\\) replaces {what} while it runs; the cost of such"
    ):
        trace(Layer(PATCHES[what]), [X])
    after = [dict(vars(owner)) for owner in owners]
    assert all(one.items() <= other.items() for one, other in zip(before, after, strict=True))
    assert "__call__" not in vars(nn.Linear)
    assert not torch_module._global_forward_hooks


def test_what_is_undone_or_raises_is_not_refused_but_put_back() -> None:
    right = nn.Conv2d.forward

    def for_a_while(_: Any) -> None:
        nn.Conv2d.forward = print  # type: ignore[assignment,method-assign]
        nn.Conv2d.forward = right  # type: ignore[method-assign]
        torch.set_default_dtype(torch.float64)  # torch replaces its own torch.Storage
        torch.set_default_dtype(torch.float32)

    assert trace(Layer(for_a_while), [X]).total().macs == 18

    def breaking() -> None:
        with torch_unchanged():
            nn.Conv2d.forward = print  # type: ignore[assignment,method-assign]
            raise KeyError("no")

    with pytest.raises(KeyError):
        breaking()
    assert nn.Conv2d.forward is right


def count_in_a_list(module: Any) -> int:
    module.__dict__.setdefault("calls", []).append(1)
    return len(module.calls)


def count_in_an_object(module: Any) -> int:
    module.state = getattr(module, "state", None) or SimpleNamespace(calls=0)
    module.state.calls += 1
    return 1 + module.state.calls // 5


def count_in_the_class(module: Any) -> int:
    type(module).calls = getattr(type(module), "calls", 0) + 1
    return 1 + type(module).calls // 5 % 2


def count_in_the_file(_: Any) -> int:
    CALLS[0] += 1
    return 1 + CALLS[0] // 5 % 2


def count_in_a_closure() -> Callable[[Any], int]:
    calls = 0

    def act(_: Any) -> int:
        nonlocal calls
        calls += 1
        return 1 + calls // 5

    return act


def count_in_a_default(_: Any, calls: list[int] = [0]) -> int:  # noqa: B006 - it is what is tested
    calls[0] += 1
    return 1 + calls[0] // 5 % 2


NUMBERS = itertools.count()


def count_by_an_iterator(_: Any) -> int:
    return 1 + next(NUMBERS) // 5 % 2


def hook_itself(module: Any) -> int:
    module.register_forward_hook(lambda layer, _, y: layer.fc(y))
    return 1


class Deeper(nn.Module):
    act: Any
    fc: Any

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.fc(x))  # type: ignore[no-any-return]


def become_another(module: Any) -> int:
    module.__class__ = Deeper
    return 1


def count_in_the_environment(_: Any) -> int:
    os.environ["PWOCT_COUNT"] = str(int(os.environ["PWOCT_COUNT"]) + 1)
    return 1 + int(os.environ["PWOCT_COUNT"]) // 5


def toss(module: Any, generator: random.Random = random.Random(1)) -> int:
    module.generator = generator
    return 1 + (generator.random() < 0.5)


@pytest.mark.parametrize(
    ("act", "what"),
    [
        (count_in_a_list, r"\(model\).calls is new"),
        (count_in_an_object, r"\(model\).state is new"),
        (count_in_the_class, "Layer.calls "),
        (count_in_the_file, "test_changing_modules.CALLS changed"),
        (count_in_a_closure(), r"\(model\).act changed"),
        (count_in_a_default, r"\(model\).act changed"),
        (count_by_an_iterator, "test_changing_modules.NUMBERS changed"),
        (count_in_the_environment, "os.environ changed"),
        (hook_itself, r"\(model\)._forward_hooks changed"),
        (become_another, r"\(model\).__class__ changed"),
        (toss, r"\(model\).act changed"),  # its default
    ],
)
def test_work_that_depends_on_what_changes_is_refused(
    act: Any, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PWOCT_COUNT", "0")
    with pytest.raises(
        UndefinedCostError, match=f"^{what}.* while the network runs: it takes (18|36) MACs in its"
    ):
        trace(Layer(act), [X])


def test_a_cache_settles_and_a_counter_does_not() -> None:
    def fill(module: Any) -> None:
        module.cache = {"size": (3, 3)}

    def tick(module: Any) -> None:
        module.calls = getattr(module, "calls", 0) + 1

    filled, ticking = trace(Layer(fill), [X]), trace(Layer(tick), [X])
    assert (filled.total().macs, filled.unsettled) == (18, "")
    assert (ticking.total().macs, ticking.unsettled) == (18, "(model).calls changed")


def test_equal_states_are_the_same() -> None:
    layer = Layer()
    layer.rate, layer.table = float("nan"), {"many": list(range(2000)), "self": [layer]}
    assert difference(state(layer), state(layer)) == ""
    layer.table["many"].append(0)
    before = state(layer)
    layer.table["many"].pop()
    assert difference(before, state(layer)) == "(model).table changed"


def start_a_thread(module: Any) -> None:
    thread = threading.Thread(target=lambda: module.fc(X))
    thread.start()
    thread.join()


def test_a_thread_is_refused_since_nothing_sees_its_work() -> None:
    start = threading.Thread.start
    with pytest.raises(
        UndefinedCostError, match=r"^\(model\) starts a thread \(Thread\), and what runs in it is not"
    ):
        trace(Layer(start_a_thread), [X])
    assert threading.Thread.start is start


class Later(Layer):
    def forward(self, x: Tensor) -> Iterator[Tensor]:  # type: ignore[override]
        yield self.fc(x)


class Callback(Layer):
    def forward(self, x: Tensor) -> Callable[[], Tensor]:  # type: ignore[override]
        return lambda: self.fc(x)


@pytest.mark.parametrize(("kind", "name"), [(Later, "generator"), (Callback, "function")])
def test_code_that_has_not_run_is_refused(kind: type[Layer], name: str) -> None:
    with pytest.raises(UndefinedCostError, match=f"^\\(model\\) returns a {name}, whose code has not run$"):
        trace(kind(), [X])
