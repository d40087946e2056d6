"""The quantities of a network by name: their definitions, and how to read a budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from operator import itemgetter
from typing import Any

from costmodel.convention import Cost, dtype_bytes
from costmodel.grids.evaluate import evaluate
from costmodel.grids.grid import LARGEST, Grid, IntArray, largest
from costmodel.rounding import as_ratio
from costmodel.sizes import check_choice

SUFFIXES: Mapping[str, int] = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True)
class Quantity:
    """A sum of quantities of `costmodel.convention.Cost`; `unit` is its unit as an axis label.

    Each element of the parts counts `times`, or its bytes.
    """

    heading: str
    unit: str
    parts: tuple[str, ...]
    in_bytes: bool = False
    times: int = 1

    def factor(self, dtype: str) -> int:
        """Return the weight of one element of the parts."""
        return dtype_bytes(dtype) if self.in_bytes else self.times


NAMED: Mapping[str, Quantity] = {
    "params": Quantity("params", "parameters", ("params",)),
    "macs": Quantity("MACs", "MACs", ("macs",)),
    "activations": Quantity("activations", "activation elements", ("activations",)),
    "bytes": Quantity("bytes moved", "bytes moved", ("elements_read", "elements_written"), in_bytes=True),
    "training-macs": Quantity("training MACs", "MACs of a training step", ("macs_training",)),
    "element-ops": Quantity("element ops", "element operations", ("element_ops",)),
    "calls": Quantity("calls", "operator calls", ("calls",)),
    "flops": Quantity("FLOPs", "FLOPs", ("macs",), times=2),
    "training-flops": Quantity("training FLOPs", "FLOPs of a training step", ("macs_training",), times=2),
}
IN_FLOPS: Mapping[str, str] = {"macs": "flops", "training-macs": "training-flops"}
# Properties of the structure, the same for all choices of alpha, beta and paths. Usually maximised.
STRUCTURE: Mapping[str, Quantity] = {
    "width": Quantity("width", "channels of the first stage", ()),
    "depth": Quantity("depth", "depth", ()),
}
LATENCY = "latency"  # predicted for a machine, by `costmodel.search.latency`; not a sum of counts
PREDICTED: Mapping[str, Quantity] = {LATENCY: Quantity("latency ns", "predicted latency in ns", ())}


def named_quantity(name: str) -> Quantity:
    """Return a counted quantity by name, or raise ValueError."""
    check_choice("quantity", name, NAMED)
    return NAMED[name]


def heading_of(name: str) -> str:
    """Return the heading of a counted, structural or predicted quantity."""
    return (PREDICTED.get(name) or STRUCTURE.get(name) or named_quantity(name)).heading


def unit_of(name: str) -> str:
    """Return the axis label of a counted, structural or predicted quantity."""
    return (PREDICTED.get(name) or STRUCTURE.get(name) or named_quantity(name)).unit


def grid_quantities(
    grid: Grid, names: Iterable[str], dtype: str = "float32", **options: Any
) -> dict[str, IntArray]:
    """Return named quantities (N,) of a grid; options as for `costmodel.grids.evaluate.evaluate`.

    Raises ValueError if one of them may exceed 64 bits.

    >>> from costmodel.grids.grid import grid
    >>> grid_quantities(grid(depths=[20]), ["params", "bytes"])["params"].tolist()
    [272282]
    """
    wanted = {name: named_quantity(name) for name in names}
    parts = dict.fromkeys(part for quantity in wanted.values() for part in quantity.parts)
    values = evaluate(grid, tuple(parts), **options)
    for quantity in wanted.values():
        most = sum(largest(values[part]) for part in quantity.parts) * quantity.factor(dtype)
        check_count(quantity.heading, most)
    return {
        name: _sum([values[part] for part in quantity.parts]) * quantity.factor(dtype)
        for name, quantity in wanted.items()
    }


def check_count(what: str, most: int) -> None:
    """Raise ValueError if a count does not fit into 64 bits."""
    if most > LARGEST:
        raise ValueError(f"counts may exceed 64 bits: up to {most:,} {what}")


def cost_quantities(cost: Cost, names: Iterable[str], dtype: str = "float32") -> dict[str, Any]:
    """Return named quantities of a cost.

    >>> cost_quantities(Cost(elements_read=3, elements_written=2), ["bytes"])
    {'bytes': 20}
    """
    wanted = {name: named_quantity(name) for name in names}
    return {
        name: sum(getattr(cost, part) for part in quantity.parts) * quantity.factor(dtype)
        for name, quantity in wanted.items()
    }


def amount(text: str) -> Fraction:
    """Read a positive amount exactly, with a decimal suffix k, M, G or T.

    Raises ValueError if it is not a positive number.

    >>> amount("0.4M"), amount("1.2G"), amount("60000")
    (Fraction(400000, 1), Fraction(1200000000, 1), Fraction(60000, 1))
    """
    number, factor = text.strip(), 1
    suffix = "k" if number.endswith("K") else number[-1:]
    if suffix in SUFFIXES:
        number, factor = number[:-1], SUFFIXES[suffix]
    try:
        value = as_ratio(number) * factor
    except ValueError:
        raise ValueError(f"an amount is a number such as 400000, 0.4M or 1.2G, got {text}") from None
    if value <= 0:
        raise ValueError(f"an amount must be positive, got {text}")
    return value


def short(value: float, digits: int = 3) -> str:
    """Return a count with a few significant digits and a suffix.

    >>> short(409482), short(36473472), short(81)
    ('409k', '36.5M', '81')
    """
    for suffix, factor in sorted(SUFFIXES.items(), key=itemgetter(1), reverse=True):
        if abs(value) >= factor:
            return f"{value / factor:.{digits}g}{suffix}"
    return f"{value:.{digits}g}"


def _sum(arrays: list[IntArray]) -> IntArray:
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total
