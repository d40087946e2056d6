"""Foreign models by name: `package.module:factory`, and the inputs that they are run on."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn


class ForeignErrors:
    """Whatever goes wrong in code that is not ours becomes a ValueError that says what was being done."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        """Start."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Turn an error into a ValueError; interrupts and exits pass."""
        if isinstance(error, Exception):
            lines = str(error).strip().splitlines() or [""]
            raise ValueError(f"{self._doing}: {type(error).__name__}: {lines[0]}") from error


def build(target: str) -> nn.Module:
    """Return the model that `package.module:factory` makes; modules of the current directory are found too.

    Raises ValueError where the module can't be imported, has no such factory, the factory raises, or what it
    returns is no module.
    """
    module_name, _, path = target.partition(":")
    if not re.fullmatch(r"[\w.]+:[\w.]+", target):
        raise ValueError(f"a model is a name such as resnet56, or package.module:factory; got {target}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    with ForeignErrors(f"can't import {module_name}"):
        found: Any = importlib.import_module(module_name)
    for name in path.split("."):
        if not hasattr(found, name):
            raise ValueError(f"{module_name} has no {path}")
        found = getattr(found, name)
    return found if isinstance(found, nn.Module) else _call(target, found)


def _call(target: str, factory: Callable[[], Any]) -> nn.Module:
    if not callable(factory):
        raise ValueError(f"{target} must be an nn.Module or make one, got {type(factory).__name__}")
    with ForeignErrors(f"{target}() failed"):
        model = factory()
    if not isinstance(model, nn.Module):
        raise ValueError(f"{target}() must return an nn.Module, got {type(model).__name__}")
    return model


def zeros(shape: str) -> Tensor:
    """Return an input of a shape such as 1,3,224,224.

    Raises ValueError where the text is no shape.

    >>> zeros("1,3,8,8").shape
    torch.Size([1, 3, 8, 8])
    """
    if not re.fullmatch(r"[1-9]\d{0,8}(,[1-9]\d{0,8})*", shape, re.ASCII):
        raise ValueError(f"input must be sizes joined by commas such as 1,3,224,224, got {shape}")
    return torch.zeros(*map(int, shape.split(",")))
