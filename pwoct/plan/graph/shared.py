"""Convolutions in a graph that share maps, as the low paths of octave layers do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import NamedTuple

from pwoct.plan.graph.fold import addends
from pwoct.plan.graph.nodes import Add, Convolve, MapNode
from pwoct.plan.shared.choose import joins_winograd


class SharedConvolutions(NamedTuple):
    """Two convolutions that are added, `own` of a map x and `other`, and one more of x, `across`.

    In an octave layer, these are LL, HL and LH; all are 3x3 with stride 1 and padding 1.
    """

    own: Convolve
    other: Convolve
    across: Convolve


def find_shared(
    nodes: Sequence[MapNode], is_part: Callable[[MapNode], bool]
) -> dict[MapNode, SharedConvolutions]:
    """Return the convolutions to compute together, by the sum of the first two.

    is_part: whether a term of a sum is computed with the sum.
    """
    plain = {node for node in nodes if isinstance(node, Convolve) and _is_plain(node)}
    readers: dict[MapNode, list[Convolve]] = {}
    for reader in sorted(plain, key=lambda one: one.number):
        readers.setdefault(reader.inputs[0], []).append(reader)
    found: dict[MapNode, SharedConvolutions] = {}
    taken: set[MapNode] = set()
    for node in nodes:
        if not isinstance(node, Add) or is_part(node):
            continue
        terms = [x for x in addends(node, is_part) if isinstance(x, Convolve) and x in plain and is_part(x)]
        for own, other in permutations(terms) if len(terms) == 2 else ():
            left = (x for x in readers[own.inputs[0]] if x not in terms and x not in taken)
            across = next((x for x in left if x.bias is None), None)
            if across is None or not _is_faster(own, other, across) or taken & {own, other}:
                continue
            found[node] = SharedConvolutions(own, other, across)
            taken |= {own, other, across}
    return found


def _is_plain(node: Convolve) -> bool:
    """Whether a convolution is 3x3, without groups, with stride 1, dilation 1 and padding 1."""
    kernel = tuple(node.weight.shape[2:])
    geometry = node.groups, node.stride, node.dilation, tuple(node.padding)
    return kernel == (3, 3) and geometry == (1, 1, 1, (1, 1))


def _is_faster(own: Convolve, other: Convolve, across: Convolve) -> bool:
    c_in, c_second = own.weight.shape[1], other.weight.shape[1]
    return own.size == other.size and joins_winograd(
        c_in, c_second, own.weight.shape[0], across.weight.shape[0], own.size
    )


def in_order(
    nodes: Sequence[MapNode],
    shared: Mapping[MapNode, SharedConvolutions],
    root_of: Callable[[MapNode], MapNode],
) -> tuple[list[MapNode], dict[MapNode, SharedConvolutions]]:
    """Return the nodes, each sum before the convolution to compute with it, and the sums where that works.

    root_of: the node with which a sum is computed.
    """
    before: dict[MapNode, MapNode] = {}
    kept = {}
    for node, found in shared.items():
        root = root_of(node)
        if not _depends(root, found.across, before):
            before[found.across] = root
            kept[node] = found
    return _after_sources(nodes, before), kept


def _after_sources(nodes: Sequence[MapNode], before: Mapping[MapNode, MapNode]) -> list[MapNode]:
    ordered: dict[MapNode, None] = {}
    left = [*reversed(nodes)]
    while left:
        missing = [source for source in _sources(left[-1], before) if source not in ordered]
        if missing:
            left += reversed(missing)
        else:
            ordered[left.pop()] = None
    return list(ordered)


def _sources(node: MapNode, before: Mapping[MapNode, MapNode]) -> list[MapNode]:
    """Return what comes before a node: its inputs, and the sum to compute it with."""
    return [*node.inputs, *([before[node]] if node in before else [])]


def _depends(node: MapNode, on: MapNode, before: Mapping[MapNode, MapNode]) -> bool:
    """Whether a node comes after another one."""
    seen, left = {node}, [node]
    while left:
        one = left.pop()
        if one is on:
            return True
        for source in _sources(one, before):
            if source not in seen:
                seen.add(source)
                left.append(source)
    return False
