"""Prices as text: arithmetic on the shapes and arguments of one event, read from the rules of counters."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import cache
from math import prod
from string import ascii_letters
from types import CodeType
from typing import Any

from costmodel.reconcile.events import Shape

_ALLOWED = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.Name, ast.Load,
    ast.Constant, ast.Subscript, ast.Slice, ast.Tuple, ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod,
    ast.Pow, ast.USub, ast.Not, ast.And, ast.Or, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is,
    ast.IsNot, ast.In, ast.NotIn, ast.keyword, ast.Starred, ast.GeneratorExp, ast.comprehension, ast.Store,
)  # fmt: skip


def _size(shape: Any) -> int:
    """Return the elements of a shape; 0 where there is none."""
    return 0 if shape is None else prod(shape)


def _volume(shape: Any) -> int:
    """Return the elements of a shape; 0 for a single number."""
    return _size(shape or None)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _fails(why: str) -> int:
    """Say that the counter itself fails.

    Raises ValueError.
    """
    raise ValueError(why)


def _alphabetical(equation: str) -> str:
    """Return an equation of einsum without spaces, with its letters named a, b, c, ... in their order."""
    letters = dict.fromkeys(letter for letter in equation if letter.isalpha())
    names = {ord(letter): ord("a") + place for place, letter in enumerate(letters)}
    return equation.replace(" ", "").translate(names)


def _index_product(equation: str, *shapes: Any) -> int:
    """Return the product of all index sizes of an einsum; 0 with an ellipsis."""
    if "..." in equation:
        return 0
    letters: dict[str, int] = {}
    for subscripts, shape in zip(equation.split("->")[0].replace(" ", "").split(","), shapes, strict=True):
        letters.update(zip(subscripts, shape, strict=True))
    return prod(letters.values())


def _equation(arguments: Any) -> str:
    """Return the equation of an einsum; of lists of axes, the one that torch makes of them."""
    if isinstance(arguments[0], str):
        return arguments[0]
    *sides, _ = (*arguments[1::2], ()) if len(arguments) % 2 == 0 else (*arguments[1::2], arguments[-1], ())
    terms = ["".join(ascii_letters[i] if isinstance(i, int) else "..." for i in side) for side in sides]
    operands = len(arguments) // 2
    return ",".join(terms[:operands]) + "".join(f"->{term}" for term in terms[operands:])


def _pair_product(equation: str, *shapes: Any) -> int:
    """Return the products of an einsum of two operands, each first summed over the axes that it has alone.

    Axes of an ellipsis are numbered from the right, as they broadcast. An axis of size 1 is as good as none.
    """
    terms, arrow, output = equation.replace(" ", "").partition("->")
    if not arrow:
        output = "..." + "".join(letter for letter in terms if terms.count(letter) == 1)
    one, other = (
        {axis: size for axis, size in zip(_axes(term, len(shape)), shape, strict=True) if size != 1}
        for term, shape in zip(terms.split(","), shapes, strict=True)
    )
    kept = [
        axis
        for axis in {**one, **other}
        if (axis in one and axis in other) or (axis if isinstance(axis, str) else "...") in output
    ]
    return prod(one.get(axis, other.get(axis, 1)) for axis in kept)


def _axes(term: str, dims: int) -> list[str | int]:
    """Return the names of an operand's axes: letters, and numbers from the right for those of an ellipsis."""
    head, _, tail = term.partition("...")
    return [*head, *range(dims - len(head) - len(tail), 0, -1), *tail]


def _attention(
    width: int, heads: int, inputs: int, keys: Any, outputs: Any, batch_first: bool, appended: int
) -> int:
    """Return the MACs of attention with its projections, and of its softmax: 3 per element less 1 per row.

    `inputs` is the sum of the widths of keys and values; `appended` counts the positions that are added to
    the keys after their projection.
    """
    y, *weights = outputs
    batch = 1 if len(y) == 2 else y[0 if batch_first else 1]
    along = -2 if batch_first or len(y) == 2 else 0
    attended = weights[0][-1] if weights else keys[along] + appended
    projections = width * (2 * y[along] * width + (attended - appended) * inputs)
    products = 2 * y[along] * attended * width
    return int(batch * (projections + products + heads * y[along] * (3 * attended - 1)))


def _path_flops(equation: str, *shapes: Any) -> int:
    """Return half of the FLOPs of an einsum, rounded down."""
    return _einsum_flops(equation, *shapes) // 2


def _einsum_flops(equation: str, *shapes: Any) -> int:
    """Return what NumPy prints, in four digits, as the optimised FLOPs of an einsum."""
    import numpy as np

    arrays = [np.broadcast_to(0.0, shape) for shape in shapes]
    path = np.einsum_path(equation.replace(" ", ""), *arrays, optimize="optimal")[1]
    (line,) = (line for line in path.splitlines() if "optimized flop" in line.lower())
    return int(float(line.split(":")[-1]))


def _windows(inputs: Any, outputs: Any) -> int:
    """Return the elements that adaptive pooling reads, each as often as it is read."""
    return prod(
        int(o) if i == o else sum(-(-(j + 1) * i // o) - j * i // o for j in range(o))
        for i, o in zip(inputs, outputs, strict=True)
    )


def _window_reads(
    inputs: Any, outputs: Any, kernel: Any, stride: Any, padding: Any, padded: bool, axes: int
) -> int:
    """Return the elements that pooling windows read; those of the padding only where it counts."""
    dims = len(kernel) if isinstance(kernel, tuple) else axes
    k, s, p = (v if isinstance(v, tuple) else (v,) * dims for v in (kernel, stride, padding))
    reads = int(prod(inputs[:-dims]))
    for axis in range(dims):
        size, lower = inputs[axis - dims], -p[axis] if padded else 0
        upper = size + p[axis] if padded else size
        starts = [i * s[axis] - p[axis] for i in range(outputs[axis - dims])]
        reads *= sum(max(min(at + k[axis], upper) - max(at, lower), 0) for at in starts)
    return reads


def _ratio_product(inputs: Any, outputs: Any) -> float:
    """Return the product of quotients of sizes, rounded as float64 rounds them."""
    product = 1.0
    for i, o in zip(inputs, outputs, strict=True):
        product *= i / o
    return product


def _floor_product(inputs: Any, outputs: Any) -> int:
    """Return the product of quotients of sizes, each rounded down; one number stands for every axis."""
    sizes = outputs if isinstance(outputs, tuple) else (outputs,) * len(inputs)
    return prod(i // o for i, o in zip(inputs, sizes, strict=True))


def _conv_outputs(sizes: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> int:
    """Return the output positions of a convolution; "same" is half of what is missing on either side."""
    dims = len(sizes)
    s, d = (v if isinstance(v, tuple) else (1 if v is None else v,) * dims for v in (stride, dilation))
    if padding == "same":
        p = tuple(d[i] * (kernel[i] - 1) // 2 for i in range(dims))
    elif padding in (None, "valid"):
        p = (0,) * dims
    else:
        p = padding if isinstance(padding, tuple) else (padding,) * dims
    return prod((sizes[i] + 2 * p[i] - d[i] * (kernel[i] - 1) - 1) // s[i] + 1 for i in range(dims))


def _broadcast(a: Any, b: Any) -> int:
    """Return the elements of two shapes broadcast together; something that is not a shape is a number."""
    shapes = [tuple(s) for s in (a, b) if isinstance(s, tuple)]
    longest = max(map(len, shapes), default=0)
    padded = [(1,) * (longest - len(s)) + s for s in shapes]
    return prod(map(max, zip(*padded, strict=True))) if padded else 1


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "prod": prod,
    "n": _size,
    "volume": _volume,
    "len": len,
    "range": range,
    "max": max,
    "min": min,
    "sum": sum,
    "int": int,
    "is_text": _is_text,
    "is_shape": lambda value: isinstance(value, Shape),
    "is_tuple": lambda value: isinstance(value, tuple),
    "fails": _fails,
    "alphabetical": _alphabetical,
    "index_product": _index_product,
    "equation": _equation,
    "pair_product": _pair_product,
    "attention": _attention,
    "path_flops": _path_flops,
    "einsum_flops": _einsum_flops,
    "windows": _windows,
    "window_reads": _window_reads,
    "broadcast": _broadcast,
    "ratio_product": _ratio_product,
    "floor_product": _floor_product,
    "conv_outputs": _conv_outputs,
}


class Names(dict[str, Any]):
    """The names of an expression; what an event does not have is None."""

    def __missing__(self, key: str) -> Any:
        if key in FUNCTIONS:
            return FUNCTIONS[key]
        return None


@cache
def compiled(text: str) -> CodeType:
    """Return an expression ready to evaluate.

    Raises ValueError if it is more than arithmetic.
    """
    tree = ast.parse(text, mode="eval")
    wrong = [node for node in ast.walk(tree) if not isinstance(node, _ALLOWED)]
    if wrong:
        raise ValueError(f"a price is arithmetic on shapes, got {type(wrong[0]).__name__} in {text}")
    return compile(tree, "<price>", "eval")


def evaluate(text: str, names: Names) -> Any:
    """Return the value of an expression.

    >>> evaluate("2 * n(x) if weight is not None else n(x)", Names(x=(2, 3), weight=(3,)))
    12
    """
    names["__builtins__"] = {}  # globals, since the inside of a generator sees no others
    return eval(compiled(text), names)
