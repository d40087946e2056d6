"""The numbers of a layer per dimension, as `costmodel.layer` takes them, and the layer with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

from costmodel.operators.layer import Layer
from costmodel.operators.spatial import SPATIAL_KINDS, Sides, SpatialLayer
from costmodel.sizes import check_choice, pair, plain, sides

Lengths: TypeAlias = int | Iterable[int]


@dataclass(frozen=True)
class LayerShape:
    """What has one number per dimension; None where the default of the kind holds."""

    size: Sides
    kernel: Sides | None
    padding: Sides | None
    output_padding: Sides | None

    @property
    def dim(self) -> int:
        """The number of dimensions."""
        return len(self.size)


def shape_of(
    dim: int, size: Lengths, kernel: Lengths | None, padding: Lengths | None, output_padding: Lengths | None
) -> LayerShape:
    """Return the shape of a layer in one, two or three dimensions.

    Raises ValueError if there are not as many numbers as dimensions.
    """
    axes = plain(dim)
    if not isinstance(axes, int) or axes not in (1, 2, 3):
        raise ValueError(f"dim must be 1, 2 or 3, got {dim!r}")
    rest = (None if given is None else _numbers(given, axes) for given in (kernel, padding, output_padding))
    return LayerShape(_numbers(size, axes), *rest)


def _numbers(given: Lengths, dim: int) -> Sides:
    needed = {1: "one in a sequence", 2: "a pair (height, width)", 3: "three, one per dimension"}[dim]
    return cast("Sides", sides(given, dim, needed))  # what is no integer is refused with its name later


def sized(kind: str, options: Layer, shape: LayerShape) -> Layer | SpatialLayer:
    """Return a layer of a kind with a shape and the other options. Raises ValueError if there is none."""
    if kind != "transposed" and shape.output_padding is not None:
        raise ValueError(f"output_padding does not apply: a {kind} layer is not transposed")
    kernel = shape.kernel or (3,) * shape.dim
    if shape.dim == 2 and kind != "transposed":
        padding = None if shape.padding is None else pair(shape.padding)
        return replace(options, size=pair(shape.size), kernel=pair(kernel), padding=padding)
    check_choice(f"op with dim {shape.dim}", kind, SPATIAL_KINDS)
    return SpatialLayer(
        c_in=int(options.c_in),
        c_out=int(options.c_out),
        size=shape.size,
        kernel=kernel,
        stride=options.stride,
        padding=shape.padding,
        dilation=options.dilation,
        groups=options.groups,
        bias=options.bias,
        batch=options.batch,
        transposed=kind == "transposed",
        output_padding=shape.output_padding,
    )
