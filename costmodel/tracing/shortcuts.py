"""Results of frequent operators on symbolic sizes, without torch's detour through their decompositions.

torch decomposes a normalisation into some ten operators, each of which compares sizes and tests the memory
layout of its result. A cost needs only the shape of a result, and that it lies in order if its inputs do.
Uncertain cases are left to torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensorMode

from costmodel.tracing import shape_rules
from costmodel.tracing.ordered import DENSE, Ordered, mark_views, order_of
from costmodel.tracing.raw import bound, leaves
from costmodel.tracing.shape_rules import UnknownShapeError, equal

Arguments = Mapping[str, Any]
Rule = Callable[[Arguments], list[Any]]

_ELEMENTWISE = frozenset(
    {
        "relu", "relu6", "silu", "gelu", "sigmoid", "tanh", "hardswish", "hardsigmoid", "hardtanh", "elu",
        "leaky_relu", "mish", "softplus", "exp", "_softmax", "clone", "clamp", "clamp_min", "clamp_max",
        "neg", "abs", "sqrt", "rsqrt", "add", "sub", "mul", "div", "rsub", "maximum", "minimum",
        "_prelu_kernel",
    }
)  # fmt: skip
# Their results are dense, whatever the layout of their operands.
_OF_ANY_ORDER = frozenset({"mm", "addmm", "bmm", "baddbmm"})


def _convolved(a: Arguments) -> list[Any]:
    names = ("stride", "padding", "dilation", "transposed", "output_padding", "groups")
    return shape_rules.convolved(a["input"].shape, a["weight"].shape, *(a[name] for name in names))


def _pooled(axes: int) -> Rule:
    def rule(a: Arguments) -> list[Any]:
        settings = (a["kernel_size"], a["stride"], a["padding"], a.get("dilation", 1), a["ceil_mode"])
        return shape_rules.pooled(a["self"].shape, axes, *settings)

    return rule


def _resized(a: Arguments) -> list[Any]:
    x, sizes = a.get("self", a.get("input")), a["output_size"]
    if sizes is None:
        raise UnknownShapeError
    return [*x.shape[: x.dim() - len(sizes)], *sizes]


def _reduced(a: Arguments) -> list[Any]:
    if "dim" not in a:
        return []
    return shape_rules.reduced(a["self"].shape, a["dim"], a["keepdim"])


def _multiplied(a: Arguments) -> list[Any]:
    one = next(a[name] for name in ("mat1", "batch1", "self") if name in a)
    other = next(a[name] for name in ("mat2", "batch2") if name in a)
    return shape_rules.multiplied(one.shape, other.shape)


def _elementwise(a: Arguments) -> list[Any]:
    return shape_rules.broadcast(
        [value.shape for value in leaves(list(a.values())) if isinstance(value, Tensor)]
    )


# The shape of an operator's first result. The second result of pooling, the indices, has the same shape.
_RULES: Mapping[str, Rule] = {
    "convolution": _convolved,
    **{f"max_pool{axes}d_with_indices": _pooled(axes) for axes in (2, 3)},
    **{f"avg_pool{axes}d": _pooled(axes) for axes in (1, 2, 3)},
    **dict.fromkeys(("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d"), _resized),
    **dict.fromkeys(("mean", "sum", "amax"), _reduced),
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(_OF_ANY_ORDER, _multiplied),
    "cat": lambda a: shape_rules.joined([x.shape for x in a["tensors"]], a["dim"]),
    "pixel_shuffle": lambda a: shape_rules.shuffled(a["self"].shape, a["upscale_factor"]),
    "pixel_unshuffle": lambda a: shape_rules.unshuffled(a["self"].shape, a["downscale_factor"]),
}
_VIEWS = frozenset({"view", "_unsafe_view"})
_WITH_INDICES = frozenset({"max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool2d"})
_NORMALISATIONS = frozenset(
    {"_native_batch_norm_legit_no_training", "native_batch_norm", "native_layer_norm", "native_group_norm"}
)


class Shortcuts:
    """Runs operators on tensors without data."""

    def __init__(self, mode: FakeTensorMode) -> None:
        self._ordered = Ordered(mode)

    def __call__(self, operator: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return the result of an operator: by a rule or, if there is none, from torch."""
        name: str = operator.overloadpacket.__name__
        if operator.namespace == "aten":
            try:
                return self._result(name, bound(operator, tuple(args), kwargs))
            except UnknownShapeError:
                pass
        result = operator(*args, **kwargs)
        if args:
            mark_views(name, args[0], result)
        return result

    def _result(self, name: str, a: Arguments) -> Any:
        if name in _NORMALISATIONS:
            return self._normalised(name, a)
        if "upsample" in name and "backward" not in name:
            return self._new(a, _resized(a))
        base = name if name in _RULES else name.removesuffix("_")
        if base in _VIEWS and "size" in a:
            return self._viewed(a)
        if base not in _RULES or a.get("dtype") is not None:
            raise UnknownShapeError
        dtype = _dtype(a)
        self._check_order(name, a)
        shape = _RULES[base](a)
        if base != name:
            return _in_place(a["self"], shape)
        result = self._new(a, shape, dtype)
        return (result, self._new(a, shape, torch.int64)) if name in _WITH_INDICES else result

    def _viewed(self, a: Arguments) -> Tensor:
        x = a["self"]
        if order_of(x) != DENSE:
            raise UnknownShapeError
        return self._ordered.view(x, shape_rules.viewed(x.shape, a["size"]))

    def _check_order(self, name: str, a: Arguments) -> None:
        """Continue only with tensors of known order, so that the order of the result is known."""
        if name in _OF_ANY_ORDER or (name == "clone" and a["memory_format"] is torch.contiguous_format):
            return
        if a.get("memory_format") not in (None, torch.preserve_format, torch.contiguous_format):
            raise UnknownShapeError
        if not all(order_of(value) for value in leaves(list(a.values())) if isinstance(value, Tensor)):
            raise UnknownShapeError

    def _new(self, a: Arguments, shape: Sequence[Any], dtype: torch.dtype | None = None) -> Tensor:
        like = next(value for value in leaves(list(a.values())) if isinstance(value, Tensor))
        return self._ordered.new(like, shape, dtype)

    def _normalised(self, name: str, a: Arguments) -> Any:
        x = a["input"]
        if a.get("training"):
            raise UnknownShapeError
        statistics: list[Any] = [0]
        if name == "native_layer_norm":
            axes = len(a["normalized_shape"])
            statistics = [*x.shape[: x.dim() - axes], *[1] * axes]
        elif name == "native_group_norm":
            statistics = [a["N"], a["group"]]
        result = self._ordered.new(x, x.shape) if order_of(x) else torch.empty_like(x)
        return result, self._ordered.new(x, statistics), self._ordered.new(x, statistics)


class SameShapes(Shortcuts):
    """Applies the short rules only to normalisations; torch itself finds all other shapes.

    So a count at concrete sizes is independent of the rules that closed forms use.
    """

    def _result(self, name: str, a: Arguments) -> Any:
        if name not in _NORMALISATIONS or a["input"].dtype not in (torch.float32, torch.float64):
            raise UnknownShapeError
        return self._normalised(name, a)


def _in_place(x: Tensor, shape: Sequence[Any]) -> Tensor:
    if len(x.shape) != len(shape) or not all(map(equal, x.shape, shape)):
        raise UnknownShapeError
    return x


def _dtype(a: Arguments) -> torch.dtype:
    """Return the dtype of a result: that of all tensors, if it is a floating-point dtype."""
    found = {value.dtype for value in leaves(list(a.values())) if isinstance(value, Tensor)}
    if len(found) != 1:
        raise UnknownShapeError
    (dtype,) = found
    scalars = [value for value in leaves(list(a.values())) if isinstance(value, complex)]
    if not dtype.is_floating_point or scalars:
        raise UnknownShapeError
    return dtype
