"""What enters a total: an explicit choice of parts, never mixed in silently."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from costmodel.convention import Cost
from costmodel.operators.recorder import Operator
from costmodel.report import Column
from costmodel.sizes import Size

ELEMENT_PARTS = ("bias", "bn", "activation", "pool", "upsample", "add")
COUNTS = ("conv", "linear", "shortcut", *ELEMENT_PARTS)
PREFIXES: Mapping[str, int] = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
UNITS = tuple(f"{prefix}{unit}" for prefix in PREFIXES for unit in ("mac", "flop"))
WORK = frozenset({"conv", "linear", "shortcut"})  # the published convention: MACs
PARAMS = frozenset(COUNTS)  # all parameters


def parse_counts(text: str) -> frozenset[str]:
    """Parse a comma-separated choice of parts.

    Raises ValueError for an unknown part.

    >>> sorted(parse_counts("conv,linear"))
    ['conv', 'linear']
    """
    names = text.lower().split(",")
    for name in names:
        if name not in COUNTS:
            raise ValueError(f"count must be some of {','.join(COUNTS)}, got {text}")
    return frozenset(names)


def counted_params(operators: Iterable[Operator], counts: Collection[str] = PARAMS) -> Size:
    """Return the parameters of the chosen parts, trainable or frozen."""
    return sum(_params(operator.cost, _weights_part(operator), counts) for operator in operators)


def counted_macs(operators: Iterable[Operator], counts: Collection[str] = WORK) -> Size:
    """Return the MACs of the chosen parts: convolutions, linear layers, shortcut convolutions."""
    return sum(operator.cost.macs for operator in operators if _weights_part(operator) in counts)


def counted_element_ops(operators: Iterable[Operator], counts: Collection[str] = WORK) -> Size:
    """Return the element operations of the chosen parts: bias, bn, activation, pool, upsample, add."""
    return sum(_element_ops(operator.cost, counts) for operator in operators)


def counted_work(operators: Collection[Operator], counts: Collection[str] = WORK, unit: str = "mac") -> Size:
    """Return the work of the chosen parts in MACs or FLOPs (2 per MAC); an element operation counts once.

    Raises ValueError for an unknown unit.
    """
    if unit not in ("mac", "flop"):
        raise ValueError(f"unit must be mac or flop, got {unit}")
    macs = counted_macs(operators, counts)
    return (2 * macs if unit == "flop" else macs) + counted_element_ops(operators, counts)


def work_heading(counts: Collection[str], unit: str, prefix: str = "") -> str:
    """Return the heading of a total of this choice.

    >>> work_heading({"conv", "linear", "bn"}, "flop"), work_heading({"conv"}, "mac", "M")
    ('FLOPs + bn', 'MMACs')
    """
    element = [name for name in ELEMENT_PARTS if name in counts]
    return " + ".join([prefix + ("FLOPs" if unit == "flop" else "MACs"), *element])


@dataclass(frozen=True)
class Totals:
    """What enters a total, its unit, and how it is shown: in units, or with the prefix k, M or G.

    Work is that of a batch of images; parameters do not depend on the batch.
    """

    work: frozenset[str] = WORK
    params: frozenset[str] = PARAMS
    unit: str = "mac"
    prefix: str = ""
    batch: int = 1

    @classmethod
    def read(cls, count: str | None, unit: str) -> Totals:
        """Parse the choice of parts and the unit, one of UNITS.

        Without a choice, parameters count all parts, and work those of the published convention. Raises
        ValueError if a part or the unit is unknown.

        >>> Totals.read(None, "Gflop").heading, Totals.read("conv,bn", "mac").heading
        ('GFLOPs', 'MACs + bn')
        """
        if unit not in UNITS:
            raise ValueError(f"unit must be mac or flop, got {unit}; k, M or G may stand before it: Mmac")
        counts = None if count is None else parse_counts(count)
        prefix = unit[0] if unit[0] in PREFIXES else ""
        return cls(counts or WORK, counts or PARAMS, unit.removeprefix(prefix), prefix)

    @property
    def is_default(self) -> bool:
        """Whether all parameters count, and work by the published convention."""
        return (self.work, self.params) == (WORK, PARAMS)

    @property
    def key(self) -> str:
        """The key of the work in a row, macs or flops."""
        return f"{self.unit}s"

    @property
    def heading(self) -> str:
        """The heading of a column of work."""
        return work_heading(self.work, self.unit, self.prefix)

    @property
    def column(self) -> Column:
        """The column of work, exact in JSON and CSV, in the chosen unit elsewhere."""
        return Column(self.key, self.heading, "count", scale=PREFIXES[self.prefix])

    def of(self, operators: Collection[Operator]) -> dict[str, Any]:
        """Return the counted parameters of operators and their work, from operators for one image."""
        return {
            "params": counted_params(operators, self.params),
            self.key: self.batch * counted_work(operators, self.work, self.unit),
        }


def _weights_part(operator: Operator) -> str:
    return "shortcut" if operator.part == "conv" and operator.place.role == "shortcut" else operator.part


def _params(cost: Cost, part: str, counts: Collection[str]) -> Size:
    weights = cost.weights if part in counts else 0
    return weights + (cost.biases if "bias" in counts else 0) + (cost.bn_weights if "bn" in counts else 0)


def _element_ops(cost: Cost, counts: Collection[str]) -> Size:
    return sum(getattr(cost, f"{part}_ops") for part in ELEMENT_PARTS if part in counts)
