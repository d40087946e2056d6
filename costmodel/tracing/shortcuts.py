"""Shapes of the results of frequent operators, without torch's detour through how it would compute them.

On symbolic sizes torch takes a normalisation apart into some ten operators, each of which compares sizes. The
result has the shape of the input; that is all that a cost needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch._dispatch.python import no_python_dispatcher
from torch._ops import OpOverload

_ACTIVATIONS = frozenset(
    {
        "relu", "relu6", "silu", "gelu", "sigmoid", "tanh", "hardswish", "hardsigmoid", "hardtanh", "elu",
        "leaky_relu", "mish", "softplus", "exp", "_softmax",
    }
)  # fmt: skip


def _batch_norm(x: Tensor, *_: Any, **__: Any) -> Any:
    return torch.empty_like(x), x.new_empty([0]), x.new_empty([0])


def _layer_norm(x: Tensor, normalized: Any, *_: Any, **__: Any) -> Any:
    kept = [*x.shape[: x.dim() - len(normalized)], *[1] * len(normalized)]
    return x.new_empty(x.shape), x.new_empty(kept), x.new_empty(kept)


def _group_norm(x: Tensor, _weight: Any, _bias: Any, n: Any, _c: Any, _hw: Any, groups: int, *_: Any) -> Any:
    return x.new_empty(x.shape), x.new_empty([n, groups]), x.new_empty([n, groups])


_NORMALISATIONS: Mapping[str, Callable[..., Any]] = {
    "_native_batch_norm_legit_no_training": _batch_norm,
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
}


def _resized(x: Tensor, output_size: Any, *_: Any, **__: Any) -> Tensor:
    return x.new_empty([*x.shape[:2], *output_size])


def _interpolate(
    input: Tensor,  # noqa: A002 - torch calls it so
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,  # noqa: ARG001 - it changes values, not sizes
    antialias: bool = False,
) -> Tensor:
    """Interpolate by the operator itself: on the way to it, torch would turn symbols into numbers."""
    axes = input.dim() - 2
    if size is None:
        factors = scale_factor if isinstance(scale_factor, list | tuple) else [scale_factor] * axes
        size = [_scaled(n, factor) for n, factor in zip(input.shape[2:], factors, strict=True)]
    sizes = list(size) if isinstance(size, list | tuple) else [size] * axes
    if mode == "area" or (mode, axes) not in _INTERPOLATIONS:
        return torch.nn.functional.interpolate(input, sizes, None, mode, align_corners, None, antialias)
    name = _INTERPOLATIONS[mode, axes]
    operator = getattr(torch.ops.aten, f"_{name}_aa" if antialias else name).default
    corners = [] if mode.startswith("nearest") else [bool(align_corners)]
    with no_python_dispatcher():  # whose rule would take the operator apart
        result: Tensor = operator(input, sizes, *corners)
    return result


def _scaled(size: Any, factor: float) -> Any:
    """Return floor(size factor), exactly as torch's floating-point product gives it for usual factors."""
    ratio = Fraction(factor).limit_denominator(10**6)
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

# Functions that run on symbolic sizes in the place of torch's own.
INSTEAD: Mapping[Any, Callable[..., Any]] = {torch.nn.functional.interpolate: _interpolate}


def shortcut(operator: OpOverload, args: Any, kwargs: Any) -> Any:
    """Return the result of an operator, or NotImplemented where there is no short way."""
    if operator.namespace != "aten":
        return NotImplemented
    name: str = operator.overloadpacket.__name__
    if name in _NORMALISATIONS:
        return _NORMALISATIONS[name](*args, **kwargs)
    if "upsample" in name and "backward" not in name:
        return _resized(*args, **kwargs)
    if name == "native_batch_norm" and args[5] is False:
        return _batch_norm(*args, **kwargs)
    if name.removesuffix("_") in _ACTIVATIONS and operator._overloadname == "default":
        return args[0] if name.endswith("_") else torch.empty_like(args[0])
    return NotImplemented
