"""Operations that networks of other kinds than `ResNet` need, recorded for inference."""

from collections.abc import Iterator, Sequence
from math import prod

import torch
from torch import Tensor

from pwoct.plan.compiled.moves import Move
from pwoct.plan.compiled.operations import DEPTHWISE, MAPPING, MOVING, NONE, WINDOWS, Map
from pwoct.plan.compiled.program import ProgramRecorder
from pwoct.plan.folded.convolve import Convolution
from pwoct.plan.graph.nodes import Function, Pooling


class GeneralRecorder(ProgramRecorder):
    """Records the operations of any network, from its images to its result."""

    def map_pixels(
        self,
        x: Map,
        *,
        affine: tuple[Tensor, Tensor] | None = None,
        plus: Map | None = None,
        function: Function = Function(),
        factor: Map | None = None,
    ) -> Map:
        """Record f(scale x + shift + plus) factor.

        affine: scale and shift of each channel. factor: a map of the same size, or of one pixel.
        """
        y = Map(x.channels, *x.size)
        begin = NONE if affine is None else self._add_scalars(affine[0])
        if affine is not None:
            self._add_scalars(affine[1])
        return self._add(
            MAPPING,
            y,
            {"input": x, "plus": plus, "source": factor},
            bias=begin,
            function=function.code,
            parameter=function.parameter,
            limit=function.limit,
            groups=x.groups(self.group),
        )

    def pool_windows(self, x: Map, pooling: Pooling, size: tuple[int, int]) -> Map:
        """Record pooling over windows to a size (height, width)."""
        y = Map(x.channels, *size)
        return self._add(
            WINDOWS,
            y,
            {"input": x},
            kernel_height=pooling.kernel[0],
            kernel_width=pooling.kernel[1],
            stride=pooling.stride,
            pad_height=pooling.padding[0],
            pad_width=pooling.padding[1],
            dilation=pooling.dilation,
            function=pooling.kind,
            scale=pooling.scale,
        )

    def move(self, sources: Sequence[Map], elements: Tensor, constants: Sequence[float]) -> Map:
        """Record a map of elements (channels, height, width) of others; see `Move`."""
        c, h, w = elements.shape
        y = Map(c, h, w)
        reads = {f"source {number}": source for number, source in enumerate(sources)}
        self._add(MOVING, y, dict(reads))
        self.moves.append(Move(self.steps[-1], sources, elements, constants))
        return y

    def convolve_depthwise(self, x: Map, convolution: Convolution, size: tuple[int, int], relu: bool) -> Map:
        """Record relu(conv(x)), where each output channel reads one input channel."""
        padding, stride, dilation, groups = convolution.geometry
        c_out = len(convolution.weight)
        return self._add(
            DEPTHWISE,
            Map(c_out, *size),
            {"input": x},
            weight=self._add_scalars(convolution.weight),
            bias=self._add_scalars(convolution.bias),
            kernel_height=convolution.kernel[0],
            kernel_width=convolution.kernel[1],
            stride=stride[0],
            pad_height=padding[0],
            pad_width=padding[1],
            dilation=dilation[0],
            spread=c_out // groups,
            relu=relu,
        )

    def convolve_grouped(self, x: Map, convolution: Convolution, size: tuple[int, int], relu: bool) -> Map:
        """Record relu(conv(x)), group by group."""
        count = convolution.geometry.groups
        c_out = len(convolution.weight)
        is_whole = not any(channels // count % self.group for channels in (x.channels, c_out))
        record = self._convolve_parts if is_whole else self._convolve_copies
        return record(x, list(_groups_of(convolution)), Map(c_out, *size), relu)

    def _convolve_parts(self, x: Map, parts: Sequence[Convolution], y: Map, relu: bool) -> Map:
        """Record convolutions that read and write parts of maps where they are."""
        c_in, c_out = x.channels // len(parts), y.channels // len(parts)
        for number, part in enumerate(parts):
            self.convolve(Map(c_in, *x.size), part, relu=relu)
            step = self.steps[-1]
            step.reads, step.output = {"input": x}, y
            step.offsets = {
                "input": number * c_in // self.group * prod(x.size),
                "output": number * c_out // self.group * prod(y.size),
            }
        return y

    def _convolve_copies(self, x: Map, parts: Sequence[Convolution], y: Map, relu: bool) -> Map:
        """Record convolutions of copies of channels that do not fill vectors, and join the results."""
        numbers = torch.arange(x.channels * prod(x.size), device="cpu").view(x.channels, *x.size)
        copies = [self.move([x], own, ()) for own in torch.chunk(numbers, len(parts))]
        results = [self.convolve(copy, part, relu=relu) for copy, part in zip(copies, parts, strict=True)]
        joined = torch.arange(y.channels * prod(y.size), device="cpu").view(y.channels, *y.size)
        return self.move(results, joined, ())


def _groups_of(convolution: Convolution) -> Iterator[Convolution]:
    """Yield the convolution of each group."""
    count = convolution.geometry.groups
    geometry = convolution.geometry._replace(groups=1)
    biases = [None] * count if convolution.bias is None else torch.chunk(convolution.bias, count)
    for weight, bias in zip(torch.chunk(convolution.weight, count), biases, strict=True):
        yield Convolution(weight, bias, geometry)
