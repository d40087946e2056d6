"""Rules of sums and products: of maps, and of maps with numbers that weights give."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pwoct.plan.graph.nodes import Add, MapNode, Multiply, Scale
from pwoct.plan.graph.record import GraphTrace, map_shape, rule
from pwoct.plan.graph.values import RefusedError

Recorded = tuple[MapNode, torch.Size]


@rule("add")
def add(recorder: GraphTrace, x: Any, y: Any, *, alpha: float = 1) -> Recorded:
    """Record x + alpha y."""
    if not recorder.holds(x):
        return _affine(recorder, y, alpha, x)
    if not recorder.holds(y):
        return _affine(recorder, x, 1, y, alpha)
    shape = broadcast(x.shape, y.shape)
    first, second = (_expanded(recorder, value, shape) for value in (x, y))
    if alpha != 1:
        second = _scaled(recorder, second, alpha)
    return recorder.add(Add(first.shape, (first, second))), shape


@rule("sub")
def subtract(recorder: GraphTrace, x: Any, y: Any, *, alpha: float = 1) -> Recorded:
    """Record x - alpha y."""
    return add(recorder, x, y, alpha=-alpha)


@rule("rsub")
def subtract_from(recorder: GraphTrace, x: Any, y: Any, alpha: float = 1) -> Recorded:
    """Record y - alpha x."""
    return add(recorder, y, x, alpha=-alpha)


@rule("neg")
def negate(recorder: GraphTrace, x: Tensor) -> Recorded:
    """Record -x."""
    return _affine(recorder, x, -1, 0)


@rule("mul")
def multiply(recorder: GraphTrace, x: Any, y: Any) -> Recorded:
    """Record x y; a factor may have one pixel for each channel."""
    if not recorder.holds(x):
        return _affine(recorder, y, x, 0)
    if not recorder.holds(y):
        return _affine(recorder, x, y, 0)
    shape = broadcast(x.shape, y.shape)
    if x.shape != shape:
        x, y = y, x
    first = _expanded(recorder, x, shape)
    per_channel = y.dim() == 4 and y.shape[1:] == (first.shape[0], 1, 1)
    second = recorder.node(y) if per_channel else _expanded(recorder, y, shape)
    return recorder.add(Multiply(first.shape, (first, second))), shape


@rule("div")
def divide(recorder: GraphTrace, x: Any, y: Any) -> Recorded:
    """Record x / y, where y does not depend on the images."""
    if recorder.holds(y):
        raise RefusedError("a division by a feature map")
    return _affine(recorder, x, 1 / y, 0)


@rule("square")
def square(recorder: GraphTrace, x: Tensor) -> Recorded:
    """Record x x."""
    return multiply(recorder, x, x)


def broadcast(*shapes: torch.Size) -> torch.Size:
    """Return the shape of an element-wise operator's result."""
    found: torch.Size = torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
    return found


def _expanded(recorder: GraphTrace, x: Tensor, shape: torch.Size) -> MapNode:
    if x.shape == shape:
        return recorder.node(x)
    numbers = recorder.numbers(x).expand(shape)
    wanted = map_shape(torch.empty(shape, device="meta"))
    return recorder.maps.node(numbers.reshape(shape[0], *wanted), recorder.where[-1])


def _scaled(recorder: GraphTrace, x: MapNode, by: float) -> MapNode:
    scale = torch.full((x.shape[0],), float(by), dtype=torch.float64, device="cpu")
    return recorder.add(Scale(x.shape, (x,), scale=scale, shift=torch.zeros_like(scale)))


def _affine(recorder: GraphTrace, x: Tensor, scale: Any, shift: Any, of_shift: float = 1) -> Recorded:
    """Record scale x + of_shift shift, with numbers, or tensors of one number for each channel."""
    shape = broadcast(x.shape, *(v.shape for v in (scale, shift) if isinstance(v, Tensor)))
    node = _expanded(recorder, x, shape)
    scales, shifts = (_per_channel(v, shape, node.shape[0]) for v in (scale, shift))
    return recorder.add(Scale(node.shape, (node,), scale=scales, shift=shifts * of_shift)), shape


def _per_channel(value: Any, shape: torch.Size, channels: int) -> Tensor:
    """Return numbers as (channels,).

    Raises:
        RefusedError: if they differ by pixel or image.
    """
    numbers = torch.as_tensor(value, dtype=torch.float64, device="cpu").detach()
    if numbers.numel() == 1:
        return numbers.reshape(1).expand(channels)
    whole = numbers.expand(shape).reshape(shape[0], channels, -1)
    if not torch.equal(whole, whole[:1, :, :1].expand(whole.shape)):
        raise RefusedError("numbers that differ by pixel beside a feature map")
    return whole[0, :, 0]
