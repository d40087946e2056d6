"""Tensors, arguments and modules as plain data."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.utils._pytree import tree_leaves

from costmodel.reconcile.events import ModuleFacts, Shape
from costmodel.reconcile.sizes import TracedSize


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors in a value and in torch's containers.

    Those in other objects are left out, as they are by counters that trace what leads to a network's outputs.
    """
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def acts_as_tensor(value: Any) -> bool:
    """Return whether torch's functions treat a value as a tensor: whether it has `__torch_function__`."""
    return not isinstance(value, Tensor | type) and hasattr(type(value), "__torch_function__")


def described(value: Any) -> Any:
    """Return an argument without its data: shapes for tensors, plain values as they are."""
    if isinstance(value, Tensor | np.ndarray) or acts_as_tensor(value):
        return shape_of(value)
    if isinstance(value, list | tuple):
        return tuple(map(described, value))
    if isinstance(value, TracedSize):
        return int(value)
    return value if isinstance(value, int | float | str | bool | None) else str(type(value).__name__)


def spec_described(value: Any) -> Any:
    """Return an argument of a dispatched operator without what it holds."""
    if hasattr(value, "storage") and hasattr(value, "shape"):
        return Shape(map(int, value.shape))
    if isinstance(value, list | tuple):
        return tuple(map(spec_described, value))
    return value if isinstance(value, int | float | str | bool | None) else str(value)


def shapes_in(value: Any) -> tuple[Shape, ...]:
    """Return the shapes of the tensors and arrays in a value."""
    return tuple(
        shape_of(leaf)
        for leaf in tree_leaves(value)
        if isinstance(leaf, Tensor | np.ndarray) or acts_as_tensor(leaf)
    )


def shape_of(tensor: Tensor | npt.NDArray[Any]) -> Shape:
    """Return the shape of a tensor or an array."""
    return Shape(map(int, tensor.shape))


def module_facts(model: nn.Module) -> dict[str, ModuleFacts]:
    """Return what hooks can know of a model's modules, by path."""
    paths = {id(part): path for path, part in model.named_modules()}
    return {
        path: ModuleFacts(
            path,
            tuple(f"{c.__module__}.{c.__qualname__}" for c in type(part).__mro__ if issubclass(c, nn.Module)),
            _attributes(part),
            tuple((name, Shape(p.shape), p.requires_grad) for name, p in part.named_parameters()),
            tuple(paths[id(child)] for child in part.children()),
        )
        for path, part in model.named_modules()
    }


def _attributes(module: nn.Module) -> dict[str, Any]:
    plain = {key: value for key, value in vars(module).items() if not key.startswith("_")}
    found: dict[str, Any] = {k: v for k, v in plain.items() if isinstance(v, int | str | float | None)}
    found |= {key: tuple(value) for key, value in plain.items() if _is_sizes(value)}
    found |= {key: shape_of(value) for key, value in plain.items() if isinstance(value, Tensor)}
    with contextlib.suppress(AttributeError):
        for key, parameter in module._parameters.items():
            found[key] = None if parameter is None else Shape(parameter.shape)
    if is_parametrized(module):
        with torch.no_grad():
            found |= {key: shape_of(getattr(module, key)) for key in module.parametrizations}  # type: ignore[union-attr]
    return found


def _is_sizes(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(item, int) for item in value)
