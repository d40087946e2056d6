"""ONNX operators that move, crop or resize tensors, in terms of torch's functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from costmodel.models.onnx_node import Operands
from costmodel.models.onnx_products import torch_pads


def _clip(node: Operands) -> Tensor:
    low = node.numbers("min", 1, [None])[0]
    high = node.numbers("max", 2, [None])[0]
    return node.tensor() if low is None and high is None else torch.clamp(node.tensor(), low, high)


def _reshape(node: Operands) -> Tensor:
    x, sizes = node.tensor(), node.numbers("shape", 1)
    keeps = not node.attribute("allowzero", 0)
    kept = [x.shape[i] if _is_zero(size) and keeps else size for i, size in enumerate(sizes)]
    return x.reshape(kept)


def _is_zero(size: Any) -> bool:
    return isinstance(size, int) and size == 0


def _flatten(node: Operands) -> Tensor:
    x, axis = node.tensor(), node.attribute("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))


def _transpose(node: Operands) -> Tensor:
    x = node.tensor()
    return x.permute(node.attribute("perm", list(reversed(range(x.ndim)))))


def _squeeze(node: Operands) -> Tensor:
    axes = node.numbers("axes", 1)
    return node.tensor().squeeze() if axes is None else node.tensor().squeeze(tuple(axes))


def _unsqueeze(node: Operands) -> Tensor:
    x, axes = node.tensor(), node.numbers("axes", 1)
    for axis in sorted(a + x.ndim + len(axes) if a < 0 else a for a in axes):
        x = x.unsqueeze(axis)
    return x


def _concat(node: Operands) -> Tensor:
    return torch.cat([node.tensor(i) for i in range(len(node))], node.attribute("axis"))


def _split(node: Operands) -> Any:
    x: Any = node.tensor()
    axis = node.attribute("axis", 0)
    sizes = node.numbers("split", 1)
    return x.split(sizes, axis) if sizes is not None else x.chunk(node.node.outputs, axis)


def _slice(node: Operands) -> Tensor:
    x = node.tensor()
    starts, ends = node.numbers("starts", 1), node.numbers("ends", 2)
    axes = node.numbers("axes", 3, list(range(len(starts))))
    steps = node.numbers("steps", 4, [1] * len(starts))
    cut = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 0:  # ONNX counts from the other end
            x, start, end, step = x.flip(axis), *_turned(start, end, x.shape[axis]), -step
        cut[axis] = slice(start, end, step)
    return x[tuple(cut)]


def _turned(start: Any, end: Any, size: Any) -> tuple[Any, Any]:
    first = min(start + size if start < 0 else start, size - 1)
    last = -1 if end < -size else (end + size if end < 0 else end)
    return size - 1 - first, size - 1 - last


def _gather(node: Operands) -> Tensor:
    x, axis = node.tensor(), node.attribute("axis", 0)
    index = node.scalar_or_tensor(1)
    if isinstance(index, int):
        single = not node.values[1].ndim
        taken = x.select(axis, index)
        return taken if single else taken.unsqueeze(axis).reshape(_gathered(x, axis, node.values[1].shape))
    if axis in (0, -x.ndim) and x.ndim == 2:
        return functional.embedding(index.long(), x)
    return x.index_select(axis, index.reshape(-1).long()).reshape(_gathered(x, axis, index.shape))


def _gathered(x: Tensor, axis: int, shape: Sequence[Any]) -> list[Any]:
    axis = axis + x.ndim if axis < 0 else axis
    return [*x.shape[:axis], *shape, *x.shape[axis + 1 :]]


def _expand(node: Operands) -> Tensor:
    x, sizes = node.tensor(), node.numbers("shape", 1)
    shapes: Any = torch.broadcast_shapes
    return x.expand(shapes(x.shape, sizes))


def _pad(node: Operands) -> Tensor:
    x, pads = node.tensor(), node.numbers("pads", 1)
    axes = node.numbers("axes", 3, list(range(x.ndim)))
    full = [0] * (2 * x.ndim)
    for place, axis in enumerate(axes):
        full[axis], full[axis % x.ndim + x.ndim] = pads[place], pads[place + len(axes)]
    mode = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}.get(node.attribute("mode", ""), "")
    if not mode:
        return functional.pad(x, torch_pads(full))
    inner = [*full[2 : x.ndim], *full[x.ndim + 2 :]]
    return functional.pad(x, torch_pads(inner), mode)


def _resize(node: Operands) -> Tensor:
    x = node.tensor()
    scales_at = 1 if node.node.operator == "Upsample" or len(node) == 2 else 2
    sizes = node.numbers("", 3)
    if sizes is None:
        scales = node.numbers("scales", scales_at)
        sizes = [_scaled(size, scale) for size, scale in zip(x.shape, scales, strict=True)]
    mode = {"linear": ("", "linear", "bilinear", "trilinear")[x.ndim - 2], "cubic": "bicubic"}
    return functional.interpolate(x, sizes[2:], mode=mode.get(node.attribute("mode", "nearest"), "nearest"))


def _scaled(size: Any, scale: float) -> Any:
    return size * int(scale) if float(scale).is_integer() else int(size * scale)


def _cast(node: Operands) -> Tensor:
    x = node.tensor()
    to = {1: torch.float32, 10: torch.float16, 11: torch.float64, 16: torch.bfloat16, 9: torch.bool,
          6: torch.int32, 7: torch.int64, 2: torch.uint8, 3: torch.int8}  # fmt: skip
    return x.to(to.get(node.attribute("to"), x.dtype))


def _dropout(node: Operands) -> Any:
    x = node.tensor()
    return (x, torch.ones_like(x, dtype=torch.bool))[: node.node.outputs]


def _where(node: Operands) -> Tensor:
    return torch.where(node.tensor(0), node.scalar_or_tensor(1), node.scalar_or_tensor(2))


def _top_k(node: Operands) -> Any:
    return torch.topk(node.tensor(), int(node.known(1).reshape(-1)[0]), node.attribute("axis", -1))


def _constant_of_shape(node: Operands) -> Tensor:
    return torch.zeros(node.numbers("", 0))


def _depth_to_space(node: Operands) -> Tensor:
    return functional.pixel_shuffle(node.tensor(), node.attribute("blocksize"))


def _space_to_depth(node: Operands) -> Tensor:
    return functional.pixel_unshuffle(node.tensor(), node.attribute("blocksize"))


SHAPES: Mapping[str, Callable[[Operands], Any]] = {
    "Clip": _clip,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "Expand": _expand,
    "Tile": lambda node: node.tensor().repeat(node.numbers("", 1)),
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
    "Cast": _cast,
    "Dropout": _dropout,
    "Where": _where,
    "TopK": _top_k,
    "CumSum": lambda node: torch.cumsum(node.tensor(), node.numbers("", 1)[0]),
    "ConstantOfShape": _constant_of_shape,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
