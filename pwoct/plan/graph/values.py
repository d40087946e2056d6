"""What a tensor holds while a network is recorded: elements of recorded maps, by their numbers.

Operators that only move data (views, concatenation, cropping, padding, shuffles, repetition) are applied to
the numbers themselves. So whatever they do, it is known of each pixel where it comes from.
"""

from __future__ import annotations

from hashlib import sha256
from math import prod

import torch
from torch import Tensor

from pwoct.plan.graph.nodes import Gather, MapNode, Shape

KEPT = 2**60  # the number of the first element of what a network keeps: parameters and buffers
IMAGE = 2**40  # between the numbers of the same element of two images


class RefusedError(ValueError):
    """Why a network cannot be recorded."""


class Numbered:
    """All recorded maps, whose elements have numbers; and constants, whose numbers are negative."""

    def __init__(self, images: int) -> None:
        self.images = images
        self.nodes: list[MapNode] = []
        self.constants: list[float] = []
        self._first: list[int] = []
        self._count = 0
        self._place: dict[MapNode, int] = {}
        self._moves: dict[tuple[Shape, bytes], MapNode] = {}

    def add(self, node: MapNode) -> MapNode:
        """Number the elements of a new map."""
        self._place[node] = len(self.nodes)
        self.nodes.append(node)
        self._first.append(self._count)
        self._count += node.elements
        return node

    def constant(self, value: float) -> int:
        """Return the number of a constant."""
        if value not in self.constants:
            self.constants.append(value)
        return -1 - self.constants.index(value)

    def of_node(self, node: MapNode, shape: torch.Size) -> Tensor:
        """Return the numbers of a map, as a tensor of a shape that begins with the number of images."""
        first = self._first[self._place[node]]
        own = torch.arange(first, first + node.elements, device="cpu")
        images = IMAGE * torch.arange(self.images, device="cpu")
        return (images[:, None] + own).reshape(shape)

    def node(self, numbers: Tensor, where: str) -> MapNode:
        """Return the map of numbers (images, channels, height, width): a recorded one, or a `Gather`.

        Raises:
            RefusedError: if they are not those of one map of each image.
        """
        own = numbers[0]
        later = IMAGE * torch.arange(len(numbers), device="cpu").view(-1, 1, 1, 1)
        expected = torch.where(own < 0, own, own + later)
        if (
            len(numbers) != self.images
            or bool((own >= self._count).any())
            or not torch.equal(expected, numbers)
        ):
            raise RefusedError("it joins different images of a batch")
        shape = own.shape[0], own.shape[1], own.shape[2]
        key = shape, sha256(own.contiguous().numpy().tobytes()).digest()
        if key not in self._moves:
            self._moves[key] = self._whole(own, shape) or self.add(self._moved(own, shape, where))
        return self._moves[key]

    def _whole(self, numbers: Tensor, shape: Shape) -> MapNode | None:
        """Return the recorded map whose elements these are, in order."""
        begin = int(numbers.flatten()[0])
        if begin not in self._first:
            return None
        node = self.nodes[self._first.index(begin)]
        is_whole = torch.equal(numbers.flatten(), torch.arange(begin, begin + prod(shape), device="cpu"))
        return node if node.shape == shape and is_whole else None

    def _moved(self, numbers: Tensor, shape: Shape, where: str) -> Gather:
        first = torch.tensor(self._first, device="cpu")
        of = torch.searchsorted(first, numbers.contiguous(), right=True) - 1
        sources = torch.unique(of[numbers >= 0]).tolist()
        moved, begin = numbers.clone(), 0
        for source in sources:
            chosen = (of == source) & (numbers >= 0)
            moved[chosen] = numbers[chosen] - first[source] + begin
            begin += self.nodes[source].elements
        inputs = tuple(self.nodes[source] for source in sources)
        return Gather(shape, inputs, moved=moved, constants=tuple(self.constants), where=where)
