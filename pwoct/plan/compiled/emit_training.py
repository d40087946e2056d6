"""A graph as operations of a training step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from pwoct.plan.compiled.emit import RELU, is_doubled
from pwoct.plan.compiled.filters import Filters, Normalised, Statistics
from pwoct.plan.compiled.graph_tape import GraphTape
from pwoct.plan.compiled.operations import NONE, Map
from pwoct.plan.compiled.paths_tape import LowPaths
from pwoct.plan.graph.fold import addends
from pwoct.plan.graph.nodes import (
    MEAN,
    Activate,
    Add,
    BatchNormalise,
    Convolve,
    Gather,
    ImageNode,
    MapNode,
    Multiply,
    Pool,
    Pooling,
    needed,
    uses_of,
)
from pwoct.plan.graph.shared import find_shared, in_order
from pwoct.plan.graph.trace import Kept

HALVING = Pooling(MEAN, kernel=(2, 2), stride=2)


class TrainingEmitter:
    """Records the nodes of a graph on a tape; normalisations with the sums and ReLUs after them.

    Args:
        tape: what records their operations.
        images: the map that the network is given.
        result: the last node of the graph.
        kept: the parameters and statistics of the network.
    """

    def __init__(self, tape: GraphTape, images: Map, result: MapNode, kept: Kept) -> None:
        self.tape, self.images, self.kept = tape, images, kept
        self._nodes = needed(result)
        self._uses = uses_of(self._nodes)
        self._maps: dict[MapNode, Map] = {}
        self._normalised_sums = {x for node in self._nodes for x in self._sums_of(node)}
        self._absorbed = {source for node in self._nodes for source in self._parts_of(node)}
        found = find_shared(self._nodes, lambda node: node in self._absorbed)
        self._order, self._shared = in_order(self._nodes, found, lambda node: node)
        self._waiting: list[tuple[MapNode, Normalised]] = []  # normalisations with ReLU that share a barrier

    def run(self) -> Map:
        """Record all nodes; return the map of the last.

        Raises:
            ValueError: if there is no kernel for one of them; it names the module.
        """
        for node in self._order:
            if node in self._absorbed or node in self._maps:
                continue
            if (normalised := self._normalised(node)) is not None:
                self._wait(node, normalised)
                continue
            self._settle()
            self._maps[node] = self._emit(node)
        self._settle()
        return self._maps[self._nodes[-1]]

    def _is_read_once(self, node: MapNode) -> bool:
        return self._uses[node] == 1

    def _parts_of(self, node: MapNode) -> Iterator[MapNode]:
        """Yield the nodes that are recorded with this one."""
        if isinstance(node, Activate) and node.function == RELU:
            (x,) = node.inputs
            if x in self._normalised_sums or (isinstance(x, BatchNormalise) and self._is_read_once(x)):
                yield x
                yield from filter(None, [self._norm_of(x)])
        elif isinstance(node, Add) and node not in self._normalised_sums:
            parts = [x for x in node.inputs if self._is_read_once(x)]
            yield from (x for x in parts if isinstance(x, Add))
            yield from (x for x in parts if isinstance(x, Convolve) and x.is_dense)
            yield from (x for x in parts if isinstance(x, Gather) and is_doubled(x))

    def _sums_of(self, node: MapNode) -> Iterator[MapNode]:
        """Yield the sum with a normalisation that a ReLU is computed with."""
        if isinstance(node, Activate) and node.function == RELU:
            (x,) = node.inputs
            if self._is_read_once(x) and self._norm_of(x) is not None:
                yield x

    def _norm_of(self, node: MapNode) -> BatchNormalise | None:
        """Return the normalisation of a sum to which another map is added."""
        if not isinstance(node, Add):
            return None
        return next((x for x in node.inputs if isinstance(x, BatchNormalise) and self._is_read_once(x)), None)

    def _normalised(self, node: MapNode) -> Normalised | None:
        """Return what a normalisation with sum and ReLU reads, if the node is one."""
        if not isinstance(node, Activate) or node.inputs[0] not in self._absorbed:
            return None
        (x,) = node.inputs
        norm = x if isinstance(x, BatchNormalise) else self._norm_of(x)
        assert isinstance(norm, BatchNormalise)
        others = [other for other in x.inputs if other is not norm] if isinstance(x, Add) else []
        if any(source in (w for w, _ in self._waiting) for source in (*norm.inputs, *others)):
            self._settle()
        plus = self._maps[others[0]] if others else None
        return Normalised(self._maps[norm.inputs[0]], self._statistics(norm), plus)

    def _wait(self, node: MapNode, normalised: Normalised) -> None:
        self._waiting.append((node, normalised))

    def _settle(self) -> None:
        """Record the normalisations that wait, together."""
        if not self._waiting:
            return
        nodes, normalised = zip(*self._waiting, strict=True)
        self._waiting = []
        self._maps.update(zip(nodes, self.tape.normalise_maps(normalised, relu=True), strict=True))

    def _emit(self, node: MapNode) -> Map:
        if isinstance(node, ImageNode):
            return self.images
        if isinstance(node, Convolve | Add):
            return self._compute(node)
        inputs = [self._maps[x] for x in node.inputs]
        if isinstance(node, BatchNormalise):
            return self.tape.normalise_maps(
                [Normalised(inputs[0], self._statistics(node), None)], relu=False
            )[0]
        if isinstance(node, Activate):
            return self.tape.map_pixels(inputs[0], node.function)
        if isinstance(node, Multiply):
            return self.tape.multiply(*inputs)
        if isinstance(node, Pool):
            is_even = not (inputs[0].height % 2 or inputs[0].width % 2)
            if node.pooling == HALVING and is_even:
                return self.tape.pool(inputs[0], 2)
            return self.tape.pool_windows(inputs[0], node.pooling, node.size)
        if isinstance(node, Gather):
            return self.tape.move(inputs, node.moved, node.constants)
        raise ValueError(f"{node.where or 'the network'} scales or shifts a feature map by numbers")

    def _compute(self, node: MapNode) -> Map:
        """Record a convolution, or a sum with the convolutions in it."""
        if isinstance(node, Convolve) and not node.is_dense:
            if not node.is_depthwise:
                raise ValueError(f"{node.where or 'the network'} is a convolution with {node.groups} groups")
            return self.tape.filter_channels(self._maps[node.inputs[0]], self._filters(node))
        terms = addends(node, lambda x: x in self._absorbed)
        convolutions = [x for x in terms if isinstance(x, Convolve) and x not in self._maps]
        doubled = [x for x in terms if isinstance(x, Gather) and x in self._absorbed]
        plus = self._total([self._maps[x] for x in terms if x not in (*convolutions, *doubled)])
        halves = self._total([self._maps[x.inputs[0]] for x in doubled])
        if plus is None and halves is None and (joint := self._low_paths(node)) is not None:
            return joint
        if halves is not None and not convolutions:
            raised = self.tape.move([halves], doubled[0].moved, ())
            return raised if plus is None else self.tape.add_maps(plus, raised)
        for one in convolutions:
            last = halves if one is convolutions[-1] else None
            x = self._maps[one.inputs[0]]
            plus = self.tape.filter(x, self._filters(one), plus=plus, doubled=last)
        assert plus is not None
        return plus

    def _low_paths(self, node: MapNode) -> Map | None:
        """Record a sum of two convolutions with another one that reads the same map, if that is possible."""
        found = self._shared.get(node)
        if found is None or found.across in self._maps:
            return None
        x, second = (self._maps[one.inputs[0]] for one in (found.own, found.other))
        paths = LowPaths(*map(self._filters, found))
        if len(addends(node, self._absorbed.__contains__)) > 2 or not self.tape.joins(x, second, paths):
            return None
        y, self._maps[found.across] = self.tape.filter_paths(x, second, paths)
        return y

    def _total(self, maps: Sequence[Map]) -> Map | None:
        total = maps[0] if maps else None
        for x in maps[1:]:
            assert total is not None
            total = self.tape.add_maps(total, x)
        return total

    def _filters(self, node: Convolve) -> Filters:
        first, trains = self._place(node.weight, node.where)
        bias, trains_bias = (NONE, False) if node.bias is None else self._place(node.bias, node.where)
        c_out, c_in, k_h, k_w = node.weight.shape
        return Filters(
            first,
            (c_out, c_in, k_h, k_w),
            node.stride,
            node.padding,
            node.dilation,
            node.groups,
            bias,
            trains,
            trains_bias,
        )

    def _place(self, places: Tensor, where: str) -> tuple[int, bool]:
        """Return the place of a weight among the tape's parameters, and whether it is trained."""
        tensor, begin = self.kept.tensor(int(places.flatten()[0]))
        flat = places.flatten() - places.flatten()[0]
        is_whole = flat.tolist() == list(range(len(flat))) and begin + len(flat) <= tensor.numel()
        if not is_whole:
            raise ValueError(f"{where or 'the network'} has a weight in another order than it is kept")
        return self.tape.add_parameter(tensor) + begin, tensor.requires_grad

    def _statistics(self, node: BatchNormalise) -> Statistics:
        weight, bias = ((t, begin) for t, begin in map(self.kept.tensor, (node.weight, node.bias)))
        norm, begin = (None, 0) if node.mean is None else self.kept.norm(node.mean)
        channels = node.shape[0]
        return Statistics(
            channels,
            self.tape.add_parameter(weight[0]) + weight[1],
            self.tape.add_parameter(bias[0]) + bias[1],
            node.epsilon,
            node.momentum,
            norm,
            range(begin, begin + channels),
        )
