"""Sums, products and other functions of two or more operands: branch by branch.

A plain operand is split like the pair that it meets: one number per channel by channels, a map with one
channel by resolution, a whole map by both. Two pairs with different branches get those of the first. An
operand that meets the output of a last octave layer is merged.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pwoct.branches import pool
from pwoct.conversion.layout import BranchLayout, take
from pwoct.conversion.rules.registry import Function, changes_its_input, rule
from pwoct.conversion.tensor import OctaveTensor, conform

Branches = tuple[Any, Any]


@rule(
    *("add", "radd", "iadd", "sub", "rsub", "isub", "subtract", "mul", "rmul", "imul", "multiply"),
    *("div", "truediv", "rtruediv", "itruediv", "rdiv", "idiv", "divide", "true_divide"),
    *("maximum", "minimum", "pow", "rpow", "ipow", "addcmul", "addcdiv", "lerp"),
)
def join(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Join two or more operands, at least one of them a pair; a plain one is never written to in parts."""
    if len(args) < 2 or (not isinstance(args[0], OctaveTensor) and changes_its_input(func)):
        return NotImplemented
    pairs = [x for x in args if isinstance(x, OctaveTensor)]
    if not pairs or any(tuple(x.shape[1:]) != tuple(pairs[0].shape[1:]) for x in pairs):
        return NotImplemented
    layout, closes = common_layout(pairs, pairs[0].shape[1])
    model = conform(pairs[0], layout)
    divided = [_divided(x, model) for x in args]
    if any(found is None for found in divided):
        return NotImplemented
    highs, lows = map(list, zip(*divided, strict=True))
    if changes_its_input(func) and args[0].channels_of != layout:
        highs[0], lows[0] = _copied(highs[0]), _copied(lows[0])  # may be views of other maps
    high = None if model.high is None else func(*highs, **kwargs)
    low = None if model.low is None else func(*lows, **kwargs)
    origins = frozenset().union(*(x.origins for x in pairs))
    return OctaveTensor(high, low, layout, model.map_size, origins, closes=closes)


def common_layout(pairs: list[OctaveTensor], channels: int) -> tuple[BranchLayout, bool]:
    """Return the layout for maps to be joined, and whether it closes the chain of octave layers."""
    if any(x.closes for x in pairs):
        return BranchLayout.plain(channels), True
    with_low = [x.channels_of for x in pairs if x.low is not None]
    return (with_low or [pairs[0].channels_of])[0], False


def _divided(x: Any, model: OctaveTensor) -> Branches | None:
    """Return the part of an operand for each branch; None if its shape fits no rule."""
    if isinstance(x, OctaveTensor):
        y = conform(x, model.channels_of)
        return y.high, y.low
    if not isinstance(x, Tensor) or x.dim() == 0 or (_extent(x, 1) == 1 and _extent(x, 2) == 1):
        return (x, x) if not isinstance(x, Tensor) or _extent(x, 3) == 1 else None
    return _divided_tensor(x, model)


def _divided_tensor(x: Tensor, model: OctaveTensor) -> Branches | None:
    n, c, h, w = model.shape
    channels, size = _extent(x, 1), (_extent(x, 2), _extent(x, 3))
    dim = x.dim() - 3
    whole_map = size == (h, w)
    if not x.is_floating_point() and size != (1, 1):  # a mask can't be averaged
        return None
    if x.dim() > 4 or (x.dim() == 4 and x.shape[0] not in (1, n)) or not (whole_map or size == (1, 1)):
        return None
    if channels == 1:
        return (x, pool(x)) if x.dim() == 4 else None
    if channels != c:
        return None
    high, low = (take(x, branch, dim) for branch in (model.channels_of.high, model.channels_of.low))
    if whole_map and size != (1, 1):
        return (high, pool(low) if low.numel() else low) if x.dim() == 4 else None
    return high, low


def _extent(x: Tensor, axis: int) -> int:
    """Return a tensor's size along an axis of (n, c, h, w), to which it is broadcast."""
    place = axis - (4 - x.dim())
    return x.shape[place] if place >= 0 else 1


def _copied(x: Any) -> Any:
    return x.clone() if isinstance(x, Tensor) else x
