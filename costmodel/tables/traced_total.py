"""What enters a total of a traced network, and its unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from costmodel.operators.rules import MULTIPLYING, PARTS
from costmodel.sizes import Size
from costmodel.tables.counting import PREFIXES, UNITS
from costmodel.tracing.calls import Call, element_ops

SHORT_NAMES: Mapping[str, str] = {"conv": "convolution"}  # as the calculator calls them
NAMES = (*MULTIPLYING, *PARTS)


@dataclass(frozen=True)
class TracedTotal:
    """What enters a total, and its unit: the kinds with MACs, and parts of the element operations."""

    names: frozenset[str] = frozenset(MULTIPLYING)
    unit: str = "mac"
    prefix: str = ""  # k, M or G: the unit in which work is shown

    @property
    def heading(self) -> str:
        """The heading of a total of this choice.

        >>> TracedTotal(frozenset(("convolution", "bn")), "flop").heading
        'FLOPs of convolution + bn'
        >>> TracedTotal(frozenset(("bn",)), prefix="M").heading
        'M element ops of bn'
        """
        unit = self.prefix + ("FLOPs" if self.unit == "flop" else "MACs")
        kinds = [name for name in MULTIPLYING if name in self.names]
        parts = [name for name in PARTS if name in self.names]
        if not kinds:
            return (f"{self.prefix} element ops of " if self.prefix else "") + " + ".join(parts)
        return " + ".join(
            [unit if len(kinds) == len(MULTIPLYING) else f"{unit} of {', '.join(kinds)}", *parts]
        )

    @property
    def unscaled(self) -> TracedTotal:
        """The same choice in its unit without a prefix, in which exact counts are shown."""
        return replace(self, prefix="")

    def work(self, calls: Iterable[Call]) -> Size:
        """Return the chosen work of calls, in the unit; an element operation counts once."""
        return sum(self.parts(calls).values())

    def parts(self, calls: Iterable[Call]) -> dict[str, Size]:
        """Return the chosen work of calls by kind of product and by part of the element operations.

        These are in the unit, without a prefix, and add up to the work; what is 0 is left out.
        """
        calls = list(calls)
        found: dict[str, Size] = {}
        for call in calls:
            if call.kind in self.names and call.kind in MULTIPLYING:
                macs = call.cost.macs
                found[call.kind] = found.get(call.kind, 0) + (2 * macs if self.unit == "flop" else macs)
        found |= {part: count for part, count in element_ops(calls).items() if part in self.names}
        return {name: count for name, count in found.items() if count}


def parse_total(count: str | None, unit: str) -> TracedTotal:
    """Parse what enters a total.

    Raises ValueError for an unknown part or unit.

    >>> sorted(parse_total("conv,bn", "mac").names)
    ['bn', 'convolution']
    """
    if unit not in UNITS:
        raise ValueError(f"unit must be mac or flop, got {unit}; k, M or G may stand before it: Mmac")
    prefix = unit[0] if unit[0] in PREFIXES else ""
    unit = unit.removeprefix(prefix)
    if count is None:
        return TracedTotal(unit=unit, prefix=prefix)
    names = [SHORT_NAMES.get(name, name) for name in count.lower().split(",")]
    if wrong := [name for name in names if name not in NAMES]:
        raise ValueError(f"count must be some of {','.join(NAMES)}, got {wrong[0] or 'nothing'}")
    return TracedTotal(frozenset(names), unit, prefix)
