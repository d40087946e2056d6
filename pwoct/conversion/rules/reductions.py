"""Reductions over all positions, as in heads and in squeeze-and-excitation: over each branch, then merged."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pwoct.conversion.layout import take
from pwoct.conversion.rules.registry import Function, rule
from pwoct.conversion.tensor import OctaveTensor


@rule("adaptive_avg_pool2d", "adaptive_max_pool2d")
def global_pool(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Pool each branch to one pixel."""
    size = args[1] if len(args) > 1 else kwargs.get("output_size")
    if size not in (1, (1, 1), [1, 1]) or kwargs.get("return_indices"):
        return NotImplemented
    return _reduced(func, args, kwargs)


@rule("mean", "amax")
def over_positions(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Reduce each branch over height and width."""
    dims = args[1] if len(args) > 1 else kwargs.get("dim")
    if not isinstance(dims, tuple | list) or sorted(d % 4 for d in dims) != [2, 3]:
        return NotImplemented
    return _reduced(func, args, kwargs)


def _reduced(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    x = args[0] if args else kwargs.pop("input", None)
    if not isinstance(x, OctaveTensor):
        return NotImplemented
    reduced: list[Tensor] = [func(b, *args[1:], **kwargs) for b in (x.high, x.low) if b is not None]
    whole = reduced[0] if len(reduced) == 1 else torch.cat(reduced, 1)
    return take(whole, x.channels_of.merged_order)
