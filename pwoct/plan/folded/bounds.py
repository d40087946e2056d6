"""Bounds on the values of feature maps: the library may compute a ReLU only where they stay finite.

oneDNN's ReLU turns NaN into 0, so a network with infinite values somewhere would return finite logits. The
values of a map are at most a factor times those of the map before, plus an offset. With this bound,
inspecting a few maps shows that nothing overflows; otherwise PyTorch computes the ReLUs, and NaN stays NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor

LIMIT = 1e37  # below the largest float32 and bfloat16, 3.4e38, with room for rounding

_fuses = ContextVar("fuses", default=True)


class Growth(NamedTuple):
    """A bound on what an operator returns: `factor` times the bound on what it reads, plus `offset`.

    >>> Growth(2.0, 1.0).then(Growth(3.0, 5.0))
    Growth(factor=6.0, offset=8.0)
    """

    factor: float = 1.0
    offset: float = 0.0

    def __call__(self, bound: float) -> float:
        """Return the bound behind the operator."""
        return self.factor * bound + self.offset

    def then(self, following: Growth) -> Growth:
        """Return the bound of two operators, one after the other."""
        return Growth(following.factor * self.factor, following(self.offset))

    def plus(self, other: Growth) -> Growth:
        """Return the bound of a sum of two operators' results."""
        return Growth(self.factor + other.factor, self.offset + other.offset)


def growth_of(weight: Tensor, bias: Tensor | None) -> Growth:
    """Return the bound of a convolution: the largest absolute sum of a filter, and the largest bias.

    >>> growth_of(torch.tensor([[[[1.0, -2.0]]]]), torch.tensor([-0.5]))
    Growth(factor=3.0, offset=0.5)
    """
    factor = weight.double().abs().flatten(1).sum(1).max()
    return Growth(float(factor), 0.0 if bias is None else float(bias.double().abs().max()))


class Bound:
    """A bound on the values of the current maps, which grows from operator to operator."""

    def __init__(self, *maps: Tensor | None) -> None:
        self.value = largest(maps)

    def grow(self, growth: Growth, *maps: Tensor | None) -> bool:
        """Return whether an operator's results on `maps` stay finite; inspect the maps if necessary."""
        value = growth(self.value)
        self.value = value if value < LIMIT else growth(largest(maps))
        return self.value < LIMIT


class Unbounded(Bound):
    """The bound to use where the library computes no ReLU, so that no map needs inspection."""

    def __init__(self) -> None:
        super().__init__()

    def grow(self, growth: Growth, *maps: Tensor | None) -> bool:  # noqa: ARG002 - as `Bound` has it
        """Return that nothing is known."""
        return False


def largest(maps: Iterable[Tensor | None]) -> float:
    """Return the largest absolute value of all maps, or NaN if there is one; 0 for maps without elements."""
    found = [torch.stack(torch.aminmax(_flat(x))) for x in maps if x is not None and x.numel()]
    return float(torch.stack(found).abs().max()) if found else 0.0


def _flat(x: Tensor) -> Tensor:
    """View channels_last in its memory order: any other order would need a copy."""
    return x.permute(0, 2, 3, 1)


@contextmanager
def fusing(enabled: bool) -> Iterator[None]:
    """Enable or disable sums and ReLUs fused into convolutions, in this thread.

    Under torch.compile it does nothing: no convolution that is traced fuses them, and a context variable
    would end the graph.
    """
    if torch.compiler.is_compiling():
        yield
        return
    token = _fuses.set(enabled)
    try:
        yield
    finally:
        _fuses.reset(token)


def is_fusing() -> bool:
    """Whether convolutions may compute sums and ReLUs themselves."""
    return _fuses.get()
