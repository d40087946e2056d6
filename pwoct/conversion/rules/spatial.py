"""Pooling, padding and resizing of both branches; the low one is fitted to half the high one's size."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import pad as pad_tensor

from pwoct.branches import Size, size_of, strided
from pwoct.conversion.rules.registry import Function, rule
from pwoct.conversion.tensor import OctaveTensor


@rule("max_pool2d", "avg_pool2d", "lp_pool2d")
def pooled(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Pool each branch with the same windows; windows larger than the low map need a merged map."""
    x = _first(args, kwargs)
    if x is None or x.high is None:
        return NotImplemented
    kernel = args[1] if len(args) > 1 else kwargs.get("kernel_size")
    sides = (kernel, kernel) if isinstance(kernel, int) else tuple(kernel or ())
    low_size = strided(x.map_size, 2)
    if kwargs.get("return_indices") or any(k > side for k, side in zip(sides, low_size, strict=False)):
        return NotImplemented
    return _both(func, x, args[1:], kwargs, args[1:], kwargs)


@rule("interpolate", "upsample")
def resized(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Resize each branch; the low branch gets half of the given size."""
    x = _first(args, kwargs)
    if x is None or x.high is None:
        return NotImplemented
    size = args[1] if len(args) > 1 else kwargs.get("size")
    if size is None:
        scale = args[2] if len(args) > 2 else kwargs.get("scale_factor")
        factors = scale if isinstance(scale, tuple | list) else (scale, scale)
        if any(int(side * by) < 1 for side, by in zip(strided(x.map_size, 2), factors, strict=True)):
            return NotImplemented  # the low map would be empty
        return _both(func, x, args[1:], kwargs, args[1:], kwargs)
    sides = (size, size) if isinstance(size, int) else (size[0], size[1])
    rest, others = args[2:], {k: v for k, v in kwargs.items() if k != "size"}
    return _both(func, x, (sides, *rest), others, (strided(sides, 2), *rest), others)


@rule("pad")
def padded(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Pad each branch, the low one by half; negative padding needs a merged map."""
    x = _first(args, kwargs)
    amounts = args[1] if len(args) > 1 else kwargs.get("pad")
    if x is None or not isinstance(amounts, tuple | list) or len(amounts) not in (2, 4) or min(amounts) < 0:
        return NotImplemented
    left, right, top, bottom = (*amounts, 0, 0)[:4]
    size = (x.map_size[0] + top + bottom, x.map_size[1] + left + right)
    others = {k: v for k, v in kwargs.items() if k != "pad"}
    high = None if x.high is None else func(x.high, [*amounts], *args[2:], **others)
    if x.low is None:
        return x.like(high, None, size=size)
    target, now = strided(size, 2), size_of(x.low)
    halves = [left // 2, target[1] - now[1] - left // 2, top // 2, target[0] - now[0] - top // 2]
    if (kwargs.get("mode") or [*args, "constant"][2]) in ("reflect", "circular") and (
        max(halves[:2]) >= now[1] or max(halves[2:]) >= now[0]
    ):
        return NotImplemented  # the low map is too small to supply these pixels
    return x.like(high, func(x.low, halves, *args[2:], **others), size=size)


def _first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> OctaveTensor | None:
    x = args[0] if args else kwargs.pop("input", None)
    return x if isinstance(x, OctaveTensor) else None


def _both(
    func: Function,
    x: OctaveTensor,
    high_args: tuple[Any, ...],
    high_kwargs: dict[str, Any],
    low_args: tuple[Any, ...],
    low_kwargs: dict[str, Any],
) -> OctaveTensor:
    assert x.high is not None
    high = func(x.high, *high_args, **high_kwargs)
    size = size_of(high)
    low = None if x.low is None else fitted(func(x.low, *low_args, **low_kwargs), strided(size, 2))
    return x.like(high, low, size=size)


def fitted(x: Tensor, size: Size) -> Tensor:
    """Return a map cropped to a size, or extended to it by repeating its last rows and columns."""
    h, w = size_of(x)
    missing = (max(0, size[0] - h), max(0, size[1] - w))
    if any(missing):
        x = pad_tensor(x, (0, missing[1], 0, missing[0]), mode="replicate")
    return x[..., : size[0], : size[1]] if size_of(x) != tuple(size) else x
