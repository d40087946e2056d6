"""Operations of a training step: recorded forward, and their gradients in reverse order."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from pwoct.plan.compiled import operations
from pwoct.plan.compiled.filters import NEEDS, Filters, Normalised, Statistics, filters_of, phases
from pwoct.plan.compiled.library import load
from pwoct.plan.compiled.moves import Move, Scattered
from pwoct.plan.compiled.operations import (
    BARRIER,
    BIAS_GRADIENT,
    CONVOLUTION,
    MAPPING,
    NORMALISATION,
    NORMALISATION_GRADIENT,
    NORMALISATION_SUMS,
    PAIRED_WEIGHT_GRADIENT,
    PAIRING,
    POOLING,
    STATISTICS,
    SUMMING,
    TAP_GRADIENT,
    WEIGHT_GRADIENT,
    WINOGRAD_CONVOLUTION,
    WINOGRAD_WEIGHT_GRADIENT,
    Map,
    Size,
    Step,
)
from pwoct.plan.compiled.weights import Weights
from pwoct.plan.shared.choose import uses_winograd


class Tape:
    """Records a network forward; `reverse` then records the gradients of all that was recorded.

    Args:
        rounds: whether maps and weights of convolutions are rounded to bfloat16, as under autocast;
            operations sum and normalise in float32.

    Attributes:
        group: channels that share a vector.
        steps: operations so far.
        parameters: all parameters that operations use, in order.
        weights: of convolutions, by their places among the parameters.
        norms: all normalisations with the number of pixels of their maps, in the order of their statistics.
    """

    def __init__(self, rounds: bool = False) -> None:
        self.rounds, self.group = rounds, operations.GROUPS[torch.bfloat16 if rounds else torch.float32]
        self.weights = Weights(self.group)
        self.steps: list[Step] = []
        self.parameters: list[Tensor] = []
        self.norms: list[tuple[Statistics, int]] = []
        self._firsts: dict[int, int] = {}
        self.moves: list[Move] = []
        self.scattered: list[Scattered] = []
        self._gradients: dict[Map, Map] = {}
        self._backward: list[Callable[[], None]] = []
        self._constant: set[Map] = set()

    @property
    def parameter_count(self) -> int:
        """The number of elements of all parameters so far."""
        return sum(parameter.numel() for parameter in self.parameters)

    @property
    def sum_count(self) -> int:
        """The number of sums per block: 4 for each channel of a normalisation."""
        return 4 * sum(norm.channels for norm, _ in self.norms)

    def convolve(
        self, x: Map, convolution: nn.Conv2d, *, plus: Map | None = None, doubled: Map | None = None
    ) -> Map:
        """Record conv(x) + plus + doubled, repeated 2 x 2.

        Raises:
            ValueError: unless the filter is 1x1 or 3x3, without groups or bias, and all maps fit.
        """
        filters = filters_of(convolution, x.channels)
        first = self.add_parameter(convolution.weight)
        return self.filter(x, filters._replace(first=first), plus=plus, doubled=doubled)

    def add_parameter(self, parameter: Tensor) -> int:
        """Return the place of a tensor's first element among those of all parameters."""
        if id(parameter) not in self._firsts:
            self._firsts[id(parameter)] = self.parameter_count
            self.parameters.append(parameter)
        return self._firsts[id(parameter)]

    def filter(self, x: Map, filters: Filters, *, plus: Map | None = None, doubled: Map | None = None) -> Map:
        """Record a convolution by filters among the parameters, plus maps as in `convolve`."""
        y = Map(filters.shape[0], *filters.size(x.size))
        operations.check_sums(y, plus, doubled)
        places, fields = filters.places(), filters.fields()
        reads = {"input": x, "plus": plus, "doubled": doubled}
        self._convolve(y, reads, places, bias=filters.bias, stride=filters.stride, **fields)

        def gradient() -> None:
            dy = self._gradients[y]
            self._add_gradient(plus, dy)
            if doubled is not None:
                self._add_gradient(doubled, self._sum_windows(dy))
            if filters.trains:
                self._weight_gradient(x, dy, filters)
            self._bias_gradient(dy, filters)
            if x not in self._constant:
                dx = Map(*self._shape(x))
                for reached in phases(filters):
                    own = places[:, :, reached.rows][:, :, :, reached.columns].transpose(0, 1)
                    reads = {"input": dy, "plus": self._gradients.get(x)}
                    self._convolve(dx, reads, own, **reached.fields)
                self._gradients[x] = dx

        self._backward.append(gradient)
        return y

    def _convolve(self, y: Map, reads: dict[str, Map | None], places: Tensor, **fields: float) -> None:
        x = reads["input"]
        assert x is not None
        is_winograd = self._is_winograd(x.channels, y, fields)
        kind = WINOGRAD_CONVOLUTION if is_winograd else CONVOLUTION
        fields |= {"groups": x.groups(self.group), "channels": y.groups(self.group) * self.group}
        if places.numel():
            fields["weight"] = self.weights.add_winograd(places) if is_winograd else self.weights.add(places)
        self.steps.append(operations.step(kind, y, reads, **fields))

    def _weight_gradient(self, x: Map, dy: Map, filters: Filters) -> None:
        fields = {**filters.fields(), "stride": filters.stride, "weight": filters.first}
        fields |= {"groups": x.channels, "channels": dy.channels}
        if filters.shape[2:] not in ((1, 1), (3, 3)):
            self.steps.append(operations.step(TAP_GRADIENT, None, {"input": dy, "source": x}, **fields))
            return
        kind = WEIGHT_GRADIENT
        whole = x.channels % load().pwoct_side() == 0 and dy.channels % load().pwoct_side() == 0
        if whole and filters.padding == (1, 1) and self._is_winograd(x.channels, dy, fields):
            kind = WINOGRAD_WEIGHT_GRADIENT
        elif self.rounds:
            # For each pair of pixels of dy, the pairs of pixels of x under each tap.
            pairs, s = -(-dy.width // 2), fields["stride"]
            width = 2 * (pairs - 1) * s + (fields["kernel_width"] - 1) * fields["dilation"] + 1
            x = self._pair(x, width, dilation=1, stride=s, pad_width=fields["pad_width"])
            dy = self._pair(dy, pairs, dilation=2, stride=1)
            kind = PAIRED_WEIGHT_GRADIENT
        self.steps.append(operations.step(kind, None, {"input": dy, "source": x}, **fields))

    def _bias_gradient(self, dy: Map, filters: Filters) -> None:
        if filters.trains_bias:
            fields = {"bias": filters.bias, "channels": dy.channels}
            self.steps.append(operations.step(BIAS_GRADIENT, None, {"input": dy}, **fields))

    @staticmethod
    def _is_winograd(c_in: int, y: Map, fields: Mapping[str, float]) -> bool:
        """Whether a convolution of all pixels of a map of this size is computed by Winograd's method."""
        is_3x3 = fields["kernel_height"] == fields["kernel_width"] == 3
        is_plain = fields["stride"] == fields["dilation"] == fields.get("spread", 1) == 1
        return is_3x3 and is_plain and uses_winograd(c_in, y.channels, y.size)

    def _pair(self, x: Map, width: int, **fields: int) -> Map:
        """Record pairs of pixels; each vector holds pairs of one channel."""
        y = Map(x.groups(self.group) * self.group**2, x.height, width)
        groups = x.groups(self.group)
        self.steps.append(operations.step(PAIRING, y, {"input": x}, groups=groups, **fields))
        return y

    def double(self, x: Map, size: Size) -> Map:
        """Record each pixel, repeated 2 x 2 to a size.

        Raises:
            ValueError: unless that is twice the size of x.
        """
        if size != (2 * x.height, 2 * x.width):
            raise ValueError(f"{NEEDS} even sizes where a map is upsampled, got {size[0]} x {size[1]}")
        y = Map(x.channels, 2 * x.height, 2 * x.width)
        self._repeat(y, None, x, 1.0)
        self._backward.append(lambda: self._add_gradient(x, self._sum_windows(self._gradients[y])))
        return y

    def pool(self, x: Map, by: int) -> Map:
        """Record the average of `by` x `by` pixels.

        Raises:
            ValueError: unless `by` is 2 and the size even.
        """
        if by != 2 or x.height % 2 or x.width % 2:
            raise ValueError(f"{NEEDS} even sizes pooled by 2, got {x.height} x {x.width} by {by}")
        y = Map(x.channels, x.height // 2, x.width // 2)
        self.steps.append(operations.step(POOLING, y, {"input": x}, groups=x.groups(self.group), stride=2))

        def gradient() -> None:
            before, dy = self._gradients.get(x), self._gradients[y]
            is_shared = sum(one is before for one in self._gradients.values()) > 1  # by terms of a sum
            if is_shared or not operations.adds_repeated(self.steps, before, dy, 0.25):
                self._gradients[x] = Map(*self._shape(x))
                self._repeat(self._gradients[x], before, dy, 0.25)

        self._backward.append(gradient)
        return y

    def normalise(self, inputs: Sequence[tuple[Map, nn.Module, Map | None]], relu: bool) -> list[Map]:
        """Record relu(norm(x) + plus) of several maps, whose statistics all threads sum together.

        Raises:
            ValueError: if one is not a `BatchNorm2d` with parameters and momentum, or maps do not fit.
        """
        recorded = []
        for x, norm, plus in inputs:
            if type(norm) is not nn.BatchNorm2d or not norm.affine or norm.momentum is None:
                raise ValueError(f"{NEEDS} BatchNorm2d with parameters and momentum, got {norm}")
            if norm.num_features != x.channels:
                raise ValueError(f"{NEEDS} normalisations that fit, got {x.channels} channels for {norm}")
            operations.check_sums(x, plus)
            recorded.append(Normalised(x, self.statistics_of(norm), plus))
        return self.normalise_maps(recorded, relu)

    def statistics_of(self, norm: nn.BatchNorm2d) -> Statistics:
        """Return where the parameters and the statistics of a normalisation are."""
        weight, bias = self.add_parameter(norm.weight), self.add_parameter(norm.bias)
        assert norm.momentum is not None
        return Statistics(
            norm.num_features, weight, bias, norm.eps, norm.momentum, norm, range(norm.num_features)
        )

    def normalise_maps(self, inputs: Sequence[Normalised], relu: bool) -> list[Map]:
        """Record relu(norm(x) + plus) of several maps, by the places of their parameters."""
        recorded = []
        for x, norm, plus in inputs:
            fields = {
                "statistics": self.sum_count,
                "weight": norm.weight,
                "bias": norm.bias,
                "channels": norm.channels,
                "relu": relu,
                "epsilon": norm.epsilon,
            }
            self.norms.append((norm, x.height * x.width))
            recorded.append((x, plus, Map(*self._shape(x)), fields))
        self.steps += [operations.step(STATISTICS, None, {"input": x}, **f) for x, _, _, f in recorded]
        self.steps.append(operations.step(BARRIER, None, {}))
        for x, plus, y, fields in recorded:
            self.steps.append(operations.step(NORMALISATION, y, {"input": x, "plus": plus}, **fields))
        self._backward.append(partial(self._normalise_gradient, recorded, relu))
        return [y for _, _, y, _ in recorded]

    def _normalise_gradient(
        self, recorded: Sequence[tuple[Map, Map | None, Map, dict[str, float]]], relu: bool
    ) -> None:
        before = []
        for x, plus, y, fields in recorded:
            kept = Map(*self._shape(y))  # the gradient, masked where the ReLU was inactive
            reads = {"input": self._gradients[y], "result": y if relu else None, "source": x}
            self.steps.append(operations.step(NORMALISATION_SUMS, kept, reads, **fields))
            self._add_gradient(plus, kept)
            before.append(kept)
        self.steps.append(operations.step(BARRIER, None, {}))
        for kept, (x, _, _, fields) in zip(before, recorded, strict=True):
            dx = Map(*self._shape(x))
            reads = {"input": kept, "source": x}
            self.steps.append(operations.step(NORMALISATION_GRADIENT, dx, reads, **fields))
            self._add_gradient(x, dx)

    def reverse(self, result: Map, gradient: Map, images: Map, *, to_images: bool) -> Map | None:
        """Record the gradients, given the map of the result's gradient; return the map of the images'."""
        self._gradients = {result: gradient}
        if not to_images:
            self._constant.add(images)
        for record in reversed(self._backward):
            record()
        self._backward.clear()
        return self._gradients.get(images) if to_images else None

    def _add_gradient(self, x: Map | None, dx: Map) -> None:
        if x is not None:
            before = self._gradients.get(x)
            self._gradients[x] = dx if before is None else self._add(dx, before)

    def _add(self, x: Map, y: Map) -> Map:
        total = Map(*self._shape(x))
        reads: dict[str, Map | None] = {"input": x, "plus": y}
        self.steps.append(operations.step(MAPPING, total, reads, groups=x.groups(self.group)))
        return total

    def _sum_windows(self, x: Map) -> Map:
        y = Map(x.channels, -(-x.height // 2), -(-x.width // 2))
        self.steps.append(operations.step(SUMMING, y, {"input": x}, groups=x.groups(self.group), stride=2))
        return y

    def _repeat(self, y: Map, plus: Map | None, doubled: Map, scale: float) -> None:
        """Record plus + scale doubled, repeated 2 x 2: a convolution of zero channels."""
        reads = {"plus": plus, "doubled": doubled}
        fields = {"channels": y.groups(self.group) * self.group, "kernel_width": 1, "scale": scale}
        self.steps.append(operations.step(CONVOLUTION, y, reads, **fields))

    @staticmethod
    def _shape(x: Map) -> tuple[int, int, int]:
        return x.channels, x.height, x.width
