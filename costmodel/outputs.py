"""The tensors in whatever a network returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves


def tensors_in(outputs: Any, depth: int = 8) -> list[Tensor]:
    """Return the tensors in what a model returns: containers, dataclasses, objects with attributes.

    depth: how many objects that are no containers of torch's may be nested.
    """
    found = []
    for leaf in tree_leaves(outputs):
        if isinstance(leaf, Tensor):
            found.append(leaf)
        elif depth:
            found += tensors_in(_parts(leaf), depth - 1)
    return found


def _parts(value: Any) -> list[Any]:
    """Return what an object that is no container of torch's holds; nothing of classes and modules."""
    if isinstance(value, type | nn.Module):
        return []
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, set | frozenset):
        return list(value)
    if is_dataclass(value):  # it may have slots
        return [getattr(value, part.name) for part in fields(value)]
    return list(getattr(value, "__dict__", {}).values())
