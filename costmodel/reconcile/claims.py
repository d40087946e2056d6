"""Which conventions give a printed number: readings of a network, and the digits that each prints.

A reading says what is counted (all that multiplies, some of it, element operations too, or what a counter
counts), in which unit, with which prefix, and whether digits are rounded or cut off. Simple readings come
first: each choice that departs from our MACs, rounded, with the prefix 10^3, adds a step or more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
import numpy.typing as npt

from costmodel.reconcile.bridge import Prediction
from costmodel.reconcile.events import Seen

_FIGURE = re.compile(r"(?P<digits>\d+(?:\.(?P<decimals>\d+))?) ?(?P<prefix>[kKMGTB]?)(?P<unit>[A-Za-z]*)")
_POWERS: Mapping[str, int] = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "B": 3, "T": 4}
_UNITS: Mapping[str, str] = {"mac": "MAC", "macs": "MAC", "flop": "FLOP", "flops": "FLOP", "": ""}
MOST_PARTS = 3  # element operations that a reading adds at once
_EXACT = 2**53


@dataclass(frozen=True)
class PrintedCount:
    """A printed number: digits without the point, how many decimals, the prefix's power, the unit."""

    text: str
    digits: int
    decimals: int
    power: int
    unit: str = ""


@dataclass(frozen=True)
class CountReading:
    """What is counted, how it is printed, how simple that is (less is simpler), and the number itself."""

    counted: str
    unit: str
    prefix: str
    rounding: str
    complexity: int
    value: int
    distance: float = 0.0  # relative, to the printed number

    @property
    def words(self) -> str:
        """The reading in words."""
        extra = [self.unit, *([f"prefix {self.prefix}"] if self.prefix != "10^3" else [])]
        extra += [self.rounding] if self.rounding != "rounded" else []
        return f"{self.counted}: {', '.join(extra)}"


@dataclass(frozen=True)
class ClaimAnswer:
    """Readings that give exactly the printed digits, simplest first; else the nearest one."""

    figure: PrintedCount
    exact: tuple[CountReading, ...]
    nearest: CountReading | None
    searched: int


def parse_figure(text: str) -> PrintedCount:
    """Read a printed number.

    Raises ValueError where a text is none.

    >>> parse_figure("4.12G"), parse_figure("125.75 MFLOPs").unit
    (PrintedCount(text='4.12G', digits=412, decimals=2, power=3, unit=''), 'FLOP')
    """
    found = _FIGURE.fullmatch(text.strip().replace(",", ""))
    if found is None or found["unit"].lower() not in _UNITS:
        raise ValueError(f"a claim is a number such as 4.12G, 4.12 GMACs or 300M, got {text or 'nothing'}")
    decimals = len(found["decimals"] or "")
    digits = int(found["digits"].replace(".", ""))
    return PrintedCount(text, digits, decimals, _POWERS[found["prefix"]], _UNITS[found["unit"].lower()])


def search(figure: PrintedCount, observed: Seen, predictions: Sequence[Prediction]) -> ClaimAnswer:
    """Return the readings of a network that give a printed number."""
    counted = list(_counted(observed, predictions))
    values = np.array([value for _, value, _, _ in counted], dtype=np.int64)
    exact: list[CountReading] = []
    nearest: CountReading | None = None
    ways = list(_ways(figure))
    for factor, unit, prefix, rounding, more in ways:
        scaled = values * factor
        hits = _prints(scaled, figure, prefix, rounding)
        exact += [_reading(counted[i], factor, unit, prefix, rounding, more) for i in np.flatnonzero(hits)]
        if not exact and len(values):
            target = (
                figure.digits * (1024 if prefix == "2^10" else 1000) ** figure.power / 10**figure.decimals
            )
            distances = np.abs(scaled - target) / target if target else np.abs(scaled)
            best = int(distances.argmin())
            found = _reading(counted[best], factor, unit, prefix, rounding, more, float(distances[best]))
            nearest = found if nearest is None or found.distance < nearest.distance else nearest
    exact.sort(key=lambda reading: (reading.complexity, reading.counted))
    return ClaimAnswer(figure, tuple(exact), None if exact else nearest, len(values) * len(ways))


def prints(value: int, text: str) -> bool:
    """Return whether a number, rounded, is printed as a text.

    >>> prints(25_557_032, "25.56M"), prints(25_557_032, "25.5M")
    (True, False)
    """
    return bool(_prints(np.array([value], dtype=np.int64), parse_figure(text), "10^3", "rounded")[0])


def _prints(
    values: npt.NDArray[np.int64], figure: PrintedCount, prefix: str, rounding: str
) -> npt.NDArray[np.bool_]:
    """Return which numbers have the printed digits: bounds are exact fractions, so no division rounds."""
    base = 1024 if prefix == "2^10" else 1000
    unit = Fraction(base**figure.power, 10**figure.decimals)
    half = Fraction(1, 2) if rounding == "rounded" else Fraction(0)
    low, high = (figure.digits - half) * unit, (figure.digits + 1 - half) * unit
    found: npt.NDArray[np.bool_] = (values >= -int(-low // 1)) & (values < -int(-high // 1))
    return found


def _ways(figure: PrintedCount) -> Iterator[tuple[int, str, str, str, int]]:
    """Yield how a count can be printed, with what that adds to a reading's complexity."""
    for factor, unit in ((1, "MACs"), (2, "FLOPs, 2 a MAC")):
        doubled = int((factor == 2) != (figure.unit == "FLOP"))
        for prefix in ("10^3", "2^10") if figure.power else ("10^3",):
            for rounding in ("rounded", "cut off"):
                more = 2 * doubled + 3 * (prefix == "2^10") + 2 * (rounding != "rounded")
                yield factor, unit, prefix, rounding, more


def _counted(observed: Seen, predictions: Sequence[Prediction]) -> Iterator[tuple[str, int, int, str]]:
    """Yield what can be counted: its name, how much it is, how simple that is, and a unit of its own."""
    kinds: dict[str, int] = {}
    parts: dict[str, int] = {}
    for event in observed.events:
        if event.macs:
            kinds[event.kind] = kinds.get(event.kind, 0) + event.macs
        for part, count in event.parts.items():
            parts[part] = parts.get(part, 0) + count
    seen: set[int] = set()
    for name, value, complexity in sorted(_sums(kinds, parts), key=lambda found: found[2]):
        if value not in seen and 2 * value < _EXACT * 2**9:
            seen.add(value)
            yield name, value, complexity, ""
    for one in predictions:
        if one.total not in seen:
            yield f"{one.counter.name} {one.counter.version}", one.total, 1, one.counter.calls_it


def _sums(kinds: Mapping[str, int], parts: Mapping[str, int]) -> Iterator[tuple[str, int, int]]:
    for without in range(len(kinds)):
        for left in combinations(kinds, len(kinds) - without):
            name = "our MACs" if not without else f"MACs of {', '.join(left)}"
            value = sum(kinds[kind] for kind in left)
            for more in range(MOST_PARTS + 1):
                for added in combinations(parts, more):
                    whole = value + sum(parts[part] for part in added)
                    yield " + ".join([name, *added]), whole, 2 * without + 2 * more


def _reading(
    counted: tuple[str, int, int, str],
    factor: int,
    unit: str,
    prefix: str,
    rounding: str,
    more: int,
    distance: float = 0.0,
) -> CountReading:
    name, value, complexity, own = counted
    words = own if own and factor == 1 else f"twice its {own}" if own else unit
    return CountReading(name, words, prefix, rounding, complexity + more, value * factor, distance)
