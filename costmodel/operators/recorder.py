"""A network as a list of operators: a recorder runs its forward pass on sizes alone.

The recorder's methods are the operators of the reference module. Each takes feature maps, records its cost
and what it saves for the backward pass, and returns the feature map that it produces. The same code works
on numbers and symbols.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from costmodel.convention import Cost, total
from costmodel.operators import elementwise
from costmodel.operators.pointwise import linear
from costmodel.operators.standard import convolution, output_size
from costmodel.sizes import Pair, Size, ceil_div

Part = Literal["conv", "linear", "bn", "activation", "pool", "upsample", "concatenate", "add", "zero_pad"]


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """A tensor (batch, channels, h, w), named after the operator that produced it."""

    channels: Size
    size: Pair
    name: str
    view_of: FeatureMap | None = None  # slices, crops and a repeated pixel share another map's storage

    def elements(self, batch: Size = 1) -> Size:
        """Return the number of elements of the whole batch."""
        return batch * self.channels * self.size[0] * self.size[1]

    def channel_slice(self, channels: Size) -> FeatureMap:
        """Return a view of some of the channels."""
        return replace(self, channels=channels, view_of=self.view_of or self)

    def cropped(self, size: Pair) -> FeatureMap:
        """Return a view of the first rows and columns."""
        return replace(self, size=size, view_of=self.view_of or self)


class Place(NamedTuple):
    """Where an operator stands in a network."""

    role: str = "block"  # stem, block, shortcut or head
    path: str | None = None  # HH, HL, LH or LL
    stage: int | None = None
    block: int | None = None


NOWHERE = Place()


class OctaveMap(NamedTuple):
    """The two branches of an octave feature map; a branch without channels is None."""

    high: FeatureMap | None
    low: FeatureMap | None


class Saved(NamedTuple):
    """A tensor kept for the backward pass: equal names share one storage."""

    name: str
    elements: Size


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of a network: what it is, where it stands, what it costs."""

    name: str
    part: Part
    cost: Cost
    saved: tuple[Saved, ...] = ()
    place: Place = NOWHERE
    channels: Pair | None = None  # of the input and the output
    size: Pair | None = None  # height and width of the output

    @property
    def has_weights(self) -> bool:
        """Whether it is a convolution or a linear layer."""
        return self.part in ("conv", "linear")


class Recorder:
    """Records operators, for a batch of images."""

    def __init__(self, batch: Size = 1) -> None:
        self.batch = batch
        self.operators: list[Operator] = []
        self._place = NOWHERE

    @contextmanager
    def at(self, **place: Any) -> Iterator[None]:
        """Note a place (role, path, stage, block) on everything recorded inside."""
        outer = self._place
        self._place = outer._replace(**place)
        try:
            yield
        finally:
            self._place = outer

    def conv(
        self,
        name: str,
        x: FeatureMap,
        c_out: Size,
        kernel: Size | Iterable[Size],
        *,
        stride: Size = 1,
        dilation: Size = 1,
        groups: Size = 1,
        bias: bool = False,
        input_grad: bool = True,
    ) -> FeatureMap:
        """Record a convolution whose padding keeps the size at stride 1; it saves its input."""
        kernel = (kernel, kernel) if not isinstance(kernel, tuple) else kernel
        cost = convolution(
            x.channels,
            c_out,
            kernel,
            x.size,
            stride=stride,
            dilation=dilation,
            groups=groups,
            bias=bias,
            batch=self.batch,
            input_grad=input_grad,
        )
        h, w = (output_size(n, k, stride, None, dilation) for n, k in zip(x.size, kernel, strict=True))
        return self.note(name, "conv", cost, FeatureMap(c_out, (h, w), name), saves=(x,))

    def bn(self, name: str, x: FeatureMap) -> FeatureMap:
        """Record a batch normalisation; it saves its input, the batch's mean and inverse deviation."""
        cost = elementwise.batch_norm(x.channels, x.elements(self.batch))
        statistics = Saved(f"{name}:statistics", 2 * x.channels)
        return self.note(name, "bn", cost, _renamed(x, name), saves=(x,), extra=(statistics,))

    def relu(self, name: str, x: FeatureMap) -> FeatureMap:
        """Record a ReLU; it saves its output."""
        y = _renamed(x, name)
        return self.note(name, "activation", elementwise.activation(x.elements(self.batch)), y, saves=(y,))

    def pool(self, name: str, x: FeatureMap, window: Size = 2) -> FeatureMap:
        """Record an average pooling over windows of that size and stride; it saves its input."""
        y = FeatureMap(x.channels, (ceil_div(x.size[0], window), ceil_div(x.size[1], window)), name)
        cost = elementwise.average_pool(x.elements(self.batch), y.elements(self.batch))
        return self.note(name, "pool", cost, y, saves=(x,))

    def global_pool(self, name: str, x: FeatureMap) -> FeatureMap:
        """Record the mean over all positions; it saves nothing."""
        y = FeatureMap(x.channels, (1, 1), name)
        cost = elementwise.average_pool(x.elements(self.batch), y.elements(self.batch))
        return self.note(name, "pool", cost, y)

    def upsample(self, name: str, x: FeatureMap, size: Pair) -> FeatureMap:
        """Record a nearest-neighbour upsampling by 2, cropped to a size; the crop is a view and free."""
        elements = x.elements(self.batch)
        cost = elementwise.upsample(elements, 4 * elements)
        # Torch repeats a single pixel without copying it.
        storage = (x.view_of or x) if x.size == (1, 1) else None
        doubled = FeatureMap(x.channels, (2 * x.size[0], 2 * x.size[1]), name, storage)
        return self.note(name, "upsample", cost, doubled if size == doubled.size else doubled.cropped(size))

    def add(self, name: str, x: FeatureMap, y: FeatureMap) -> FeatureMap:
        """Record the sum of two maps of one shape."""
        if _differ(x.channels, y.channels) or any(map(_differ, x.size, y.size)):
            raise ValueError(
                f"{name}: can't add {x.name} {x.channels}x{x.size} and {y.name} {y.channels}x{y.size}"
            )
        return self.note(name, "add", elementwise.add(x.elements(self.batch)), _renamed(x, name))

    def concatenate(self, name: str, x: FeatureMap, y: FeatureMap) -> FeatureMap:
        """Record a concatenation along the channels."""
        both = FeatureMap(x.channels + y.channels, x.size, name)
        return self.note(name, "concatenate", elementwise.concatenate(both.elements(self.batch)), both)

    def zero_pad(self, name: str, x: FeatureMap, c_out: Size, stride: int) -> FeatureMap:
        """Record every `stride`-th pixel of a map, a view, with channels of zeros after its own."""
        h, w = (ceil_div(side, stride) for side in x.size)
        kept, padded = FeatureMap(x.channels, (h, w), x.name), FeatureMap(c_out, (h, w), name)
        cost = elementwise.zero_pad(kept.elements(self.batch), padded.elements(self.batch))
        return self.note(name, "zero_pad", cost, padded)

    def linear(self, name: str, x: FeatureMap, c_out: Size) -> FeatureMap:
        """Record a linear layer with bias; it saves its input."""
        cost = linear(x.channels, c_out, batch=self.batch)
        return self.note(name, "linear", cost, FeatureMap(c_out, (1, 1), name), saves=(x,))

    def note(
        self,
        name: str,
        part: Part,
        cost: Cost,
        produced: FeatureMap,
        saves: tuple[FeatureMap, ...] = (),
        extra: tuple[Saved, ...] = (),
    ) -> FeatureMap:
        """Record an operator and return the map that it produces.

        It saves the maps in `saves` for the backward pass, and the tensors in `extra`. All other methods
        record by this one.
        """
        stored = (x.view_of or x for x in saves)
        saved = (*(Saved(x.name, x.elements(self.batch)) for x in stored), *extra)
        channels = (saves[0] if saves else produced).channels, produced.channels
        self.operators.append(Operator(name, part, cost, saved, self._place, channels, produced.size))
        return produced


def _renamed(x: FeatureMap, name: str) -> FeatureMap:
    """A map of the same shape with its own storage."""
    return FeatureMap(x.channels, x.size, name)


def _differ(a: Size, b: Size) -> bool:
    # Formulas such as c_H + c_L and c may be equal though they look different: only a number can tell.
    difference = a - b
    return difference != 0 and (isinstance(difference, int) or bool(difference.is_number))


def cost_of(operators: Iterable[Operator]) -> Cost:
    """Return what operators cost together."""
    return total(operator.cost for operator in operators)


def saved_elements(operators: Iterable[Operator]) -> Size:
    """Return the elements kept for the backward pass, each distinct storage once."""
    return sum({saved.name: saved.elements for operator in operators for saved in operator.saved}.values())
