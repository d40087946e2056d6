"""Lazy layers of torch: a first run on inputs gives their parameters sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from costmodel.failures import told

if TYPE_CHECKING:
    from torch import nn


def has_lazy_layers(module: nn.Module) -> bool:
    """Return whether parameters or buffers of a module have no sizes yet."""
    from torch.nn.parameter import is_lazy

    return any(map(is_lazy, (*module.parameters(), *module.buffers())))


def materialise(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Run a module once in evaluation mode if it has lazy layers; everything else in it stays as it was.

    Raises ValueError if the module does not run, or leaves lazy layers out.
    """
    import torch

    if not has_lazy_layers(module):
        return
    modes = [(part, part.training) for part in module.modules()]
    try:
        with torch.no_grad():
            module.eval()(*args, **kwargs)
    except Exception as error:  # its own code runs, and may raise anything
        raise ValueError(f"(model) fails on its first run, for its lazy parameters: {told(error)}") from error
    finally:
        for part, training in modes:
            part.training = training
    for path, part in module.named_modules():
        if has_lazy_layers(part) and not any(True for _ in part.children()):
            raise ValueError(f"{path} is lazy and does not run on these inputs: its parameters have no sizes")
