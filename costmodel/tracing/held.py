"""What objects hold, as values that can be compared: numbers, text, containers, random generators."""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from enum import Enum
from fractions import Fraction
from pathlib import Path
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import unset_fake_temporarily

DEPTH = 4  # of containers and objects in one another
MOST_ITEMS = 1000  # of a container; of a longer one, only the length is compared

_PLAIN = (bool, int, float, str, bytes, complex, type(None), Fraction, Enum, torch.dtype, torch.device)
_LIBRARIES = frozenset({"torch", "numpy", "sympy", "costmodel", "pwoct"})
_FRESH = frozenset(vars(nn.Module())) - {"training"}  # of every module: its stores and its hooks


def held(value: Any, depth: int = DEPTH) -> Any:
    """Return what can be compared of a value: "changed" means that two of these differ.

    Tensors, which may be replaced by equal ones, are compared by shape, modules and functions by identity.

    >>> held([1, {"a": 2.5}]) == held([1, {"a": 2.5}]), held([1]) == held([1, 1])
    (True, False)
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Tensor):
        return "tensor", tuple(value.shape)
    if isinstance(value, nn.Module | FunctionType):
        return type(value).__name__, id(value)
    if (drawn := _generator(value)) is not None:
        return drawn
    return _inside(value, depth)


def _inside(value: Any, depth: int) -> Any:
    kind = type(value).__name__
    if depth == 0:
        return kind
    if isinstance(value, dict | list | tuple | set | frozenset | deque):
        return kind, len(value), *(_items(value, depth) if len(value) <= MOST_ITEMS else ())
    if _is_own_object(value):
        return kind, *_items(vars(value), depth)
    return kind


def _items(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from ((held(key, depth - 1), held(item, depth - 1)) for key, item in value.items())
    else:
        yield from (held(item, depth - 1) for item in value)


def _is_own_object(value: Any) -> bool:
    """Return whether a value is an object of the network's own code, not of Python or a library below it."""
    if isinstance(value, type | ModuleType) or not hasattr(value, "__dict__"):
        return False
    home = type(value).__module__.partition(".")[0]
    return isinstance(value, SimpleNamespace) or not (home in _LIBRARIES or home in sys.stdlib_module_names)


def _generator(value: Any) -> Any:
    """Return the state of a random generator; None for everything else."""
    if isinstance(value, random.Random) and not isinstance(value, random.SystemRandom):
        return value.getstate()
    if isinstance(value, np.random.Generator):
        return str(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return str(value.get_state(legacy=False)["state"])
    if isinstance(value, torch.Generator):
        with unset_fake_temporarily():
            return value.get_state().numpy().tobytes()
    return None


def of_modules(model: nn.Module) -> Iterator[tuple[tuple[str, str], Any]]:
    """Yield what the modules of a model hold besides tensors and submodules, by path and name."""
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if name not in _FRESH and not name.startswith("__"):
                yield (path or "(model)", name), held(value)


def of_their_code(model: nn.Module) -> Iterator[tuple[tuple[str, str], Any]]:
    """Yield what the classes of a model, and the files in which they stand, hold: attributes and globals."""
    classes = {base for module in model.modules() for base in type(module).__mro__ if _is_own(base)}
    for kind in sorted(classes, key=lambda kind: (kind.__module__, kind.__qualname__)):
        yield from _named(kind.__qualname__, vars(kind), code=True)
    for name in sorted({kind.__module__ for kind in classes} & sys.modules.keys()):
        module = sys.modules[name]
        yield from _named(Path(getattr(module, "__file__", None) or name).stem, vars(module), code=False)


def _is_own(kind: type) -> bool:
    home = kind.__module__.partition(".")[0]
    return home not in _LIBRARIES and home not in sys.stdlib_module_names


def _named(title: str, values: Mapping[str, Any], *, code: bool) -> Iterator[tuple[tuple[str, str], Any]]:
    for name, value in list(values.items()):
        if not name.startswith("__") and (code or not isinstance(value, type | FunctionType | ModuleType)):
            yield (title, name), held(value)
