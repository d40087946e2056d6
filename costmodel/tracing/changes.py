"""Detects what a run changed: submodules, tensors, attributes, globals of the code, and random states."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import unset_fake_temporarily

from costmodel.tracing.held import of_modules, of_their_code

State = Mapping[tuple[str, str], Any]

DRAWN = "random numbers are drawn"

_RANDOM = ("", "")  # the key of the random generators
_PARTS = ("_modules", "_parameters", "_buffers")


def state(model: nn.Module) -> State:
    """Return the state of a model: its modules and tensors, what else they hold, and what its code holds."""
    found: dict[tuple[str, str], Any] = {_RANDOM: _generators()}
    for path, module in model.named_modules():
        for part in _PARTS:
            stored = module.__dict__.get(part, {})
            found |= {(path or "(model)", name): _kind(value) for name, value in stored.items()}
    return {**found, **dict(of_modules(model)), **dict(of_their_code(model))}


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

    >>> difference({("a", "n"): 1}, {("a", "n"): 2}), difference({}, {("a", "conv"): 5}), difference({}, {})
    ('a.n changed', 'a.conv is new', '')
    """
    if before.get(_RANDOM) != after.get(_RANDOM):
        return DRAWN
    for key in (*before, *after):
        if key not in after:
            return f"{'.'.join(key)} is gone"
        if key not in before:
            return f"{'.'.join(key)} is new"
        if (before[key],) != (after[key],):  # tuples, in which a NaN equals itself
            return f"{'.'.join(key)} changed"
    return ""
