"""Sizes that say when Python multiplies them: a traced graph records such a product as an operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch


class TracedSize(int):
    """A size of a tensor; `made_by` are the numbers of the products that it depends on."""

    made_by: tuple[int, ...]
    noted: Callable[[], int]

    def __new__(cls, value: int, noted: Callable[[], int], made_by: tuple[int, ...] = ()) -> TracedSize:
        """Return a size that calls `noted` for each product, which returns its number."""
        made = super().__new__(cls, value)
        made.noted, made.made_by = noted, made_by
        return made

    def _with(self, value: Any, other: Any, more: tuple[int, ...] = ()) -> Any:
        if type(value) is not int:
            return value
        others = other.made_by if isinstance(other, TracedSize) else ()
        return TracedSize(value, self.noted, (*self.made_by, *others, *more))

    def __mul__(self, other: Any) -> Any:
        value = int(self).__mul__(other)
        return self._with(value, other, (self.noted(),)) if type(value) is int else value

    def __rmul__(self, other: Any) -> Any:
        return self * other

    def __add__(self, other: Any) -> Any:
        return self._with(int(self).__add__(other), other)

    def __radd__(self, other: Any) -> Any:
        return self._with(int(self).__radd__(other), other)

    def __sub__(self, other: Any) -> Any:
        return self._with(int(self).__sub__(other), other)

    def __rsub__(self, other: Any) -> Any:
        return self._with(int(self).__rsub__(other), other)

    def __floordiv__(self, other: Any) -> Any:
        return self._with(int(self).__floordiv__(other), other)


def traced_sizes(value: Any, noted: Callable[[], int]) -> Any:
    """Return a size, or the sizes of a tensor, such that their products are noted; anything else as it is."""
    if isinstance(value, torch.Size):
        return torch.Size([TracedSize(size, noted) for size in value])
    return TracedSize(value, noted) if type(value) is int else value


def products_in(leaves: list[Any]) -> Iterator[int]:
    """Yield the numbers of the products on which sizes among values depend."""
    for leaf in leaves:
        if isinstance(leaf, TracedSize):
            yield from leaf.made_by
