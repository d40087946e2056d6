"""Rules of operators that only move data: they are applied to the numbers of elements."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from pwoct.plan.graph.record import GraphTrace, rule
from pwoct.plan.graph.values import RefusedError

VIEWS = ("view", "_unsafe_view", "_reshape_alias", "reshape")
IN_FLOAT = (
    *("upsample_nearest2d", "_upsample_nearest_exact2d", "reflection_pad2d", "replication_pad2d"),
    *("pixel_shuffle", "pixel_unshuffle", "native_channel_shuffle", "channel_shuffle"),
)
COPIES = (
    *("cat", "stack", "flip", "roll", "index_select", "index", "repeat", "clone", "contiguous"),
    *("select_copy", "gather", "tril", "triu"),
)
LIKE = (
    *("zeros_like", "ones_like", "full_like", "empty_like"),
    *("new_zeros", "new_ones", "new_full", "new_empty"),
)
MOVES = (
    *("unsqueeze", "squeeze", "permute", "transpose", "t", "expand", "slice", "select", "narrow", "unfold"),
    *("split", "split_with_sizes", "chunk", "unbind", "alias", "detach", "lift_fresh"),
)


def _given(recorder: GraphTrace, value: Any, is_index: bool = False) -> Any:
    if not isinstance(value, Tensor) or (is_index and not recorder.holds(value)):
        return value
    if not recorder.holds(value) and not value.is_floating_point():
        return value
    return recorder.numbers(value)


def _moved(recorder: GraphTrace, func: Any, args: Any, kwargs: Any, numbers: Any) -> Any:
    """Return what an operator returns, tensors without content that hold numbers."""
    is_view = any(a.alias_info is not None for a in func._schema.arguments)
    if is_view:
        result = func(*args, **kwargs)
    else:
        like = next(x for x in _flat(args) if recorder.holds(x))
        result = tree_map(lambda n: torch.empty(n.shape, dtype=like.dtype, device="cpu"), numbers)
    for y, held in zip(_flat(result), _flat(numbers), strict=True):
        recorder.hold(y, held)
    return result


def _flat(value: Any) -> list[Any]:
    return [x for x in tree_leaves(value) if isinstance(x, Tensor)]


@rule(*COPIES, *MOVES)
def move(recorder: GraphTrace, *args: Any, func: Any, **kwargs: Any) -> Any:
    """Move numbers as the operator moves elements."""
    kwargs.pop("memory_format", None)
    numbers = func(*tree_map(lambda x: _given(recorder, x), args), **kwargs)
    return _moved(recorder, func, args, kwargs, numbers)


@rule(*VIEWS)
def view(recorder: GraphTrace, x: Tensor, shape: Any, *args: Any, func: Any) -> Any:
    """Number the elements of another shape."""
    numbers = recorder.numbers(x).reshape(torch.empty(x.shape, device="meta").reshape(shape).shape)
    return _moved(recorder, func, (x, shape, *args), {}, numbers)


@rule(*IN_FLOAT)
def move_in_float(recorder: GraphTrace, x: Tensor, *args: Any, func: Any, **kwargs: Any) -> Any:
    """Move numbers by an operator that takes floating numbers alone; they are exact in float64."""
    numbers = func(recorder.numbers(x).double(), *args, **kwargs).long()
    return _moved(recorder, func, (x, *args), kwargs, numbers)


@rule("constant_pad_nd")
def fill(recorder: GraphTrace, x: Tensor, amounts: Any, value: float = 0, *, func: Any) -> Any:
    """Put a constant around a map."""
    number = recorder.maps.constant(float(value))
    return _moved(recorder, func, (x,), {}, func(recorder.numbers(x), amounts, number))


@rule(*LIKE)
def make_like(recorder: GraphTrace, x: Tensor, *args: Any, func: Any, **kwargs: Any) -> Any:
    """Make a tensor that has something of a map's form, and nothing of its content."""
    del recorder
    return func(x, *args, **kwargs)


@rule("_to_copy")
def convert(recorder: GraphTrace, x: Tensor, **kwargs: Any) -> Any:
    """Keep a map: the kernels compute in one type."""
    dtype = kwargs.get("dtype") or x.dtype
    if not dtype.is_floating_point:
        raise RefusedError(f"a feature map as {dtype}")
    y = torch.empty(x.shape, dtype=dtype, device="cpu")
    recorder.hold(y, recorder.numbers(x))
    return y
