"""MACs from the shapes of one call: convolutions in any number of dimensions, and matrix products.

Each function takes the shapes of the operands and of the result, as the call had them, and returns MACs. A
shape's entries are numbers or symbols. Taps on padding are counted, and so are entries that a mask hides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from costmodel.sizes import Size

Shape = Sequence[Size]


def elements(shape: Iterable[Size]) -> Size:
    """Return the number of elements of a tensor of that shape.

    >>> elements((2, 3, 4)), elements(())
    (24, 1)
    """
    count: Size = 1
    for extent in shape:
        count = count * extent
    return count


def convolution_macs(x: Shape, weight: Shape, y: Shape, *, transposed: bool = False) -> Size:
    """Return the MACs of x (n, c_in, *size) -> y (n, c_out, *size') in any number of dimensions.

    A weight is (c_out, c_in / groups, *kernel): each output element takes c_in / groups times the kernel's
    taps. A transposed convolution has (c_in, c_out / groups, *kernel): each *input* element meets them, so
    that groups, dilation and output padding are all in the shapes.

    >>> convolution_macs((1, 2, 5, 5), (4, 2, 3, 3), (1, 4, 5, 5)) == 4 * 25 * 2 * 9
    True
    >>> convolution_macs((1, 2, 5), (2, 4, 2), (1, 4, 10), transposed=True) == 2 * 5 * 4 * 2
    True
    """
    return elements(x if transposed else y) * elements(weight[1:])


def matmul_macs(a: Shape, b: Shape, y: Shape) -> Size:
    """Return the MACs of a matrix product, with any batches: each output element sums over the inner size.

    >>> matmul_macs((5, 2, 3), (3, 4), (5, 2, 4)) == 5 * 2 * 3 * 4
    True
    """
    del b  # its sizes follow from those of a and y
    return elements(y) * a[-1]


def trilinear_macs(shapes: Sequence[Shape], expanded: Sequence[Sequence[int]], summed: Sequence[int]) -> Size:
    """Return the MACs of a product of three tensors: of the first two, then of that with the third.

    Each tensor is given axes of size 1 at `expanded`, so that all three broadcast; the axes in `summed` are
    summed over as soon as no later factor has them. A bilinear layer y_o = x1 W_o x2 with x1 (n, i),
    W (o, i, j) and x2 (n, j) takes n (o i j + o j).

    >>> trilinear_macs([(2, 3), (5, 3, 4), (2, 4)], [(1, 3), (0,), (1, 2)], (2, 3)) == 2 * (5 * 3 * 4 + 5 * 4)
    True
    """
    first, second, third = (_with_axes(*pair) for pair in zip(shapes, expanded, strict=True))
    both = [b if a == 1 else a for a, b in zip(first, second, strict=True)]
    left = [1 if axis in summed and third[axis] == 1 else size for axis, size in enumerate(both)]
    every = [b if a == 1 else a for a, b in zip(left, third, strict=True)]
    return elements(both) + elements(every)


def _with_axes(shape: Shape, axes: Sequence[int]) -> list[Size]:
    found = list(shape)
    for axis in sorted(axes):
        found.insert(axis, 1)
    return found


def attention_macs(query: Shape, key: Shape, value: Shape) -> Size:
    """Return the MACs of scaled dot product attention: the scores, and the weighted sum of the values.

    query (..., heads, l, d), key (..., kv_heads, s, d), value (..., kv_heads, s, e); a key head may serve
    several query heads. Masked and causal scores are counted: l s (d + e) per query head.

    >>> attention_macs((1, 4, 5, 8), (1, 2, 7, 8), (1, 2, 7, 3)) == 4 * 5 * 7 * (8 + 3)
    True
    """
    return elements(query[:-1]) * key[-2] * (query[-1] + value[-1])
