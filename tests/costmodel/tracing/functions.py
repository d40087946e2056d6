"""What tests of tracing share: a function as a module, and a trace of zeros of given shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from costmodel.tracing import Trace, trace


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


def run(module: nn.Module, *shapes: tuple[int, ...], training: bool = False) -> Trace:
    """Trace a module on zeros."""
    return trace(module, [torch.zeros(shape) for shape in shapes], training=training)
