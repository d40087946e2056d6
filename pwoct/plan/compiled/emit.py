"""A graph as operations of compiled kernels, for inference.

What kernels compute while results are in registers is recorded with the convolution before: sums, also with
upsampled maps, and ReLUs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from pwoct.plan.compiled.general import GeneralRecorder
from pwoct.plan.compiled.operations import Map
from pwoct.plan.compiled.program import joins_maps
from pwoct.plan.folded.convolve import Convolution, Geometry
from pwoct.plan.graph.fold import addends
from pwoct.plan.graph.nodes import (
    MEAN,
    Activate,
    Add,
    Convolve,
    Function,
    Gather,
    ImageNode,
    MapNode,
    Multiply,
    Pool,
    Scale,
    needed,
    uses_of,
)
from pwoct.plan.graph.shared import find_shared, in_order

RELU = Function("relu")


class Emitter:
    """Records the nodes of a graph in order; a node that is part of another operation is recorded with it.

    Args:
        recorder: what records their operations.
        images: the map that the network is given.
        result: the last node of the graph.
    """

    def __init__(self, recorder: GeneralRecorder, images: Map, result: MapNode) -> None:
        self.recorder, self.images = recorder, images
        self._nodes = needed(result)
        self._uses = uses_of(self._nodes)
        self._readers = {source: node for node in self._nodes for source in node.inputs}
        self._maps: dict[MapNode, Map] = {}
        self._absorbed = {source for node in self._nodes for source in self._parts_of(node)}
        found = find_shared(self._nodes, self._is_part_of_sum)
        self._order, shared = in_order(self._nodes, found, self._root_of)
        self._shared = {one.own: one for one in shared.values()}

    def run(self) -> Map:
        """Record all nodes; return the map of the last."""
        for node in self._order:
            if node not in self._absorbed and node not in self._maps:
                self._maps[node] = self._emit(node)
        return self._maps[self._nodes[-1]]

    def _is_part_of_sum(self, node: MapNode) -> bool:
        """Whether a node is recorded with the sum that reads it."""
        return node in self._absorbed and isinstance(self._readers[node], Add)

    def _root_of(self, node: MapNode) -> MapNode:
        """Return the node with which a sum is recorded: its ReLU, or itself."""
        while node in self._absorbed:
            node = self._readers[node]
        return node

    def _is_read_once(self, node: MapNode) -> bool:
        return self._uses[node] == 1

    def _parts_of(self, node: MapNode) -> Iterator[MapNode]:
        """Yield the nodes that are recorded with this one."""
        if isinstance(node, Activate):
            (x,) = node.inputs
            is_summed = isinstance(x, Convolve | Add) and node.function == RELU
            if self._is_read_once(x) and (is_summed or isinstance(x, Scale)):
                yield x
        elif isinstance(node, Add):
            yield from (x for x in node.inputs if self._is_read_once(x) and isinstance(x, Add))
            yield from (x for x in node.inputs if self._is_term(x))
            doubled = (x.inputs[0] for x in node.inputs if self._is_term(x) and isinstance(x, Gather))
            yield from (
                x for x in doubled if self._is_read_once(x) and (isinstance(x, Add) or self._is_term(x))
            )

    def _is_term(self, node: MapNode) -> bool:
        """Whether a sum adds this node while it is computed."""
        if not self._is_read_once(node):
            return False
        return (isinstance(node, Convolve) and node.is_dense) or (
            isinstance(node, Gather) and is_doubled(node)
        )

    def _emit(self, node: MapNode) -> Map:
        if isinstance(node, ImageNode):
            return self.images
        if isinstance(node, Activate):
            return self._activate(node)
        if isinstance(node, Convolve | Add):
            return self._compute(node, relu=False)
        if isinstance(node, Scale):
            return self._map(node, Function())
        if isinstance(node, Multiply):
            first, second = (self._maps[x] for x in node.inputs)
            return self.recorder.map_pixels(first, factor=second)
        if isinstance(node, Pool):
            return self._pool(node)
        assert isinstance(node, Gather)
        return self.recorder.move([self._maps[x] for x in node.inputs], node.moved, node.constants)

    def _activate(self, node: Activate) -> Map:
        (x,) = node.inputs
        if x in self._maps:
            return self.recorder.map_pixels(self._maps[x], function=node.function)
        return self._map(x, node.function) if isinstance(x, Scale) else self._compute(x, relu=True)

    def _map(self, node: Scale, function: Function) -> Map:
        x = self._maps[node.inputs[0]]
        return self.recorder.map_pixels(x, affine=(node.scale, node.shift), function=function)

    def _pool(self, node: Pool) -> Map:
        x, pooling = self._maps[node.inputs[0]], node.pooling
        by = pooling.stride or max(x.size)
        is_square = pooling.kernel == (by, by) or pooling.stride == 0
        covers = node.size == (-(-x.height // by), -(-x.width // by))
        plain = pooling._replace(kernel=(1, 1), stride=0)
        if is_square and covers and plain == type(pooling)(MEAN):
            return self.recorder.pool(x, by)
        return self.recorder.pool_windows(x, pooling, node.size)

    def _compute(self, node: MapNode, *, relu: bool) -> Map:
        """Record a convolution or a sum."""
        if isinstance(node, Convolve) and not node.is_dense:
            x = self._maps[node.inputs[0]]
            record = self.recorder.convolve_depthwise if node.is_depthwise else self.recorder.convolve_grouped
            return record(x, convolution_of(node), node.size, relu)
        return self._sum(addends(node, self._is_read_once), relu=relu)

    def _sum(self, terms: Sequence[MapNode], *, relu: bool) -> Map:
        """Record relu(sum of terms): whole maps first, and upsampled ones with the last convolution."""
        convolutions = [x for x in terms if isinstance(x, Convolve) and x not in self._maps]
        doubled = [x for x in terms if isinstance(x, Gather) and x in self._absorbed]
        whole = [self._maps[x] for x in terms if x not in (*convolutions, *doubled)]
        halves = self._sum_of_halves([x.inputs[0] for x in doubled])
        parts = list(self._shared_or_joined(convolutions))
        plus = self._added(whole, relu=relu and not parts and halves is None)
        if halves is not None and not parts:
            return self.recorder.add(plus, halves, terms[0].size, relu)
        for position, (x, second, convolution, across) in enumerate(parts, 1):
            is_last = position == len(parts)
            plus = self._convolve(
                x,
                convolution,
                across,
                second=second,
                plus=plus,
                doubled=halves if is_last else None,
                relu=relu and is_last,
            )
        assert plus is not None
        return plus

    def _convolve(self, x: Map, convolution: Convolution, across: Convolve | None, **options: Any) -> Map:
        if across is None:
            return self.recorder.convolve(x, convolution, **options)
        y, self._maps[across] = self.recorder.convolve_both(x, convolution, across.weight, **options)
        return y

    def _sum_of_halves(self, nodes: Sequence[MapNode]) -> Map | None:
        if not nodes:
            return None
        terms = [
            term
            for node in nodes
            for term in (addends(node, self._is_read_once) if node in self._absorbed else [node])
        ]
        return (
            self._sum(terms, relu=False)
            if len(terms) > 1 or terms[0] not in self._maps
            else self._maps[terms[0]]
        )

    def _added(self, maps: Sequence[Map], *, relu: bool) -> Map | None:
        total = maps[0] if maps else None
        for position, x in enumerate(maps[1:], 2):
            is_last = relu and position == len(maps)
            assert total is not None
            total = self.recorder.map_pixels(total, plus=x, function=RELU if is_last else Function())
        return total

    def _shared_or_joined(
        self, nodes: Sequence[Convolve]
    ) -> Iterator[tuple[Map, Map | None, Convolution, Convolve | None]]:
        """Yield what `_joined` yields, and a convolution of the first map to compute with it, or None."""
        found = (self._shared[x] for x in nodes if x in self._shared)
        shared = next((one for one in found if one.across not in self._maps), None)
        yield from ((*part, None) for part in self._joined([x for x in nodes if x not in (shared or ())]))
        if shared is not None:
            of_both = joined(convolution_of(shared.own), convolution_of(shared.other))
            first, second = (self._maps[x.inputs[0]] for x in (shared.own, shared.other))
            yield first, second, of_both, shared.across

    def _joined(self, nodes: Sequence[Convolve]) -> Iterator[tuple[Map, Map | None, Convolution]]:
        """Yield what is convolved: a map, a second map or None, and the convolution that reads them."""
        alone: tuple[Map, Convolution] | None = None
        for node in nodes:
            x, convolution = self._maps[node.inputs[0]], convolution_of(node)
            if alone is not None and joins_maps(alone[1], convolution, alone[0], x):
                yield alone[0], x, joined(alone[1], convolution)
                alone = None
                continue
            if alone is not None:
                yield alone[0], None, alone[1]
            alone = x, convolution
        if alone is not None:
            yield alone[0], None, alone[1]


def joined(first: Convolution, second: Convolution) -> Convolution:
    """Return the convolution of two maps, one behind the other, for the sum of two convolutions."""
    biases = [convolution.bias for convolution in (first, second) if convolution.bias is not None]
    bias = torch.stack(biases).sum(0) if biases else None
    return Convolution(torch.cat([first.weight, second.weight], 1), bias, first.geometry)


def convolution_of(node: Convolve) -> Convolution:
    """Return a node's convolution with its weights."""
    geometry = Geometry(node.padding, (node.stride,) * 2, (node.dilation,) * 2, node.groups)
    return Convolution(node.weight, node.bias, geometry)


def is_doubled(node: Gather) -> bool:
    """Whether a map is another, each of its pixels repeated 2 x 2 and cropped to the size."""
    if len(node.inputs) != 1:
        return False
    (x,) = node.inputs
    if x.shape[0] != node.shape[0] or x.size != (-(-node.size[0] // 2), -(-node.size[1] // 2)):
        return False
    numbers = torch.arange(x.elements, device="cpu").view(x.shape)
    doubled = numbers.repeat_interleave(2, 1).repeat_interleave(2, 2)
    return torch.equal(doubled[:, : node.size[0], : node.size[1]], node.moved)
