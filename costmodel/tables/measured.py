"""The quantities of a table of networks: their names, units and parts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from costmodel.convention import dtype_bytes
from costmodel.grids.quantities import IN_FLOPS, cost_quantities, named_quantity
from costmodel.operators.recorder import Operator, cost_of
from costmodel.report import Column
from costmodel.tables.counting import PREFIXES, Totals

WORK_QUANTITIES = frozenset((*IN_FLOPS, *IN_FLOPS.values()))


@dataclass(frozen=True)
class Measured:
    """Named quantities of networks; `totals` says what enters parameters and MACs or FLOPs.

    Raises ValueError if a quantity or the dtype is unknown.
    """

    names: tuple[str, ...] = ("params", "macs")
    dtype: str = "float32"
    totals: Totals = field(default_factory=Totals)

    def __post_init__(self) -> None:
        dtype_bytes(self.dtype)
        for name in self.names:
            named_quantity(name)

    @classmethod
    def read(cls, quantities: Sequence[str], dtype: str, unit: str, count: str | None) -> Measured:
        """Return quantities in a unit of work: with FLOPs, MACs become FLOPs.

        >>> Measured.read(["params", "macs", "params"], "float32", "Gflop", None).names
        ('params', 'flops')
        """
        totals = Totals.read(count, unit)
        names = [IN_FLOPS.get(name, name) if totals.unit == "flop" else name for name in quantities]
        return cls(tuple(dict.fromkeys(names)), dtype, totals)

    def of(self, operators: Collection[Operator]) -> dict[str, int]:
        """Return the quantities of operators by name."""
        found = cost_quantities(cost_of(operators), self.names, self.dtype)
        if self.totals.is_default:
            return found
        return found | {name: n for name, n in self.totals.of(operators).items() if name in found}

    def values(self, operators: Collection[Operator]) -> list[int]:
        """Return the quantities of operators, in the order of the names."""
        return list(self.of(operators).values())

    def column(self, name: str, key: str | None = None, suffix: str = "") -> Column:
        """Return the column of a quantity, with work in the chosen unit."""
        heading, scale = named_quantity(name).heading, 1
        if name == self.totals.key:
            heading = self.totals.heading
        elif name in WORK_QUANTITIES:
            heading = heading.replace("MAC", f"{self.totals.prefix}MAC").replace(
                "FLOP", f"{self.totals.prefix}FLOP"
            )
        if name in WORK_QUANTITIES:
            scale = PREFIXES[self.totals.prefix]
        return Column(key or name, heading + suffix, "count", scale=scale)


DEFAULT = Measured()
