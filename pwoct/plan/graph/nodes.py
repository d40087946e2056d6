"""What a network computes of one image, as a graph of feature maps and the operations that give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import count
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

Shape = tuple[int, int, int]  # channels, height, width

# The functions of pointwise_maps.h, in the same order.
FUNCTIONS = (
    "identity",
    "relu",
    "leaky_relu",
    "clip",
    "hard_sigmoid",
    "hard_swish",
    "sigmoid",
    "silu",
    "tanh",
    "elu",
)
# How the pixels of a window become one, as in windows.h.
MAXIMUM, MEAN_WITH_PAD, MEAN = range(3)
_NUMBERS = count()


class Function(NamedTuple):
    """A function of each pixel alone.

    parameter: a slope, a lower limit or a factor. limit: an upper limit.
    """

    name: str = "identity"
    parameter: float = 0.0
    limit: float = 0.0

    @property
    def code(self) -> int:
        """Its number in the compiled kernels."""
        return FUNCTIONS.index(self.name)


class Pooling(NamedTuple):
    """Windows of pixels, and how they become one: see windows.h. A stride of 0: as many windows as needed.

    scale: a factor of the mean.
    """

    kind: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 0
    padding: tuple[int, int] = (0, 0)
    dilation: int = 1
    scale: float = 1.0


@dataclass(eq=False)
class MapNode:
    """A feature map of one image; `inputs` are the maps that it is computed from.

    where: the name of the module that computes it.
    """

    shape: Shape
    inputs: tuple[MapNode, ...] = ()
    where: str = field(default="", kw_only=True)
    number: int = field(default_factory=_NUMBERS.__next__, kw_only=True)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.shape[1:]

    @property
    def elements(self) -> int:
        """The number of its pixels, of all channels."""
        return prod(self.shape)

    def on(self, inputs: Sequence[MapNode]) -> MapNode:
        """Return the same operation on other inputs."""
        return self.changed(inputs=tuple(inputs))

    def changed(self, **changes: Any) -> MapNode:
        """Return a new node with some attributes changed; it is numbered after all others."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "number"}
        return type(self)(**{**own, **changes})


@dataclass(eq=False)
class ImageNode(MapNode):
    """What the network is given."""


@dataclass(eq=False)
class Convolve(MapNode):
    """A convolution. weight: (c_out, c_in / groups, k_h, k_w); bias: (c_out,) or None.

    In a graph for training these are the places of numbers among what the network keeps.
    """

    weight: Tensor = field(default_factory=lambda: torch.empty(0))
    bias: Tensor | None = None
    stride: int = 1
    padding: tuple[int, int] = (0, 0)
    dilation: int = 1
    groups: int = 1

    @property
    def is_dense(self) -> bool:
        """Whether each output channel reads all input channels."""
        return self.groups == 1

    @property
    def is_depthwise(self) -> bool:
        """Whether each output channel reads one input channel, and there are several."""
        return self.groups > 1 and self.weight.shape[1] == 1


@dataclass(eq=False)
class BatchNormalise(MapNode):
    """A normalisation by the statistics of the batch.

    weight, bias, mean: places of the first of its numbers among what the network keeps.
    """

    weight: int = 0
    bias: int = 0
    mean: int | None = None
    epsilon: float = 0.0
    momentum: float = 0.0


@dataclass(eq=False)
class Scale(MapNode):
    """Each channel, times a number, plus a number: scale and shift are (channels,)."""

    scale: Tensor = field(default_factory=lambda: torch.empty(0))
    shift: Tensor = field(default_factory=lambda: torch.empty(0))


@dataclass(eq=False)
class Activate(MapNode):
    """A function of each pixel."""

    function: Function = field(default_factory=Function)


@dataclass(eq=False)
class Add(MapNode):
    """The sum of two maps of one shape."""


@dataclass(eq=False)
class Multiply(MapNode):
    """The product of two maps; the second has the first's shape, or one pixel for each channel."""


@dataclass(eq=False)
class Pool(MapNode):
    """Windows of pixels, each as one pixel."""

    pooling: Pooling = field(default_factory=lambda: Pooling(MAXIMUM))


@dataclass(eq=False)
class Gather(MapNode):
    """Pixels of other maps in other places.

    moved: (channels, height, width), for each pixel its number among the elements of all inputs, one
    behind the other; or -1 - i for constant i.
    """

    moved: Tensor = field(default_factory=lambda: torch.empty(0))
    constants: tuple[float, ...] = ()


def needed(result: MapNode) -> list[MapNode]:
    """Return the nodes that a result is computed from, and itself, in order."""
    found, left = {result}, [result]
    while left:
        for node in left.pop().inputs:
            if node not in found:
                found.add(node)
                left.append(node)
    return sorted(found, key=lambda node: node.number)


def is_same(first: MapNode, second: MapNode) -> bool:
    """Whether two graphs, recorded apart, are of the same operations in the same order."""
    ones, others = needed(first), needed(second)
    place = {node: i for nodes in (ones, others) for i, node in enumerate(nodes)}
    return len(ones) == len(others) and all(
        _is_alike(one, other, place) for one, other in zip(ones, others, strict=True)
    )


def _is_alike(one: MapNode, other: MapNode, place: Mapping[MapNode, int]) -> bool:
    if type(one) is not type(other) or [place[x] for x in one.inputs] != [place[x] for x in other.inputs]:
        return False
    names = [f.name for f in fields(one) if f.name not in ("inputs", "number", "where")]
    return all(_is_equal(getattr(one, name), getattr(other, name)) for name in names)


def _is_equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)
    return bool(a == b)


def uses_of(nodes: Sequence[MapNode]) -> dict[MapNode, int]:
    """Return how often each node is read by the others."""
    uses = dict.fromkeys(nodes, 0)
    for node in nodes:
        for source in node.inputs:
            uses[source] += 1
    return uses
