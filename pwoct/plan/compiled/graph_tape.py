"""Operations of a training step that networks of other kinds than `ResNet` need, with their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pwoct.plan.compiled import operations
from pwoct.plan.compiled.filters import Filters
from pwoct.plan.compiled.moves import Move, Scattered
from pwoct.plan.compiled.operations import (
    DEPTHWISE,
    DEPTHWISE_GRADIENT,
    MAPPING,
    MAPPING_GRADIENT,
    MOVING,
    PRODUCT_SUMS,
    SCATTERING,
    TAP_GRADIENT,
    WINDOWS,
    WINDOWS_GRADIENT,
    Map,
    Size,
)
from pwoct.plan.compiled.paths_tape import PathsTape
from pwoct.plan.graph.nodes import Function, Pooling


class GraphTape(PathsTape):
    """Records any network forward; `reverse` then records the gradients of all that was recorded."""

    def map_pixels(self, x: Map, function: Function) -> Map:
        """Record a function of each pixel."""
        y = Map(*self._shape(x))
        fields = {"function": function.code, "parameter": function.parameter, "limit": function.limit}
        self._record(MAPPING, y, {"input": x}, **fields)

        def gradient() -> None:
            if x not in self._constant:
                dx = Map(*self._shape(x))
                self._record(MAPPING_GRADIENT, dx, {"input": self._gradients[y], "source": x}, **fields)
                self._add_gradient(x, dx)

        self._backward.append(gradient)
        return y

    def add_maps(self, x: Map, other: Map) -> Map:
        """Record the sum of two maps of one shape."""
        operations.check_sums(x, other)
        y = Map(*self._shape(x))
        self._record(MAPPING, y, {"input": x, "plus": other})

        def gradient() -> None:
            for part in (x, other):
                self._add_gradient(part, self._gradients[y])

        self._backward.append(gradient)
        return y

    def multiply(self, x: Map, factor: Map) -> Map:
        """Record the product of two maps; the second may have one pixel for each channel."""
        y = Map(*self._shape(x))
        self._record(MAPPING, y, {"input": x, "source": factor})

        def gradient() -> None:
            dy = self._gradients[y]
            dx, df = Map(*self._shape(x)), Map(*self._shape(factor))
            self._record(MAPPING, dx, {"input": dy, "source": factor})
            if x.size == factor.size:
                self._record(MAPPING, df, {"input": dy, "source": x})
            else:
                self._record(PRODUCT_SUMS, df, {"input": dy, "source": x})
            self._add_gradient(x, dx)
            self._add_gradient(factor, df)

        self._backward.append(gradient)
        return y

    def pool_windows(self, x: Map, pooling: Pooling, size: Size) -> Map:
        """Record pooling over windows to a size (height, width)."""
        y = Map(x.channels, *size)
        fields = {
            "kernel_height": pooling.kernel[0],
            "kernel_width": pooling.kernel[1],
            "stride": pooling.stride,
            "pad_height": pooling.padding[0],
            "pad_width": pooling.padding[1],
            "dilation": pooling.dilation,
            "function": pooling.kind,
            "scale": pooling.scale,
        }
        self._record(WINDOWS, y, {"input": x}, **fields)

        def gradient() -> None:
            if x not in self._constant:
                dx = Map(*self._shape(x))
                self._record(WINDOWS_GRADIENT, dx, {"input": self._gradients[y], "source": x}, **fields)
                self._add_gradient(x, dx)

        self._backward.append(gradient)
        return y

    def move(self, sources: Sequence[Map], elements: Tensor, constants: Sequence[float]) -> Map:
        """Record a map of elements (channels, height, width) of others; see `Move`."""
        c, h, w = elements.shape
        y = Map(c, h, w)
        reads: dict[str, Map | None] = {f"source {i}": source for i, source in enumerate(sources)}
        self._record(MOVING, y, reads)
        self.moves.append(Move(self.steps[-1], sources, elements, constants))

        def gradient() -> None:
            begin = 0
            for source in sources:
                end = begin + source.channels * source.height * source.width
                own = torch.where((elements >= begin) & (elements < end), elements - begin, -1)
                begin = end
                if source not in self._constant:
                    dx = Map(*self._shape(source))
                    self._record(SCATTERING, dx, {"input": self._gradients[y]})
                    self.scattered.append(Scattered(self.steps[-1], source, own))
                    self._add_gradient(source, dx)

        self._backward.append(gradient)
        return y

    def filter_channels(self, x: Map, filters: Filters) -> Map:
        """Record a depthwise convolution."""
        y = Map(filters.shape[0], *filters.size(x.size))
        fields = {**filters.fields(), "stride": filters.stride, "spread": filters.shape[0] // filters.groups}
        fields["weight"] = filters.first
        self._record(DEPTHWISE, y, {"input": x}, bias=filters.bias, **fields)

        def gradient() -> None:
            dy = self._gradients[y]
            if filters.trains:
                of_groups = {**fields, "spread": filters.groups, "groups": 1, "channels": y.channels}
                self._record(TAP_GRADIENT, None, {"input": dy, "source": x}, **of_groups)
            self._bias_gradient(dy, filters)
            if x not in self._constant:
                dx = Map(*self._shape(x))
                self._record(DEPTHWISE_GRADIENT, dx, {"input": dy}, **{**fields, "groups": x.channels})
                self._add_gradient(x, dx)

        self._backward.append(gradient)
        return y

    def _record(self, kind: int, y: Map | None, reads: dict[str, Map | None], **fields: Any) -> None:
        x = reads.get("input")
        groups = 0 if x is None else x.groups(self.group)
        channels = 0 if y is None else y.groups(self.group) * self.group
        fields = {"groups": groups, "channels": channels, **fields}
        self.steps.append(operations.step(kind, y, reads, **fields))
