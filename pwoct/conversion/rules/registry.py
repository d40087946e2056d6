"""The registry of rules, by the name of the operator in torch, in its functions and in tensors' methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pwoct.conversion.tensor import merge

Function = Callable[..., Any]
# Takes torch's function with its arguments; returns NotImplemented where it does not apply to these.
Rule = Callable[[Function, tuple[Any, ...], dict[str, Any]], Any]

RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for operators of these names, in place or not, as functions, methods and symbols."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def apply(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function of torch on pairs: by its rule, or on merged tensors."""
    found = RULES.get(operator_of(func))
    if found is not None:
        result = found(func, args, kwargs)
        if result is not NotImplemented:
            return result
    return func(*merge(args), **merge(kwargs))


def operator_of(func: Function) -> str:
    """Return the name of the operator behind a function.

    >>> import torch
    >>> [operator_of(f) for f in (torch.relu_, torch.Tensor.__iadd__, torch.nn.functional.relu)]
    ['relu', 'iadd', 'relu']
    """
    return getattr(func, "__name__", "").strip("_")


def changes_its_input(func: Function) -> bool:
    """Whether a function writes to its first argument.

    >>> import torch
    >>> changes_its_input(torch.relu_), changes_its_input(torch.Tensor.__add__)
    (True, False)
    """
    name = getattr(func, "__name__", "")
    return (name.endswith("_") and not name.endswith("__")) or (
        name.startswith("__i") and name not in ("__invert__", "__index__", "__int__")
    )
