"""ONNX operators on known values, with which files compute shapes. Elements may be symbolic sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from costmodel.models.onnx_node import Operands

Array = Any  # a NumPy array of numbers or of torch's symbolic sizes


def known_shape(node: Operands) -> Array:
    """Return the sizes of a tensor (Shape), or their product (Size)."""
    value = node.values[0]
    sizes = list(value.shape)
    if node.node.operator == "Size":
        product: Any = 1
        for size in sizes:
            product = product * size
        return _array(product)
    return _array(sizes[node.attribute("start", 0) : node.attribute("end", len(sizes))])


def _array(values: Any) -> Array:
    """Return whole numbers, or objects if a size is symbolic."""
    flat = values if isinstance(values, list) else [values]
    plain = all(isinstance(value, int) for value in flat)
    array = np.empty(len(flat), dtype=np.int64 if plain else object)
    array[:] = flat
    return array if isinstance(values, list) else array.reshape(())


def _constant(node: Operands) -> Array:
    for name in ("value", "value_int", "value_ints", "value_float", "value_floats"):
        if name in node.node.attributes:
            found = np.asarray(node.node.attributes[name])
            return found.astype(np.float32) if found.dtype == np.float64 and name != "value" else found
    raise ValueError(f"a constant without a value, of {', '.join(node.node.attributes)}")


def _quotient(a: Array, b: Array) -> Array:
    whole = a.dtype.kind in "iuO" and b.dtype.kind in "iuO"
    return a // b if whole else a / b


def _elementwise(function: Callable[[Array, Array], Array]) -> Callable[[Operands], Array]:
    return lambda node: np.asarray(function(node.known(0), node.known(1)))


def _gather(node: Operands) -> Array:
    return np.asarray(np.take(node.known(0), node.known(1).astype(np.int64), axis=node.attribute("axis", 0)))


def _unsqueeze(node: Operands) -> Array:
    return np.expand_dims(node.known(0), tuple(node.numbers("axes", 1)))


def _squeeze(node: Operands) -> Array:
    axes = node.numbers("axes", 1)
    return np.squeeze(node.known(0), None if axes is None else tuple(axes))


def _concat(node: Operands) -> Array:
    return np.concatenate([node.known(i) for i in range(len(node))], axis=node.attribute("axis"))


def _slice(node: Operands) -> Array:
    x = node.known(0)
    starts, ends = node.numbers("starts", 1), node.numbers("ends", 2)
    axes = node.numbers("axes", 3, list(range(len(starts))))
    steps = node.numbers("steps", 4, [1] * len(starts))
    cut = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        cut[axis] = slice(start, end, step)
    return x[tuple(cut)]


def _cast(node: Operands) -> Array:
    x = node.known(0)
    if x.dtype == object:
        return x  # symbolic sizes stay unchanged
    kinds = {1: "float32", 10: "float16", 11: "float64", 6: "int32", 7: "int64", 9: "bool"}
    return x.astype(kinds.get(node.attribute("to"), x.dtype))


def _reshape(node: Operands) -> Array:
    return node.known(0).reshape([int(size) for size in node.numbers("shape", 1)])


def _constant_of_shape(node: Operands) -> Array:
    sizes = node.known(0)
    value = np.asarray(node.attribute("value", np.zeros(1, np.float32))).reshape(-1)[0]
    return np.full([int(size) for size in sizes.reshape(-1)], value)


def _range(node: Operands) -> Array:
    start, stop, step = (node.known(i).reshape(-1)[0] for i in range(3))
    return np.arange(start, stop, step)


def _expand(node: Operands) -> Array:
    x = node.known(0)
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(map(int, node.numbers("shape", 1)))))


def _product(node: Operands) -> Array:
    return np.asarray(np.prod(node.known(0), keepdims=bool(node.attribute("keepdims", 1))))


def _transpose(node: Operands) -> Array:
    return np.transpose(node.known(0), node.attribute("perm"))


def _where(node: Operands) -> Array:
    return np.where(node.known(0), node.known(1), node.known(2))


KNOWN: Mapping[str, Callable[[Operands], Array]] = {
    "Constant": _constant,
    "Identity": lambda node: node.known(0),
    "Add": _elementwise(lambda a, b: a + b),
    "Sub": _elementwise(lambda a, b: a - b),
    "Mul": _elementwise(lambda a, b: a * b),
    "Div": _elementwise(_quotient),
    "Mod": _elementwise(lambda a, b: a % b),
    "Equal": _elementwise(lambda a, b: a == b),
    "Max": _elementwise(np.maximum),
    "Min": _elementwise(np.minimum),
    "Gather": _gather,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Concat": _concat,
    "Slice": _slice,
    "Cast": _cast,
    "Reshape": _reshape,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Expand": _expand,
    "ReduceProd": _product,
    "Transpose": _transpose,
    "Where": _where,
    "Floor": lambda node: np.floor(node.known(0)) if node.known(0).dtype != object else node.known(0),
    "Sqrt": lambda node: np.sqrt(node.known(0)),
    "Neg": lambda node: -node.known(0),
}
