"""Functions that replace torch's own on symbolic sizes and call the same operators.

torch's own functions would turn symbols into numbers (`interpolate`) or query known memory layouts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch._dispatch.python import no_python_dispatcher
from torch.overrides import TorchFunctionMode

from costmodel.tracing.calls import TraceError
from costmodel.tracing.ordered import DENSE, order_of


def interpolate(
    input: Tensor,  # noqa: A002 - torch calls it so
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,  # noqa: ARG001 - it affects values, not sizes
    antialias: bool = False,
) -> Tensor:
    """Interpolate by calling the operator directly."""
    sizes = _sizes(input, size, scale_factor)
    axes = input.dim() - 2
    if mode == "area" or (mode, axes) not in _INTERPOLATIONS:
        return torch.nn.functional.interpolate(input, sizes, None, mode, align_corners, None, antialias)
    name = _INTERPOLATIONS[mode, axes]
    operator = getattr(torch.ops.aten, f"_{name}_aa" if antialias else name).default
    corners = [] if mode.startswith("nearest") else [bool(align_corners)]
    with no_python_dispatcher():  # whose rule would decompose the operator
        result: Tensor = operator(input, sizes, *corners)
    return result


def _sizes(x: Tensor, size: Any, scale_factor: Any) -> list[Any]:
    axes = x.dim() - 2
    if size is None:
        factors = scale_factor if isinstance(scale_factor, list | tuple) else [scale_factor] * axes
        size = [_scaled(n, factor) for n, factor in zip(x.shape[2:], factors, strict=True)]
    return list(size) if isinstance(size, list | tuple) else [size] * axes


def _scaled(size: Any, factor: float) -> Any:
    """Return floor(size factor), as torch's product in floating point gives it.

    The product n p/q is an integer m for some n. A factor that is p/q (1 + e) keeps it if e >= -2^-54: half
    the distance from m to the next lower number is at least m 2^-54. 0.7 is smaller: 90 x 0.7 is 62.

    Raises TraceError if the product may be less than m, or the factor is no ratio of small integers.
    """
    ratio = Fraction(factor).limit_denominator(10**6)
    if not -Fraction(1, 2**54) <= Fraction(factor) / ratio - 1 <= Fraction(1, 2**53):
        raise TraceError(f"(model): sizes times {factor} are rounded in floating point")
    return size * ratio.numerator // ratio.denominator


_INTERPOLATIONS = {
    ("nearest", 1): "upsample_nearest1d",
    ("nearest", 2): "upsample_nearest2d",
    ("nearest", 3): "upsample_nearest3d",
    ("nearest-exact", 1): "_upsample_nearest_exact1d",
    ("nearest-exact", 2): "_upsample_nearest_exact2d",
    ("nearest-exact", 3): "_upsample_nearest_exact3d",
    ("linear", 1): "upsample_linear1d",
    ("bilinear", 2): "upsample_bilinear2d",
    ("bicubic", 2): "upsample_bicubic2d",
    ("trilinear", 3): "upsample_trilinear3d",
}


def _flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:  # noqa: A002 - torch calls it so
    axes = input.dim()
    if axes == 0 or order_of(input) != DENSE or not (-axes <= start_dim < axes and -axes <= end_dim < axes):
        return torch.flatten(input, start_dim, end_dim)
    start, end = start_dim % axes, end_dim % axes
    if start >= end:
        return torch.flatten(input, start_dim, end_dim)
    return input.view(
        [*input.shape[:start], math.prod(input.shape[start : end + 1]), *input.shape[end + 1 :]]
    )


def _reshape(input: Tensor, *shape: Any, **named: Any) -> Tensor:  # noqa: A002 - torch calls it so
    wanted = named.get("shape", shape)
    return input.view(*wanted) if order_of(input) == DENSE else input.reshape(*wanted)


def _contiguous(input: Tensor, memory_format: Any = torch.contiguous_format) -> Tensor:  # noqa: A002
    if memory_format is torch.contiguous_format and order_of(input) == DENSE:
        return input
    return input.contiguous(memory_format=memory_format)


def _cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "") -> Tensor:  # noqa: ARG001 - of values
    """Compute distances by the operator for any number of rows; the other one has the same products."""
    return torch.cdist(x1, x2, p, "donot_use_mm_for_euclid_dist")


INSTEAD: Mapping[Any, Callable[..., Any]] = {
    torch.nn.functional.interpolate: interpolate,
    **dict.fromkeys((torch.flatten, torch.Tensor.flatten), _flatten),
    **dict.fromkeys((torch.reshape, torch.Tensor.reshape), _reshape),
    torch.Tensor.contiguous: _contiguous,
    torch.cdist: _cdist,
}


class WithoutInterpolation(TorchFunctionMode):
    """Replaces interpolation, which has no products, by an empty tensor of the right shape."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function of torch."""
        run = _resized if func is torch.nn.functional.interpolate else func
        return run(*args, **(kwargs or {}))


def _resized(input: Tensor, size: Any = None, scale_factor: Any = None, *_: Any, **__: Any) -> Tensor:  # noqa: A002
    return input.new_empty([*input.shape[:2], *_sizes(input, size, scale_factor)])
