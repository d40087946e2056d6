"""Tensors without data whose elements are known to lie in the order of their axes.

torch determines a tensor's memory layout by comparing its strides. On symbolic sizes each comparison becomes
a condition of the result: whether w is 1, whether h w is w. The results of a network's operators are nearly
always in order by definition, which then need not be tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch._dispatch.python import no_python_dispatcher
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, in_kernel_invocation_manager

IN_ORDER = 1  # strides never increase from one axis to the next; a slice, for example
DENSE = 2  # and there are no gaps: contiguous

_KEEPS = frozenset({"view", "_unsafe_view", "unsqueeze", "alias", "detach"})
_LEAVES_GAPS = frozenset({"slice", "split", "split_with_sizes", "narrow", "select", "chunk", "squeeze"})


class Ordered:
    """Makes tensors in order, and knows which tensors are."""

    def __init__(self, mode: FakeTensorMode) -> None:
        self._mode = mode

    def new(self, like: Tensor, shape: Sequence[Any], dtype: torch.dtype | None = None) -> Tensor:
        """Return a dense tensor of a shape, with the device and, by default, the dtype of another one."""
        with no_python_dispatcher(), in_kernel_invocation_manager(self._mode):
            made = torch.empty_strided(
                tuple(shape), _strides(shape), dtype=dtype or like.dtype, device="meta"
            )
        return marked(FakeTensor(self._mode, made, like.device), DENSE)

    def view(self, dense: Tensor, shape: Sequence[Any]) -> Tensor:
        """Return a dense tensor viewed in another shape; the storage is the same."""
        with no_python_dispatcher(), in_kernel_invocation_manager(self._mode):
            made = torch.as_strided(dense, tuple(shape), _strides(shape))
        return marked(FakeTensor(self._mode, made, dense.device), DENSE)


def _strides(shape: Sequence[Any]) -> list[Any]:
    strides: list[Any] = [1] * len(shape)
    for axis in reversed(range(len(shape) - 1)):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    return strides


def marked(tensor: Tensor, order: int) -> Tensor:
    """Return a tensor whose memory layout is now known."""
    cast(Any, tensor)._known_order = order
    return tensor


def order_of(tensor: Tensor) -> int:
    """Return IN_ORDER or DENSE; 0 if the order is not known without a condition."""
    known = getattr(tensor, "_known_order", None)
    if known is not None:
        return int(known)
    extents = (*tensor.shape, *tensor.stride())
    is_known = all(isinstance(extent, int) for extent in extents)
    return DENSE if is_known and tensor.is_contiguous() else 0


def mark_views(operator: str, source: Any, result: Any) -> None:
    """Pass the known order of a tensor on to its views."""
    if not isinstance(source, Tensor) or operator not in _KEEPS | _LEAVES_GAPS:
        return
    order = order_of(source)
    if operator in _KEEPS and order == DENSE:
        marked(result, DENSE)
    elif operator in _LEAVES_GAPS and order:
        for view in result if isinstance(result, list | tuple) else [result]:
            marked(view, IN_ORDER)
