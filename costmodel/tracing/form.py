"""A formula with its domain: what `closed_form` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy as sp

from costmodel.convention import Cost
from costmodel.sizes import Size, whole
from costmodel.tracing.calls import Call
from costmodel.tracing.domain import Domain
from costmodel.tracing.fallback import MOVEMENT
from costmodel.tracing.symbolic import size_symbol

EXACT = "exact for the domain"


@dataclass(frozen=True)
class ClosedForm:
    """A formula, its domain, and how it was found."""

    total: Cost
    per_layer: Mapping[str, Cost]  # by module path: the module itself, without its children
    domain: Domain
    status: str
    specialised: Mapping[str, str]  # a size that the code fixes -> what fixes it
    movement: Domain  # the sizes for which other outputs, elements read and written, and calls also hold
    calls: tuple[Call, ...] = ()
    given: Mapping[str, int] = field(default_factory=dict)  # the sizes in the inputs
    hints: Mapping[str, int] = field(default_factory=dict)  # those that stood for the symbols in the run
    uncovered: tuple[Call, ...] = ()  # calls for whose MACs there is no formula, in no formula here either
    unregistered: Size = 0  # parameters used but not in `parameters()`; included in the total

    @property
    def caveat(self) -> str:
        """Why the formula does not hold at the sizes of the inputs, in a sentence; "" where it does."""
        broken = self.domain.broken(self.given) if self.given else []
        return (
            f"The formula does not hold at the given sizes: it needs {' and '.join(broken)}."
            if broken
            else ""
        )

    def at(self, **sizes: int) -> Cost:
        """Return the cost at given sizes, as numbers.

        Raises ValueError if they are not in the domain, or movement (copies, bytes, calls) differs there.
        """
        for domain_ in (self.domain, self.movement):
            _check(domain_, sizes)
        return self.total.subs(_values(sizes))

    def value(self, quantity: str, **sizes: int) -> Size:
        """Return one quantity at given sizes; MACs may hold where movement does not.

        Raises ValueError if the sizes are not in its domain.
        """
        _check(self.movement if quantity in MOVEMENT else self.domain, sizes)
        return whole(sp.sympify(getattr(self.total, quantity)).subs(_values(sizes)))


def _check(holds_for: Domain, sizes: Mapping[str, int]) -> None:
    if not holds_for.holds(sizes):
        given = ", ".join(f"{name} = {size}" for name, size in sizes.items())
        raise ValueError(f"the formula holds {holds_for.text}; got {given}")


def _values(sizes: Mapping[str, int]) -> dict[sp.Symbol, int]:
    return {size_symbol(name): size for name, size in sizes.items()}
