"""Shapes of results, by the definitions of operators; comparing symbolic sizes is a condition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Sizes = Sequence[Any]


class UnknownShapeError(Exception):
    """A case that is left to torch: an error or a rare one."""


def each(values: Any, axes: int) -> list[Any]:
    """Return one value per axis; torch accepts a single value for all."""
    found = list(values) if isinstance(values, list | tuple) else [values]
    return found * axes if len(found) == 1 else found


def convolved(
    x: Sizes,
    weight: Sizes,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> list[Any]:
    """Return the output shape of a batched convolution.

    >>> convolved([2, 3, 33, 32], [8, 3, 3, 3], [2], [1], [1], False, [0], 1)
    [2, 8, 17, 16]
    >>> convolved([2, 8, 17, 16], [8, 4, 2, 2], [2], [0], [1], True, [1], 1)
    [2, 4, 35, 33]
    """
    axes = len(weight) - 2
    c_in, c_out = (weight[0], weight[1] * groups) if transposed else (weight[1] * groups, weight[0])
    if len(x) != axes + 2 or not equal(x[1], c_in):
        raise UnknownShapeError
    of_axis = zip(
        x[2:], weight[2:], *(each(v, axes) for v in (stride, padding, dilation, output_padding)), strict=True
    )
    if transposed:
        spatial = [(n - 1) * s - 2 * p + d * (k - 1) + extra + 1 for n, k, s, p, d, extra in of_axis]
    else:
        spatial = [windows(n, k, s, p, d) for n, k, s, p, d, _ in of_axis]
    return [x[0], c_out, *_positive(spatial)]


def windows(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any = 1) -> Any:
    """Return the number of positions at which a window fits."""
    return (size + (2 * padding - dilation * (kernel - 1) - 1)) // stride + 1


def pooled(
    x: Sizes, axes: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> list[Any]:
    """Return the shape of a pooled feature map.

    >>> pooled([1, 8, 7, 8], 2, [3], [2], [0], [1], False), pooled([1, 8, 7, 8], 2, [3], [2], [0], [1], True)
    ([1, 8, 3, 3], [1, 8, 3, 4])
    """
    if not axes < len(x) <= axes + 2:
        raise UnknownShapeError
    settings = (kernel, stride or kernel, padding, dilation)
    of_axis = zip(x[-axes:], *(each(values, axes) for values in settings), strict=True)
    spatial = [_pooled(n, k, s, p, d, ceil_mode) for n, k, s, p, d in of_axis]
    return [*x[:-axes], *_positive(spatial)]


def _pooled(n: Any, k: int, s: int, p: int, d: int, ceil_mode: bool) -> Any:
    if 2 * p > k:
        raise UnknownShapeError
    if not ceil_mode:
        return windows(n, k, s, p, d)
    count = (n + (2 * p - d * (k - 1) - 1 + s - 1)) // s + 1
    # The last window must begin inside the map or its left padding; it does where k > s + p - 1.
    if d * (k - 1) + 1 <= s + p - 1 and (count - 1) * s >= n + p:
        return count - 1
    return count


def reduced(x: Sizes, axes: Any, keep: bool) -> list[Any]:
    """Return the shape of a sum, a mean or an extremum over axes; over all axes if none is named.

    >>> reduced([2, 8, 7, 7], [-1, -2], True), reduced([2, 8, 7, 7], [2, 3], False)
    ([2, 8, 1, 1], [2, 8])
    """
    named = (
        range(len(x)) if axes is None or axes == [] else axes if isinstance(axes, list | tuple) else [axes]
    )
    gone = {axis % len(x) for axis in named}
    if keep:
        return [1 if axis in gone else size for axis, size in enumerate(x)]
    return [size for axis, size in enumerate(x) if axis not in gone]


def broadcast(shapes: Sequence[Sizes]) -> list[Any]:
    """Return the shape of an element-wise result.

    >>> broadcast([[2, 8, 7, 7], [8, 1, 1], []])
    [2, 8, 7, 7]
    """
    axes = max(map(len, shapes))
    padded = [[1] * (axes - len(shape)) + list(shape) for shape in shapes]
    return [_common(sizes) for sizes in zip(*padded, strict=True)]


def _common(sizes: Sizes) -> Any:
    found: Any = None
    for size in sizes:
        if isinstance(size, int) and size == 1:
            continue
        if found is not None and not equal(found, size):
            raise UnknownShapeError  # one of them may be 1
        found = size if found is None else found
    return 1 if found is None else found


def joined(shapes: Sequence[Sizes], axis: int) -> list[Any]:
    """Return the shape of tensors joined along an axis.

    >>> joined([[2, 8, 7, 7], [2, 4, 7, 7]], 1)
    [2, 12, 7, 7]
    """
    first = list(shapes[0])
    if not all(len(shape) == len(first) for shape in shapes):
        raise UnknownShapeError
    axis %= len(first)
    for shape in shapes[1:]:
        if not all(equal(a, b) for k, (a, b) in enumerate(zip(first, shape, strict=True)) if k != axis):
            raise UnknownShapeError
    first[axis] = sum(shape[axis] for shape in shapes)
    return first


def shuffled(x: Sizes, factor: int) -> list[Any]:
    """Return the shape after a pixel shuffle: channels moved into a larger map."""
    *batch, channels, height, width = x
    if not channels % factor**2 == 0:
        raise UnknownShapeError
    return [*batch, channels // factor**2, height * factor, width * factor]


def unshuffled(x: Sizes, factor: int) -> list[Any]:
    """Return the shape after a pixel unshuffle: pixels moved into channels."""
    *batch, channels, height, width = x
    if not (height % factor == 0 and width % factor == 0):
        raise UnknownShapeError
    return [*batch, channels * factor**2, height // factor, width // factor]


def multiplied(one: Sizes, other: Sizes) -> list[Any]:
    """Return the shape of a matrix product, or of a batch of them.

    >>> multiplied([5, 2, 3], [5, 3, 4])
    [5, 2, 4]
    """
    if not (len(one) == len(other) and all(map(equal, one[:-2], other[:-2])) and equal(one[-1], other[-2])):
        raise UnknownShapeError
    return [*one[:-1], other[-1]]


def viewed(x: Sizes, wanted: Sizes) -> list[Any]:
    """Return the shape of a view; -1 stands for the remaining elements.

    >>> viewed([2, 12, 7, 5], [2, 3, 4, 7, 5]), viewed([2, 12, 7, 5], [2, -1])
    ([2, 3, 4, 7, 5], [2, 420])
    """
    left = [size for size in wanted if not _is_open(size)]
    elements, others = math.prod(_without(x, left)), math.prod(_without(left, x))
    if len(left) == len(wanted):
        if not equal(elements, others):
            raise UnknownShapeError
        return list(wanted)
    if not isinstance(others, int) or others < 1 or not elements % others == 0:
        raise UnknownShapeError
    return [elements // others if _is_open(size) else size for size in wanted]


def _is_open(size: Any) -> bool:
    return isinstance(size, int) and size == -1


def _without(sizes: Sizes, others: Sizes) -> list[Any]:
    """Return the sizes that remain after removing those of another list, with multiplicity."""
    gone = [*map(_expression, others)]
    left = []
    for size in sizes:
        if _expression(size) in gone:
            gone.remove(_expression(size))
        else:
            left.append(size)
    return left


def _expression(size: Any) -> Any:
    """Return a key of a size; sizes with the same expression are equal without a condition."""
    return size.node.expr if hasattr(size, "node") else size


def equal(one: Any, other: Any) -> bool:
    """Return whether two sizes are equal; a condition unless they are the same expression."""
    return bool(_expression(one) == _expression(other) or one == other)


def _positive(sizes: list[Any]) -> list[Any]:
    if not all(size >= 1 for size in sizes):
        raise UnknownShapeError
    return sizes
