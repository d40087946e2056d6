"""Shapes of the results of frequent operators, without torch's detour through how it would compute them.

On symbolic sizes torch takes a normalisation apart into some ten operators, each of which compares sizes. The
result has the shape of the input; that is all that a cost needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
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


def shortcut(operator: OpOverload, args: Any, kwargs: Any) -> Any:
    """Return the result of an operator, or NotImplemented where there is no short way."""
    if operator.namespace != "aten":
        return NotImplemented
    name: str = operator.overloadpacket.__name__
    if name in _NORMALISATIONS:
        return _NORMALISATIONS[name](*args, **kwargs)
    if name == "native_batch_norm" and args[5] is False:
        return _batch_norm(*args, **kwargs)
    if name.removesuffix("_") in _ACTIVATIONS and operator._overloadname == "default":
        return args[0] if name.endswith("_") else torch.empty_like(args[0])
    return NotImplemented
