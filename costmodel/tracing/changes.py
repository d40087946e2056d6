"""Detects what a run changed: submodules, tensors, plain attributes, and the random state."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import unset_fake_temporarily

State = Mapping[tuple[str, str], Any]

DRAWN = "random numbers are drawn"

_RANDOM = ("", "")  # the key of the random generators
_PLAIN = (bool, int, float, str, type(None))
_PARTS = ("_modules", "_parameters", "_buffers")


def state(model: nn.Module) -> State:
    """Return the state of a model: its modules, its tensors, and the values of plain attributes."""
    found: dict[tuple[str, str], Any] = {_RANDOM: _generators()}
    for path, module in model.named_modules():
        for part in _PARTS:
            held = module.__dict__.get(part, {})
            found |= {(path, name): _kind(value) for name, value in held.items()}
        found |= {
            (path, name): value
            for name, value in module.__dict__.items()
            if isinstance(value, _PLAIN) and not name.startswith("__")
        }
    return found


def _generators() -> tuple[Any, ...]:
    numpy = np.random.get_state(legacy=False)["state"]
    with unset_fake_temporarily():
        return random.getstate(), str(numpy), torch.get_rng_state().numpy().tobytes()


def _kind(value: Any) -> Any:
    """Modules are compared by identity; tensors, which may be replaced by equal ones, only by shape."""
    if value is None:
        return None
    return id(value) if isinstance(value, nn.Module) else tuple(value.shape)


def difference(before: State, after: State) -> str:
    """Return the first change, in the order of the model; "" if nothing changed.

    >>> difference({("a", "n"): 1}, {("a", "n"): 2}), difference({}, {("", "conv"): 5}), difference({}, {})
    ('a.n changed', '(model).conv is new', '')
    """
    if before.get(_RANDOM) != after.get(_RANDOM):
        return DRAWN
    for key in (*before, *after):
        if key not in after:
            return f"{_spelled(key)} is gone"
        if key not in before:
            return f"{_spelled(key)} is new"
        if before[key] != after[key]:
            return f"{_spelled(key)} changed"
    return ""


def _spelled(key: tuple[str, str]) -> str:
    return f"{key[0] or '(model)'}.{key[1]}"
