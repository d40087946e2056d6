"""Measured time of any network beside the roofline of the operators that ran: plain data, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from costmodel.report import Column, Table
from costmodel.speed.roofline import Machine
from costmodel.speed.stopwatch import Timing


@dataclass(frozen=True, slots=True)
class CallWork:
    """What one operator does: its MACs, and the bytes that it reads and writes once."""

    macs: int
    moved: int


@dataclass(frozen=True)
class AnyMeasurement:
    """A network in one mode: measured seconds, and the operators that ran."""

    mode: str
    dtype: str
    timing: Timing
    works: Sequence[CallWork]


@dataclass(frozen=True)
class Roofline:
    """Seconds at the machine's ceilings: of operators bound by arithmetic, and of those bound by traffic."""

    arithmetic: float
    traffic: float

    @property
    def seconds(self) -> float:
        """All of them, one after the other."""
        return self.arithmetic + self.traffic


def roofline(works: Sequence[CallWork], machine: Machine, dtype: str) -> Roofline:
    """Return how long operators take at the machine's ceilings, each bound by arithmetic or by memory.

    >>> roofline([CallWork(200, 10), CallWork(0, 5)], Machine({"float32": 100.0}, 10.0, 1.0), "float32")
    Roofline(arithmetic=2.0, traffic=0.5)
    """
    arithmetic = traffic = 0.0
    for work in works:
        computing = work.macs / machine.macs_per_second[dtype]
        moving = work.moved / machine.bytes_per_second
        if computing >= moving:
            arithmetic += computing
        else:
            traffic += moving
    return Roofline(arithmetic, traffic)


def any_table(name: str, machine: Machine, results: Sequence[AnyMeasurement]) -> Table:
    """Return one row per mode and dtype: measured time, work, and the roofline beside it."""
    columns = [
        Column("mode", "mode"),
        Column("dtype", "dtype", on_terminal=False),
        Column("milliseconds", "ms", "ratio"),
        Column("spread", "spread", "percent"),
        Column("macs", "MACs", "count"),
        Column("rate", "10⁹ MACs/s", "ratio"),
        Column("roofline_milliseconds", "roofline", "ratio"),
        Column("share", "share", "share"),
        Column("traffic_bound", "by traffic", "share"),
        Column("operators", "operators", "count", on_terminal=False),
        Column("bytes", "bytes", "count", on_terminal=False),
    ]
    return Table("network", name, columns, [_row(machine, result) for result in results])


def _row(machine: Machine, result: AnyMeasurement) -> dict[str, Any]:
    bound = roofline(result.works, machine, result.dtype)
    median, macs = result.timing.median, sum(work.macs for work in result.works)
    return {
        "mode": result.mode,
        "dtype": result.dtype,
        "milliseconds": median * 1e3,
        "spread": result.timing.spread,
        "macs": macs,
        "rate": macs / median / 1e9,
        "roofline_milliseconds": bound.seconds * 1e3,
        "share": bound.seconds / median,
        "traffic_bound": bound.traffic / bound.seconds if bound.seconds else 0.0,
        "operators": len(result.works),
        "bytes": sum(work.moved for work in result.works),
    }
