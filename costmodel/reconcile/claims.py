"""Which conventions give a printed number: readings of a network, and the digits that each prints.

A reading says what is counted (all that multiplies, some of it, element operations too, or what a counter
prints), of which variant of the network, in which unit, with which prefix, and whether digits are rounded or
cut off. Simple readings come first: our MACs, and what a counter prints, are equally simple; each choice
that departs from them, rounded, with the prefix 10^3, adds a step or more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, combinations

import numpy as np

from costmodel.digits import PrintedCount, prints
from costmodel.readings import every_count, printed, weights_of
from costmodel.reconcile.bridge import Prediction
from costmodel.reconcile.events import Seen
from costmodel.reconcile.variants import ClaimVariant, variants

MOST_PARTS = 3  # element operations that a reading adds at once
OURS = "our MACs"
AUXILIARY = ClaimVariant("with auxiliary heads, which run in training alone", 1)
_EXACT = 2**53


@dataclass(frozen=True)
class CountReading:
    """What is counted, how it is printed, how simple that is (less is simpler), and the number itself."""

    counted: str
    unit: str
    prefix: str
    rounding: str
    complexity: int
    value: int
    params: int = 0  # of the variant that it reads
    distance: float = 0.0  # relative, to the printed number
    agreeing: int = 0  # how many claims of the same source this convention gives
    names: tuple[str, ...] = ()  # all that count this number; our MACs are named alone

    @property
    def conventions(self) -> frozenset[tuple[str, ...]]:
        """What is counted under each of its names, and how that is printed."""
        doubled = "twice" if self.unit.startswith(("twice", "FLOPs, 2")) else "once"
        how = (doubled, self.prefix, self.rounding)
        return frozenset((name, *how) for name in self.names)

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
    params: PrintedCount | None = None  # printed beside it: a reading gives both


@dataclass(slots=True)
class _Count:
    """What can be counted, before it is printed."""

    names: list[str]
    value: int
    complexity: int
    params: int
    counter: Prediction | None = None  # of which it is the total
    twice: bool = True  # whether two FLOPs for each of its units is a reading

    def steps(self, factor: int, unit: str) -> int:
        """Return how far the unit is from what the number is said to be."""
        if self.counter is not None:
            calls = self.counter.counter.calls_it.upper()
            return (1 if unit and unit not in calls else 0) if factor == 1 else (1 if unit == "FLOP" else 2)
        if factor == 1:
            return 1 if unit == "FLOP" else 0
        return 0 if unit == "FLOP" else 4 if unit == "MAC" else 2

    def unit(self, factor: int) -> str:
        if self.counter is None:
            return "MACs" if factor == 1 else "FLOPs, 2 a MAC"
        calls = self.counter.counter.calls_it
        return f"which it calls {calls}" if factor == 1 else f"twice its {calls}"


@dataclass
class _Best:
    found: CountReading | None = None
    distance: float = field(default=float("inf"))


def search(
    figure: PrintedCount,
    observed: Seen,
    predictions: Sequence[Prediction],
    params: PrintedCount | None = None,
    auxiliary: tuple[Seen, Sequence[Prediction]] | None = None,
) -> ClaimAnswer:
    """Return the readings of a network that give a printed number, and the parameters printed beside it.

    `auxiliary` is what runs of the network, and what counters say of that, with its auxiliary heads.
    """
    counts = _counted(observed, predictions)
    counted = _merged(chain(counts, _totals(*auxiliary, AUXILIARY) if auxiliary else ()))
    values = np.array([one.value for one in counted], dtype=np.int64)
    twice = np.array([one.twice for one in counted], dtype=bool)
    exact: list[CountReading] = []
    best = _Best()
    ways = list(_ways(figure))
    for factor, prefix, rounding, more in ways:
        allowed = twice if factor == 2 else np.ones_like(twice)
        scaled = values * factor
        for i in np.flatnonzero(printed(scaled, figure, prefix, rounding) & allowed):
            reading = _reading(counted[i], figure.unit, factor, prefix, rounding, more)
            if params is None or prints(reading.params, params.text, prefix, rounding):
                exact.append(reading)
        if not exact and allowed.any():
            target = figure.digits * (1024 if prefix == "2^10" else 1000) ** figure.power
            target /= 10**figure.decimals
            distances = np.where(allowed, np.abs(scaled - target) / (target or 1), np.inf)
            at = int(distances.argmin())
            if distances[at] < best.distance:
                best = _Best(
                    _reading(counted[at], figure.unit, factor, prefix, rounding, more, float(distances[at])),
                    float(distances[at]),
                )
    exact.sort(key=lambda reading: (reading.complexity, reading.counted))
    return ClaimAnswer(figure, tuple(exact), None if exact else best.found, len(values) * len(ways), params)


def agreed(answers: Sequence[ClaimAnswer]) -> list[ClaimAnswer]:
    """Return the answers to claims of one source, readings that are equally simple in another order.

    Whoever printed them counted all of them alike: first comes the convention that gives most of them.
    """
    given = Counter(
        convention
        for answer in answers
        for convention in frozenset().union(*(reading.conventions for reading in answer.exact))
    )

    def ranked(reading: CountReading) -> CountReading:
        best = sorted(reading.conventions, key=lambda convention: (-given[convention], convention))
        counted = "; ".join(convention[0] for convention in best)
        named = counted if reading.counted == "; ".join(reading.names) else reading.counted
        return replace(reading, counted=named, agreeing=given[best[0]])

    return [
        replace(
            answer, exact=tuple(sorted(map(ranked, answer.exact), key=lambda r: (r.complexity, -r.agreeing)))
        )
        for answer in answers
    ]


def _ways(figure: PrintedCount) -> Iterator[tuple[int, str, str, int]]:
    """Yield how a count can be printed, with what that adds to a reading's complexity."""
    for factor in (1, 2):
        for prefix in ("10^3", "2^10") if figure.power else ("10^3",):
            for rounding in ("rounded", "cut off"):
                yield factor, prefix, rounding, 3 * (prefix == "2^10") + 2 * (rounding != "rounded")


def _merged(counted: Iterable[_Count]) -> list[_Count]:
    """Return what can be counted, each number once: under its simplest names."""
    found: dict[tuple[int, int, bool], _Count] = {}
    for one in sorted(counted, key=lambda count: count.complexity):
        same = found.setdefault((one.value, one.params, one.twice), one)
        if same is not one and same.complexity == one.complexity and one.counter is not None:
            same.names += one.names
    return [one for one in found.values() if 2 * one.value < _EXACT * 2**9]


def _counted(observed: Seen, predictions: Sequence[Prediction]) -> Iterator[_Count]:
    """Yield what can be counted of a network and its variants."""
    kinds: dict[str, int] = {}
    parts: dict[str, int] = {}
    for event in observed.events:
        if event.macs:
            kinds[event.kind] = kinds.get(event.kind, 0) + event.macs
        for part, count in event.parts.items():
            parts[part] = parts.get(part, 0) + count
    for name, value, complexity in _sums(kinds, parts):
        yield _Count([name], value, complexity, observed.parameters)
    for variant in variants(observed):
        for one in _totals(observed, predictions, variant):
            yield one
            if observed.batch > 1 and not one.value % observed.batch:
                names = [f"{name}, per image" for name in one.names]
                value = one.value // observed.batch
                yield _Count(names, value, one.complexity + 1, one.params, one.counter, one.twice)


def _totals(observed: Seen, predictions: Sequence[Prediction], variant: ClaimVariant) -> Iterator[_Count]:
    params = variant.parameters(observed)
    said = f", {variant.words}" if variant.words else ""
    yield _Count([OURS + said], variant.macs(observed), variant.steps, params)
    for one in predictions:
        name = f"what {one.counter.name} {one.counter.version} prints{said}"
        twice = one.counter.macs_per_unit == 1
        yield _Count([name], variant.total(one), variant.steps, params, one, twice)


def _sums(kinds: Mapping[str, int], parts: Mapping[str, int]) -> Iterator[tuple[str, int, int]]:
    """Yield what any choice of kinds of MACs and of element operations gives, with its words and steps."""
    counted = list(_choices(tuple(kinds), tuple(parts)))
    there = {("macs", kind): amount for kind, amount in kinds.items()}
    there |= {("part", part): amount for part, amount in parts.items()}
    weights = weights_of([dict.fromkeys(choice, 1) for choice in counted], tuple(there))
    (values,) = every_count([there], tuple(there), weights)
    for choice, value in zip(counted, values.tolist(), strict=True):
        left = [name for what, name in choice if what == "macs"]
        added = [name for what, name in choice if what == "part"]
        without = len(kinds) - len(left)
        name = OURS if not without else "MACs of " + " and ".join(left)
        yield " + ".join([name, *added]), value, 2 * without + 2 * len(added)


def _choices(kinds: Sequence[str], parts: Sequence[str]) -> Iterator[tuple[tuple[str, str], ...]]:
    for without in range(len(kinds)):
        for left in combinations(kinds, len(kinds) - without):
            for more in range(MOST_PARTS + 1):
                for added in combinations(parts, more):
                    yield (*(("macs", kind) for kind in left), *(("part", part) for part in added))


def _reading(
    count: _Count, unit: str, factor: int, prefix: str, rounding: str, more: int, distance: float = 0.0
) -> CountReading:
    complexity = count.complexity + more + count.steps(factor, unit)
    names = tuple(dict.fromkeys(count.names))
    counted = "; ".join(names) if count.counter is not None else names[0]
    return CountReading(
        counted, count.unit(factor), prefix, rounding, complexity, count.value * factor, count.params,
        distance, names=names,
    )  # fmt: skip
