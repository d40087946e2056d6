"""Convolutions in one, two or three dimensions, and transposed ones: one layer, from its sizes.

`SPATIAL_KINDS` is not part of the registry: an entry there is an operator with formulas and a theorem, for
layers in two dimensions with symbols as sizes. The kinds here are the same operators on plain numbers in any
dimension. A test compares the two in two dimensions, and torch's counter checks the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from costmodel.convention import Cost
from costmodel.operators.contraction import convolution_macs, elements
from costmodel.operators.standard import output_size, same_padding
from costmodel.operators.transposed import check_output, check_output_padding, spread_size
from costmodel.sizes import check_groups, check_padding, check_sizes

Sides = tuple[int, ...]


@dataclass(frozen=True)
class SpatialLayer:
    """A convolution (batch, c_in, *size) -> (batch, c_out, *output) in as many dimensions as `size` has.

    Without a padding, the one that keeps the size at stride 1 is meant. A transposed convolution spreads each
    input element over the output; `output_padding` adds to the output's size there. Raises ValueError if a
    size is not positive, the dimensions differ, or the groups do not divide the channels.
    """

    c_in: int
    c_out: int
    size: Sides
    kernel: Sides
    stride: int = 1
    padding: Sides | None = None
    dilation: int = 1
    groups: int = 1
    bias: bool = False
    batch: int = 1
    transposed: bool = False
    output_padding: Sides | None = None

    def __post_init__(self) -> None:
        check_sizes(c_in=self.c_in, c_out=self.c_out, size=self.size, kernel=self.kernel, batch=self.batch)
        check_sizes(stride=self.stride, dilation=self.dilation, groups=self.groups)
        check_groups(self.groups, self.c_in, self.c_out)
        for name in ("kernel", "padding", "output_padding"):
            sides, needed = getattr(self, name), len(self.size)
            if sides is not None and len(sides) != needed:
                what = name.replace("_", " ")
                raise ValueError(f"{what} needs {needed} numbers, one per dimension, got {len(sides)}")
        check_padding(self.padding or 0)
        for extra in self.output_padding or ():
            check_output_padding(extra, self.stride, self.dilation)

    @property
    def output(self) -> Sides:
        """The output's size. Raises ValueError if the kernel does not fit."""
        paddings = self.padding or tuple(same_padding(k, self.dilation) for k in self.kernel)
        if self.transposed:
            return self._spread(paddings)
        axes = zip(self.size, self.kernel, paddings, strict=True)
        return tuple(int(output_size(n, k, self.stride, p, self.dilation)) for n, k, p in axes)

    def _spread(self, paddings: Sides) -> Sides:
        extras = self.output_padding or (0,) * len(self.size)
        sides = tuple(
            int(spread_size(n, k, self.stride, p, extra, self.dilation))
            for n, k, p, extra in zip(self.size, self.kernel, paddings, extras, strict=True)
        )
        check_output(sides, paddings, self.size)
        return sides


def spatial_cost(layer: SpatialLayer) -> Cost:
    """Return the cost of a convolution in any number of dimensions.

    >>> spatial_cost(SpatialLayer(16, 32, (100,), (5,))).macs == 5 * 16 * 32 * 100
    True
    >>> up = SpatialLayer(8, 4, (7, 7), (2, 2), stride=2, padding=(0, 0), transposed=True)
    >>> up.output, spatial_cost(up).macs == 2 * 2 * 8 * 4 * 7 * 7
    ((14, 14), True)
    """
    x, y = (layer.batch, layer.c_in, *layer.size), (layer.batch, layer.c_out, *layer.output)
    ends = (layer.c_in, layer.c_out) if layer.transposed else (layer.c_out, layer.c_in)
    weight = (ends[0], ends[1] // layer.groups, *layer.kernel)
    macs = convolution_macs(x, weight, y, transposed=layer.transposed)
    biases, outputs = (layer.c_out if layer.bias else 0), elements(y)
    return Cost(
        weights=elements(weight),
        biases=biases,
        macs=macs,
        macs_input_grad=macs,
        macs_weight_grad=macs,
        activations=outputs,
        elements_read=elements(x) + elements(weight) + biases,
        elements_written=outputs,
        calls=1,
        bias_ops=outputs if layer.bias else 0,
    )


def _straight(layer: SpatialLayer) -> SpatialLayer:
    """A layer that is not transposed, and has no output padding."""
    return replace(layer, transposed=False, output_padding=None)


def _standard(layer: SpatialLayer) -> Cost:
    return spatial_cost(_straight(layer))


def _transposed(layer: SpatialLayer) -> Cost:
    return spatial_cost(replace(layer, transposed=True))


def _pointwise(layer: SpatialLayer) -> Cost:
    ones = (1,) * len(layer.size)
    return spatial_cost(replace(_straight(layer), kernel=ones, padding=None, dilation=1, groups=1))


def _depthwise(layer: SpatialLayer) -> Cost:
    if layer.c_out % layer.c_in:
        channels = f"{layer.c_in} -> {layer.c_out}"
        raise ValueError(f"a depthwise convolution needs c_out to be a multiple of c_in, got {channels}")
    return _standard(replace(layer, groups=layer.c_in))


def _separable(layer: SpatialLayer) -> Cost:
    straight = _straight(layer)
    first = replace(straight, c_out=layer.c_in, bias=False, groups=layer.c_in)
    return spatial_cost(first) + _pointwise(replace(straight, size=first.output, stride=1))


SPATIAL_KINDS: Mapping[str, Callable[[SpatialLayer], Cost]] = {
    "standard": _standard,
    "pointwise": _pointwise,
    "depthwise": _depthwise,
    "separable": _separable,
    "transposed": _transposed,
}
