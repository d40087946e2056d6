"""Notices which of PyTorch's functions, methods and global hooks a run replaces, and puts them back."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import nn

from costmodel.tracing.calls import UndefinedCostError

MODULES = (
    *("builtins", "torch", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.nn.modules.module"),
    *("torch.autograd", "torch.fft", "torch.linalg", "torch.special", "torch._C._nn"),
)
CLASSES = (torch.Tensor, nn.Parameter, torch.autograd.Function, torch._ops.OpOverload)
OWN = frozenset({"Storage"})  # what torch replaces itself, with the default dtype
MOST_NAMES = 3  # in a message
# Wraps two methods of nn.Module, for good, where code is compiled for the first time in a process.
GUARD = "torch._dynamo.mutation_guard"

Owner = Any  # a module, a class, or a dictionary of hooks


@contextmanager
def torch_unchanged() -> Iterator[None]:
    """Undo, after a block, what it replaced in PyTorch.

    Raises UndefinedCostError, which names what was replaced, unless the block itself raises.
    """
    before = {title: (owner, dict(_held(owner))) for title, owner in _owners().items()}
    replaced: list[str] = []
    try:
        yield
    finally:
        for title, (owner, held) in before.items():
            replaced += [_spelled(title, owner, name) for name in _undone(owner, held)]
    if replaced:
        more = ", ..." if len(replaced) > MOST_NAMES else ""
        raise UndefinedCostError(
            f"(model) replaces {', '.join(replaced[:MOST_NAMES])}{more} while it runs; the cost of such a "
            "network is not defined"
        )


@cache
def _owners() -> Mapping[str, Owner]:
    modules = {name: sys.modules[name] for name in MODULES}
    found: dict[str, Owner] = dict(modules)
    layers = [value for value in vars(nn).values() if isinstance(value, type)]
    for kind in (*CLASSES, *layers):
        for base in kind.__mro__:
            if base.__module__.partition(".")[0] == "torch" and base is not torch._C.TensorBase:
                found[_name_of(base)] = base
    hooks = vars(modules["torch.nn.modules.module"]).items()
    return found | {name: value for name, value in hooks if name.startswith("_global") and _is_dict(value)}


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _name_of(kind: type) -> str:
    public = next((m for m in (torch, nn) if getattr(m, kind.__name__, None) is kind), None)
    return f"{kind.__module__ if public is None else public.__name__}.{kind.__qualname__}"


def _held(owner: Owner) -> Mapping[Any, Any]:
    return owner if _is_dict(owner) else vars(owner)


def _spelled(title: str, owner: Owner, name: Any) -> str:
    return f"the hooks {title}" if _is_dict(owner) else f"{title}.{name}"


def _undone(owner: Owner, before: Mapping[Any, Any]) -> list[Any]:
    """Put back what an owner held before, and return the names of what was replaced."""
    now = dict(_held(owner))
    changed = [name for name, value in before.items() if _is_other(owner, name, value, now)]
    changed += [name for name in now if name not in before and _is_new(owner, name, now[name])]
    for name in changed:
        if name in before:
            _put(owner, name, before[name])
        else:
            _remove(owner, name)
    return changed[:1] if _is_dict(owner) else changed


def _is_other(owner: Owner, name: Any, value: Any, now: Mapping[Any, Any]) -> bool:
    """Return whether code was replaced: flags and caches of torch's own may change."""
    found = now.get(name, now)
    if found is value or (isinstance(owner, type) and _is_guard_of(found, value)):
        return False
    return _is_dict(owner) or (_is_code(value) and name not in OWN)


def _is_guard_of(found: Any, value: Any) -> bool:
    """Return whether torch's compiler wrapped a method, to notice modules that are made while code runs."""
    if getattr(found, "__module__", "") != GUARD:
        return False
    return any(cell.cell_contents is value for cell in found.__closure__ or ())


def _is_new(owner: Owner, name: Any, value: Any) -> bool:
    """Return whether something new hides what was inherited; torch adds to its own modules when it likes."""
    if isinstance(owner, ModuleType):
        return False
    return _is_dict(owner) or (_is_code(value) and _inherited(owner, name) is not value)


def _is_code(value: Any) -> bool:
    return callable(value) or hasattr(type(value), "__get__")


def _inherited(kind: type, name: str) -> Any:
    return next((vars(base)[name] for base in kind.__mro__[1:] if name in vars(base)), None)


def _put(owner: Owner, name: Any, value: Any) -> None:
    if _is_dict(owner):
        owner[name] = value
    else:
        setattr(owner, name, value)


def _remove(owner: Owner, name: Any) -> None:
    if _is_dict(owner):
        del owner[name]
    else:
        delattr(owner, name)
