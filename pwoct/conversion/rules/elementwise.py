"""Element-wise functions and copies: applied to each branch."""

from __future__ import annotations

from typing import Any

from pwoct.conversion.rules.registry import Function, rule
from pwoct.conversion.tensor import OctaveTensor

_ACTIVATIONS = (
    *("relu", "relu6", "silu", "gelu", "elu", "celu", "selu", "leaky_relu", "hardswish", "hardsigmoid"),
    *("hardtanh", "sigmoid", "tanh", "softplus", "mish", "logsigmoid", "log_sigmoid", "softsign"),
    *("tanhshrink", "threshold", "rrelu", "hardshrink", "softshrink"),
)
_FUNCTIONS = (
    *("abs", "neg", "exp", "log", "log1p", "sqrt", "rsqrt", "square", "sign", "erf", "sin", "cos"),
    *("clamp", "clip", "clamp_min", "clamp_max", "nan_to_num", "reciprocal"),
)
# Each branch draws its own mask.
_DROPOUTS = ("dropout", "dropout2d", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
_COPIES = (
    *("clone", "contiguous", "detach", "to", "type", "float", "half", "double", "bfloat16", "type_as"),
    *("requires_grad",),
)


@rule(*_ACTIVATIONS, *_FUNCTIONS, *_DROPOUTS, *_COPIES)
def each_branch(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Apply a function to the branches of its first argument; other pairs give only dtype and device."""
    x = args[0] if args else kwargs.pop("input", None)
    if not isinstance(x, OctaveTensor):
        return NotImplemented
    others = tuple(a.branch if isinstance(a, OctaveTensor) else a for a in args[1:])
    high = None if x.high is None else func(x.high, *others, **kwargs)
    low = None if x.low is None else func(x.low, *others, **kwargs)
    return x.like(high, low)


@rule("new_empty", "new_zeros", "new_ones", "new_full", "new_tensor")
def new_tensor(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Create a tensor with the dtype and device of the branches."""
    return func(args[0].branch, *args[1:], **kwargs)
