"""A graph with fewer operations: numbers that scale and shift channels become part of filters.

A normalisation after a sum of convolutions, some of which are upsampled, scales each of their filters, and
shifts one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pwoct.plan.folded.filters import merge
from pwoct.plan.graph.nodes import MAXIMUM, Add, Convolve, Gather, MapNode, Pool, Scale, needed, uses_of

Size = tuple[int, int]
Merges = Callable[[int, int, int, Size], bool]


class Rewriting:
    """New nodes in place of those of a graph, and how often each is read."""

    def __init__(self) -> None:
        self.uses: dict[MapNode, int] = {}

    def run(self, result: MapNode, rewrite: Callable[[MapNode], MapNode]) -> MapNode:
        """Return the result of a graph in which each node is rewritten, inputs first."""
        nodes = needed(result)
        uses = uses_of(nodes)
        new: dict[MapNode, MapNode] = {}
        for node in nodes:
            inputs = tuple(new[source] for source in node.inputs)
            new[node] = rewrite(node if inputs == node.inputs else node.on(inputs))
            self.uses[new[node]] = uses[node]
        return new[result]

    def is_read_once(self, node: MapNode) -> bool:
        """Whether only one other node reads this one."""
        return self.uses.get(node) == 1


def folded(result: MapNode, merges: Merges) -> MapNode:
    """Return the result of the same graph with scales folded into filters and bottlenecks merged.

    merges: whether 1x1, kxk, 1x1 become one, given the channels before, between and after, and the size k.
    """
    result = _shared(result)
    scaling = Rewriting()
    result = scaling.run(result, lambda node: _without_scale(node, scaling))
    merging = Rewriting()
    return merging.run(result, lambda node: _merged(node, merging, merges))


def _shared(result: MapNode) -> MapNode:
    """Compute what several nodes compute of the same map once: pools, such as those of octave layers."""
    found: dict[tuple[object, ...], MapNode] = {}

    def rewrite(node: MapNode) -> MapNode:
        return (
            found.setdefault((node.inputs, node.pooling, node.shape), node)
            if isinstance(node, Pool)
            else node
        )

    return Rewriting().run(result, rewrite)


def _without_scale(node: MapNode, graph: Rewriting) -> MapNode:
    if not isinstance(node, Scale):
        return node
    (x,) = node.inputs
    found = scaled(x, node.scale, node.shift, graph)
    return node if found is None else found


def scaled(node: MapNode, scale: Tensor, shift: Tensor, graph: Rewriting) -> MapNode | None:
    """Return a node for scale x + shift, or None if another node reads x, or it cannot be scaled."""
    if not graph.is_read_once(node):
        return None
    new: MapNode | None = None
    if isinstance(node, Convolve):
        bias = shift if node.bias is None else node.bias * scale + shift
        bias_or_none = bias if node.bias is not None or bool((shift != 0).any()) else None
        weight = node.weight * scale[:, None, None, None]
        new = node.changed(weight=weight, bias=bias_or_none)
    elif isinstance(node, Scale):
        both = node.scale * scale, node.shift * scale + shift
        new = scaled(node.inputs[0], *both, graph) or node.changed(scale=both[0], shift=both[1])
    elif isinstance(node, Add):
        new = _scaled_sum(node, scale, shift, graph)
    elif isinstance(node, Gather) or (isinstance(node, Pool) and node.pooling.kind != MAXIMUM):
        new = _scaled_through(node, scale, shift, graph)
    if new is not None:
        graph.uses[new] = 1
    return new


def _scaled_sum(node: Add, scale: Tensor, shift: Tensor, graph: Rewriting) -> MapNode | None:
    none = torch.zeros_like(shift)
    for first, second in (node.inputs, node.inputs[::-1]):
        if first is second:
            return None
        shifted, other = scaled(first, scale, shift, graph), scaled(second, scale, none, graph)
        if shifted is not None and other is not None:
            return node.on((shifted, other))
    return None


def _scaled_through(node: Gather | Pool, scale: Tensor, shift: Tensor, graph: Rewriting) -> MapNode | None:
    """Scale what is moved or averaged; it is not shifted, since what is missing there counts as zero."""
    if bool((shift != 0).any()) or len(node.inputs) != 1:
        return None
    (x,) = node.inputs
    of_source = scale if isinstance(node, Pool) else _before_move(node, scale)
    if of_source is None:
        return None
    found = scaled(x, of_source, torch.zeros_like(of_source), graph)
    return None if found is None else node.on((found,))


def _before_move(node: Gather, scale: Tensor) -> Tensor | None:
    """Return the scales of the channels that are moved; None if they differ in one, or numbers join."""
    if any(node.constants[-1 - number] for number in set(node.moved[node.moved < 0].tolist())):
        return None
    (x,) = node.inputs
    pixels = x.shape[1] * x.shape[2]
    channels = torch.div(node.moved, pixels, rounding_mode="floor")
    target = torch.arange(node.shape[0], device="cpu")[:, None, None].expand(node.shape)
    there = node.moved >= 0
    found = torch.ones(x.shape[0], dtype=scale.dtype, device="cpu")
    found[channels[there]] = scale[target[there]]
    is_one = torch.equal(found[channels[there]], scale[target[there]])
    return found if is_one else None


def _merged(node: MapNode, graph: Rewriting, merges: Merges) -> MapNode:
    """Merge 1x1, kxk, 1x1 with nothing in between; after a strided 1x1, taps lie a stride apart."""
    chain = _bottleneck(node, graph)
    if chain is None:
        return node
    reduce, spatial, expand = chain
    kernel = spatial.weight.shape[2], spatial.weight.shape[3]
    if not merges(reduce.weight.shape[1], reduce.shape[0], expand.shape[0], kernel):
        return node
    by = reduce.stride
    return Convolve(
        expand.shape,
        reduce.inputs,
        weight=merge(reduce.weight, spatial.weight, expand.weight),
        bias=expand.bias,
        stride=by * spatial.stride,
        padding=(by * spatial.padding[0], by * spatial.padding[1]),
        dilation=by * spatial.dilation,
        where=expand.where,
    )


def _bottleneck(node: MapNode, graph: Rewriting) -> tuple[Convolve, Convolve, Convolve] | None:
    found: list[Convolve] = []
    while isinstance(node, Convolve) and node.is_dense and len(found) < 3:
        found.insert(0, node)
        if len(found) < 3 and not graph.is_read_once(node.inputs[0]):
            return None
        node = node.inputs[0]
    if len(found) < 3 or found[0].bias is not None or found[1].bias is not None:
        return None
    reduce, spatial, expand = found
    pointwise = all(c.weight.shape[2:] == (1, 1) and c.padding == (0, 0) for c in (reduce, expand))
    fits = expand.stride == 1 and (reduce.stride == 1 or spatial.stride == 1)
    keeps = spatial.weight.shape[:2] == (reduce.shape[0], reduce.shape[0])
    return (reduce, spatial, expand) if pointwise and fits and keeps and _pads(spatial) else None


def _pads(spatial: Convolve) -> bool:
    k_h, k_w = spatial.weight.shape[2:]
    return spatial.padding == (spatial.dilation * (k_h // 2), spatial.dilation * (k_w // 2))


def addends(node: MapNode, is_read_once: Callable[[MapNode], bool]) -> Sequence[MapNode]:
    """Return the maps of a sum, and of the sums in it that nothing else reads."""
    found, left = [], [node]
    while left:
        one = left.pop()
        if isinstance(one, Add) and (one is node or is_read_once(one)):
            left += one.inputs[::-1]
        else:
            found.append(one)
    return found
