"""What objects hold, as values that can be compared: numbers, text, containers, functions, generators."""

from __future__ import annotations

import os
import random
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from fractions import Fraction
from pathlib import Path
from types import FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import unset_fake_temporarily

DEPTH = 4  # of nested containers and objects
MOST_ITEMS = 1000  # of a container; of a longer one, only the length is compared

_PLAIN = (bool, int, float, str, bytes, complex, type(None), Fraction, Enum, torch.dtype, torch.device)
_LIBRARIES = frozenset({"torch", "numpy", "sympy", "costmodel", "pwoct"})
_STORES = ("_parameters", "_buffers", "_modules")


def held(value: Any, depth: int = DEPTH) -> Any:
    """Return what can be compared of a value: "changed" means that two of these differ.

    Tensors, which may be replaced by equal ones, are compared by shape, modules by identity.

    >>> held([1, {"a": 2.5}]) == held([1, {"a": 2.5}]), held([1]) == held([1, 1])
    (True, False)
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Tensor):
        return "tensor", tuple(value.shape)
    if isinstance(value, nn.Module):
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
    if isinstance(value, FunctionType | MethodType):
        return kind, *_of_function(getattr(value, "__func__", value), depth)
    if isinstance(value, Iterator) and type(value).__module__ in ("builtins", "itertools"):
        return kind, *_items(_of_iterator(value), depth)
    if _is_own_object(value):
        return kind, *_items(vars(value), depth)
    return kind


def _items(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from ((held(key, depth - 1), held(item, depth - 1)) for key, item in value.items())
    else:
        yield from (held(item, depth - 1) for item in value)


def _of_function(function: Any, depth: int) -> Iterator[Any]:
    """Yield what a function is and holds: its code, closure, defaults and attributes."""
    yield id(getattr(function, "__code__", function))
    for cell in getattr(function, "__closure__", None) or ():
        try:
            yield held(cell.cell_contents, depth - 1)
        except ValueError:  # it is empty
            yield None
    for name in ("__defaults__", "__kwdefaults__", "__dict__"):
        yield held(getattr(function, name, None), depth - 1)


def _of_iterator(iterator: Any) -> Sequence[Any]:
    """Return where an iterator of Python's own stands; nothing for a generator."""
    try:
        return tuple(iterator.__reduce__()[1:])
    except (TypeError, AttributeError):
        return ()


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
            if name not in _STORES and not name.startswith("__"):
                yield (path or "(model)", name), held(value)
        yield (path or "(model)", "__class__"), id(type(module))


def of_their_code(model: nn.Module) -> Iterator[tuple[tuple[str, str], Any]]:
    """Yield what the classes of a model and their files hold, attributes and globals, and the environment."""
    yield ("os", "environ"), dict(os.environ)
    classes = {base for module in model.modules() for base in type(module).__mro__ if _is_own(base)}
    for kind in sorted(classes, key=lambda kind: (kind.__module__, kind.__qualname__)):
        yield from _named(kind.__qualname__, vars(kind))
    for name in sorted({kind.__module__ for kind in classes} & sys.modules.keys()):
        module = sys.modules[name]
        yield from _named(Path(getattr(module, "__file__", None) or name).stem, vars(module))


def _is_own(kind: type) -> bool:
    home = kind.__module__.partition(".")[0]
    return home not in _LIBRARIES and home not in sys.stdlib_module_names


def _named(title: str, values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Any]]:
    for name, value in list(values.items()):
        if not name.startswith("__") and not isinstance(value, type | ModuleType):
            yield (title, name), held(value)
