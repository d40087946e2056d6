"""A module with its inputs and names for some of their sizes: run on symbols, or at other sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from costmodel.tracing.calls import Trace
from costmodel.tracing.symbolic import Symbolic, Symbols, run_symbolic, sizes_of
from costmodel.tracing.trace import trace


@dataclass(frozen=True)
class SizedModule:
    """A module, its positional and keyword inputs, and the axes whose sizes have names."""

    module: nn.Module
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    symbols: Symbols

    @cached_property
    def given(self) -> Mapping[str, int]:
        """The sizes in the inputs, by name. Raises ValueError if the names do not fit the inputs."""
        return sizes_of(self.args, self.kwargs, self.symbols)

    def on_symbols(self, hints: Mapping[str, int]) -> Symbolic:
        """Run on symbols; a size without a hint keeps its value. Raises TraceError if the code fails."""
        return run_symbolic(self.module, self.args, self.kwargs, self.symbols, hints)

    def at(self, sizes: Mapping[str, int]) -> Trace:
        """Run at other sizes, without data. Raises TraceError if the code fails."""
        inputs: dict[int | str, Any] = dict(enumerate(self.args))
        inputs.update(self.kwargs.items())
        for key, axes in self.symbols.items():
            inputs[key] = _of_size(inputs[key], {axis: sizes[name] for axis, name in axes.items()})
        args = [inputs[place] for place in range(len(self.args))]
        return trace(self.module, args, {name: inputs[name] for name in self.kwargs}, with_values=False)


def _of_size(tensor: Tensor, axes: Mapping[int, int]) -> Tensor:
    shape = list(tensor.shape)
    for axis, size in axes.items():
        shape[axis] = size
    return torch.empty(shape, dtype=tensor.dtype, device="meta", requires_grad=tensor.requires_grad)
