"""Operations of a training step: recorded forward, and their gradients in reverse order."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from math import gcd

import torch
from torch import Tensor, nn

from pwoct.plan.choose import uses_winograd
from pwoct.plan.compiled import operations
from pwoct.plan.compiled.library import load
from pwoct.plan.compiled.operations import (
    BARRIER,
    CONVOLUTION,
    NORMALISATION,
    NORMALISATION_GRADIENT,
    NORMALISATION_SUMS,
    PAIRED_WEIGHT_GRADIENT,
    PAIRING,
    POOLING,
    STATISTICS,
    SUMMING,
    WEIGHT_GRADIENT,
    WINOGRAD_CONVOLUTION,
    WINOGRAD_WEIGHT_GRADIENT,
    Map,
    Size,
    Step,
)
from pwoct.plan.compiled.weights import Weights
from pwoct.plan.folded.fold import check_geometry

NEEDS = 'the plan "blocked" needs'
Norms = Sequence[tuple[Map, nn.Module, Map | None]]  # a normalisation's input, its module, and an added map


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
        self.norms: list[tuple[nn.BatchNorm2d, int]] = []
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
        return 4 * sum(norm.num_features for norm, _ in self.norms)

    def convolve(
        self, x: Map, convolution: nn.Conv2d, *, plus: Map | None = None, doubled: Map | None = None
    ) -> Map:
        """Record conv(x) + plus + doubled, repeated 2 x 2.

        Raises:
            ValueError: unless the filter is 1x1 or 3x3, without groups or bias, and all maps fit.
        """
        check_geometry(convolution)
        k, s, d = convolution.kernel_size[0], convolution.stride[0], convolution.dilation[0]
        if convolution.kernel_size not in ((1, 1), (3, 3)) or convolution.groups != 1:
            raise ValueError(f"{NEEDS} 1x1 or 3x3 convolutions without groups, got {convolution}")
        if convolution.bias is not None:
            raise ValueError(f"{NEEDS} convolutions without bias, got {convolution}")
        if not isinstance(convolution.weight, nn.Parameter):
            raise ValueError(f"{NEEDS} weights that are parameters themselves, got {convolution}")
        if convolution.in_channels != x.channels:
            raise ValueError(f"{NEEDS} convolutions that fit, got {x.channels} channels for {convolution}")
        c_out, p = convolution.out_channels, d * (k // 2)
        y = Map(c_out, (x.height - 1) // s + 1, (x.width - 1) // s + 1)
        operations.check_sums(y, plus, doubled)
        first = self.parameter_count
        self.parameters.append(convolution.weight)
        places = torch.arange(first, self.parameter_count, device="cpu").view(convolution.weight.shape)
        taps = {"kernel_height": k, "kernel_width": k, "dilation": d, "pad_height": p, "pad_width": p}
        self._convolve(y, {"input": x, "plus": plus, "doubled": doubled}, places, stride=s, **taps)

        def gradient() -> None:
            dy = self._gradients[y]
            self._add_gradient(plus, dy)
            if doubled is not None:
                self._add_gradient(doubled, self._sum_windows(dy))
            if convolution.weight.requires_grad:
                self._weight_gradient(x, dy, {**taps, "stride": s, "weight": first})
            if x not in self._constant:
                dx = Map(*self._shape(x))
                self._input_gradient(dx, {"input": dy, "plus": self._gradients.get(x)}, places, s, d)
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

    def _input_gradient(
        self, dx: Map, reads: dict[str, Map | None], places: Tensor, stride: int, dilation: int
    ) -> None:
        """Record a convolution's input gradient, for each of the stride x stride pixel phases: a convolution
        too, of the taps that reach those pixels, in reverse order."""
        k = places.shape[2]
        pad = dilation * (k // 2)
        fields = {"stride": 1, "dilation": dilation // gcd(stride, dilation), "spread": stride}
        # Output pixel y reads input pixel stride y + dilation tap - pad.
        reached = [
            [tap for tap in reversed(range(k)) if (first + pad - dilation * tap) % stride == 0]
            for first in range(stride)
        ]
        pads = [
            (dilation * taps[0] - pad - first) // stride if taps else 0 for first, taps in enumerate(reached)
        ]
        for (row, rows), (column, columns) in product(enumerate(reached), repeat=2):
            own = places[:, :, rows][:, :, :, columns].transpose(0, 1)
            self._convolve(
                dx,
                reads,
                own,
                **fields,
                first_row=row,
                first_column=column,
                kernel_height=len(rows),
                kernel_width=len(columns),
                pad_height=pads[row],
                pad_width=pads[column],
            )

    def _weight_gradient(self, x: Map, dy: Map, fields: dict[str, int]) -> None:
        kind, fields = WEIGHT_GRADIENT, {**fields, "groups": x.channels, "channels": dy.channels}
        whole = x.channels % load().pwoct_side() == 0 and dy.channels % load().pwoct_side() == 0
        if whole and self._is_winograd(x.channels, dy, fields):
            kind = WINOGRAD_WEIGHT_GRADIENT
        elif self.rounds:
            # For each pair of pixels of dy, the pairs of pixels of x under each tap.
            pairs, s = -(-dy.width // 2), fields["stride"]
            width = 2 * (pairs - 1) * s + (fields["kernel_width"] - 1) * fields["dilation"] + 1
            x = self._pair(x, width, dilation=1, stride=s, pad_width=fields["pad_width"])
            dy = self._pair(dy, pairs, dilation=2, stride=1)
            kind = PAIRED_WEIGHT_GRADIENT
        self.steps.append(operations.step(kind, None, {"input": dy, "source": x}, **fields))

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
            dx = Map(*self._shape(x))
            self._repeat(dx, self._gradients.get(x), self._gradients[y], 0.25)
            self._gradients[x] = dx

        self._backward.append(gradient)
        return y

    def normalise(self, inputs: Norms, relu: bool) -> list[Map]:
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
            fields = {
                "statistics": self.sum_count,
                "weight": self.parameter_count,
                "bias": self.parameter_count + norm.num_features,
                "channels": norm.num_features,
                "relu": relu,
                "epsilon": norm.eps,
            }
            self.parameters += [norm.weight, norm.bias]
            self.norms.append((norm, x.height * x.width))
            recorded.append((x, plus, Map(*self._shape(x)), fields))
        self.steps += [operations.step(STATISTICS, None, {"input": x}, **f) for x, _, _, f in recorded]
        self._wait()
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
        self._wait()
        for kept, (x, _, _, fields) in zip(before, recorded, strict=True):
            dx = Map(*self._shape(x))
            reads = {"input": kept, "source": x}
            self.steps.append(operations.step(NORMALISATION_GRADIENT, dx, reads, **fields))
            self._gradients[x] = dx

    def reverse(self, result: Map, gradient: Map, images: Map, *, to_images: bool) -> Map | None:
        """Record the gradients, given the map of the result's gradient; return the map of the images'."""
        self._gradients = {result: gradient}
        if not to_images:
            self._constant.add(images)
        for record in reversed(self._backward):
            record()
        self._backward.clear()
        return self._gradients.get(images)

    def _add_gradient(self, x: Map | None, dx: Map) -> None:
        if x is not None:
            if x in self._gradients:
                raise ValueError(f"{NEEDS} maps that nothing reads before they are added")
            self._gradients[x] = dx

    def _sum_windows(self, x: Map) -> Map:
        y = Map(x.channels, -(-x.height // 2), -(-x.width // 2))
        self.steps.append(operations.step(SUMMING, y, {"input": x}, groups=x.groups(self.group), stride=2))
        return y

    def _repeat(self, y: Map, plus: Map | None, doubled: Map, scale: float) -> None:
        """Record plus + scale doubled, repeated 2 x 2: a convolution of zero channels."""
        reads = {"plus": plus, "doubled": doubled}
        fields = {"channels": y.groups(self.group) * self.group, "kernel_width": 1, "scale": scale}
        self.steps.append(operations.step(CONVOLUTION, y, reads, **fields))

    def _wait(self) -> None:
        self.steps.append(operations.step(BARRIER, None, {}))

    @staticmethod
    def _shape(x: Map) -> tuple[int, int, int]:
        return x.channels, x.height, x.width
