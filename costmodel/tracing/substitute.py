"""Replaces a module's parameters and buffers by tensors without data, and restores everything afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, in_kernel_invocation_manager

_CPU = torch.device("cpu")
_STORES = ("_parameters", "_buffers", "_modules")


class Substitutes:
    """Maps real tensors to tensors without data; a tensor always has the same substitute."""

    def __init__(self, make: Callable[[Tensor], Tensor]) -> None:
        self._make = make
        self._made: dict[int, Tensor] = {}
        self._held: list[Tensor] = []

    def of(self, tensor: Tensor) -> Tensor:
        """Return the substitute of a tensor."""
        if id(tensor) not in self._made:
            self._made[id(tensor)] = self._make(tensor)
            self._held.append(tensor)
        return self._made[id(tensor)]

    def put(self, tensor: Tensor, substitute: Tensor) -> None:
        """Set the substitute of a tensor."""
        self._made[id(tensor)] = substitute
        self._held.append(tensor)

    def within(self, value: Any) -> Any:
        """Return a value with its tensors replaced, in lists, tuples and dictionaries too."""
        if isinstance(value, Tensor):
            return self.of(value)
        if type(value) in (list, tuple):
            return type(value)(map(self.within, value))
        if type(value) is dict:
            return {key: self.within(item) for key, item in value.items()}
        return value


def fake(mode: FakeTensorMode, tensor: Tensor) -> Tensor:
    """Return a tensor without data that claims to be on the CPU; a parameter stays a parameter."""
    if isinstance(tensor, FakeTensor):
        return tensor
    with torch.no_grad(), in_kernel_invocation_manager(mode):
        empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    made = FakeTensor(mode, empty, _CPU)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(made, requires_grad=tensor.requires_grad)
    return made.requires_grad_(tensor.requires_grad and tensor.is_leaf)


def real(tensor: Tensor) -> Tensor:
    """Return a copy of a tensor; zeros for one without data."""
    made = torch.zeros(tensor.shape, dtype=tensor.dtype) if tensor.is_meta else tensor.detach().clone()
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(made, requires_grad=tensor.requires_grad)
    return made.requires_grad_(tensor.requires_grad and tensor.is_leaf)


@contextmanager
def substituted(model: nn.Module, substitutes: Substitutes) -> Iterator[None]:
    """Let a module run on substitutes of its tensors; all changes to the module are undone afterwards."""
    # A scripted module hides its parameters from Python, so it runs on its own tensors.
    modules = [module for module in model.modules() if not isinstance(module, torch.jit.ScriptModule)]
    before = [
        (module, dict(module.__dict__), {name: dict(module.__dict__[name]) for name in _STORES})
        for module in modules
    ]
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    try:
        for module in modules:
            _substitute(module, substitutes)
        yield
    finally:
        for module, attributes, stores in before:
            module.__dict__.clear()
            module.__dict__.update(attributes)
            for name, store in stores.items():
                module.__dict__[name].clear()
                module.__dict__[name].update(store)
        for parameter, gradient in gradients:
            parameter.grad = gradient


def _substitute(module: nn.Module, substitutes: Substitutes) -> None:
    for store in (module._parameters, module._buffers):
        for name, tensor in store.items():
            if tensor is not None:
                store[name] = substitutes.of(tensor)  # type: ignore[assignment]
    for name, value in list(module.__dict__.items()):
        if name not in _STORES and not name.startswith("_backward") and not name.startswith("_forward"):
            changed = substitutes.within(value)
            if changed is not value:
                module.__dict__[name] = changed
