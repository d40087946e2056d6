"""The registry of rules, by operator name, for torch's functions and tensor methods."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor

from pwoct.conversion.tensor import OctaveTensor, merge

Function = Callable[..., Any]
# Takes torch's function with its arguments; returns NotImplemented if it does not apply to them.
Rule = Callable[[Function, tuple[Any, ...], dict[str, Any]], Any]

RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for operators of these names, in place or not, as functions, methods and symbols."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def apply(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a torch function on pairs: by its rule, or on merged tensors.

    Raises:
        RuntimeError: inside a custom autograd function, where a pair would lose its gradients.
    """
    if not torch.is_grad_enabled() and (name := _custom_function()):
        raise RuntimeError(
            f"{name} is an autograd function of the network, and does not accept a pair of branches: "
            "keep the layers before it plain (layers=..., or --layers)"
        )
    if not args and "input" in kwargs:
        args = (kwargs.pop("input"),)
    for x in _pairs(args):
        x.settle()
    if args and isinstance(args[0], OctaveTensor) and changes_its_input(func, kwargs):
        args[0].lent = None  # its branches change
    found = RULES.get(operator_of(func))
    if found is not None:
        result = found(func, args, kwargs)
        if result is not NotImplemented:
            return _noted(func, args, kwargs, result)
    return _on_merged(func, args, kwargs)


def _pairs(args: Iterable[Any]) -> Iterator[OctaveTensor]:
    for x in args:
        if isinstance(x, OctaveTensor):
            yield x
        elif isinstance(x, tuple | list):
            yield from _pairs(x)


def _noted(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
    """Tell a map that a function has written to copies of its channels."""
    if args and isinstance(args[0], OctaveTensor) and changes_its_input(func, kwargs):
        args[0].becomes(result)
        return args[0]
    return result


def _on_merged(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function on merged maps; the first one receives writes, now or later through a view."""
    first = args[0] if args else None
    if not isinstance(first, OctaveTensor):
        return func(*merge(args), **merge(kwargs))
    whole = first.merged()
    result = func(whole, *merge(args[1:]), **merge(kwargs))
    if changes_its_input(func, kwargs) and whole.shape == first.shape:
        first.becomes(whole)
        return first
    views = [result] if isinstance(result, Tensor) else result if isinstance(result, tuple | list) else ()
    if any(isinstance(y, Tensor) and _is_view(y, whole) for y in views):
        first.lend(whole)
    return result


def _custom_function() -> str | None:
    """Return the autograd function whose forward pass is the caller, if any.

    Such a function sees no tensors in a pair, so autograd records nothing: only the call stack reveals it.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "forward" and (name := _function_of(frame.f_code)):
            return name
        frame = frame.f_back
    return None


@lru_cache(maxsize=1024)
def _function_of(code: CodeType) -> str | None:
    """Return the name of the autograd function whose `forward` has this code; None if it is a module's."""
    classes = [torch.autograd.Function]
    for function in classes:
        classes += function.__subclasses__()
        forward = getattr(vars(function).get("forward"), "__func__", None)  # a static method
        if getattr(forward, "__code__", None) is code:
            return function.__name__
    return None


def operator_of(func: Function) -> str:
    """Return the operator name of a function.

    >>> import torch
    >>> [operator_of(f) for f in (torch.relu_, torch.Tensor.__iadd__, torch.nn.functional.relu)]
    ['relu', 'iadd', 'relu']
    """
    return getattr(func, "__name__", "").strip("_")


def changes_its_input(func: Function, kwargs: Mapping[str, Any] | None = None) -> bool:
    """Whether a function writes to its first argument.

    >>> import torch
    >>> changes_its_input(torch.relu_), changes_its_input(torch.Tensor.__add__)
    (True, False)
    """
    name = getattr(func, "__name__", "")
    if (kwargs or {}).get("inplace") or name == "__setitem__":
        return True
    return (name.endswith("_") and not name.endswith("__")) or (
        name.startswith("__i") and name not in ("__invert__", "__index__", "__int__")
    )


def _is_view(y: Tensor, whole: Tensor) -> bool:
    return y._base is not None and (y._base is whole or y._base is whole._base)
