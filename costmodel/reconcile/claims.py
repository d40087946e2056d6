"""Which conventions give a printed number: readings of a network, and the digits that each prints.

A reading says what is counted (all MACs, some of them, element operations too, or what a counter
prints), of which variant of the network, in which unit, with which prefix, and whether digits are rounded or
cut off. Simple readings come first: our MACs, and what a counter prints, are equally simple; each choice
that departs from them, rounded, with the prefix 10^3, adds a step or more. Among equally
simple readings, the one that its source, its spelling, or most public sources favour comes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from costmodel.digits import PrintedCount, is_printed
from costmodel.readings import IntArray, printed
from costmodel.reconcile.bridge import Prediction
from costmodel.reconcile.countable import CountableNumber, countable
from costmodel.reconcile.events import Seen
from costmodel.reconcile.usage import Provenance
from costmodel.reconcile.variants import WRITTEN_OUT, OtherRun

# How parameters can be printed that are not printed as the count is: steps, words, rounding.
_OTHERWISE = ((1, "rounded, prefix 10^3", "rounded"), (2, "cut off, prefix 10^3", "cut off"))


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
    families: tuple[str, ...] = ()  # the projects of these
    is_whole: bool = True  # our MACs, or what a counter prints, of the network as it is
    params_how: str = ""  # how the parameters are printed, where not rounded with the prefix 10^3

    @property
    def conventions(self) -> frozenset[tuple[str, ...]]:
        """What is counted under each of its names, and how that is printed."""
        doubled = "twice" if self.unit.startswith(("twice", "FLOPs, 2")) else "once"
        how = (doubled, self.prefix, self.rounding)
        names = (name.removesuffix(f", {WRITTEN_OUT.words}") for name in self.names)
        return frozenset((name, *how) for name in names)

    @property
    def words(self) -> str:
        """The reading in words."""
        extra = [self.unit, *([f"prefix {self.prefix}"] if self.prefix != "10^3" else [])]
        extra += [self.rounding] if self.rounding != "rounded" else []
        extra += [f"parameters {self.params_how}"] if self.params_how else []
        return f"{self.counted}: {', '.join(extra)}"


@dataclass(frozen=True)
class ClaimAnswer:
    """Readings that reproduce exactly the published digits, simplest first; else the nearest one."""

    figure: PrintedCount
    exact: tuple[CountReading, ...]
    nearest: CountReading | None
    searched: int
    params: PrintedCount | None = None  # printed beside it: a reading gives both
    alone: CountReading | None = None  # the simplest one that gives the count, where none gives both


@dataclass
class _Best:
    found: CountReading | None = None
    distance: float = field(default=float("inf"))


def search(
    figure: PrintedCount,
    observed: Seen,
    predictions: Sequence[Prediction],
    params: PrintedCount | None = None,
    others: Sequence[OtherRun] = (),
    provenance: Provenance = Provenance(),
) -> ClaimAnswer:
    """Return the readings of a network that give a printed number, and the parameters printed beside it.

    `others` are its other runs, such as that with its auxiliary heads. `provenance` decides between readings
    that are equally simple.
    """
    counted = countable(observed, predictions, others)
    values = np.array([one.value for one in counted], dtype=np.int64)
    twice = np.array([one.twice for one in counted], dtype=bool)
    fitting: list[CountReading] = []
    best = _Best()
    ways = list(_ways(figure))
    for factor, prefix, rounding, more in ways:
        allowed = twice if factor == 2 else np.ones_like(twice)
        scaled = values * factor
        fitting += [
            _reading(counted[i], figure.unit, factor, prefix, rounding, more)
            for i in np.flatnonzero(printed(scaled, figure, prefix, rounding) & allowed)
        ]
        if not fitting and allowed.any():
            best = _nearer(
                best, figure, counted, np.where(allowed, scaled, -1), factor, (prefix, rounding, more)
            )
    exact = fitting if params is None else [both for one in fitting if (both := _with(one, params))]
    for found in (exact, fitting):
        found.sort(key=lambda one: (one.complexity, *_preferred(one, figure, provenance), one.counted))
    alone = fitting[0] if fitting and not exact else None
    return ClaimAnswer(
        figure, tuple(exact), None if exact else alone or best.found, len(values) * len(ways), params, alone
    )


def _preferred(reading: CountReading, figure: PrintedCount, provenance: Provenance) -> tuple[int, ...]:
    return provenance.preference(reading.families, figure.spelling, reading.names)


def _with(reading: CountReading, params: PrintedCount) -> CountReading | None:
    """Return a reading that gives the parameters too, printed as the count is; None where it does not.

    Beside our MACs or a counter's total (`is_whole`), the parameters may be rounded differently; beside other
    readings, that would explain too much.
    """
    if is_printed(reading.params, params, reading.prefix, reading.rounding):
        return reading
    for steps, how, rounding in _OTHERWISE if reading.is_whole else ():
        if is_printed(reading.params, params, rounding=rounding):
            return replace(reading, complexity=reading.complexity + steps, params_how=how)
    return None


def _nearer(
    best: _Best,
    figure: PrintedCount,
    counted: Sequence[CountableNumber],
    scaled: IntArray,
    factor: int,
    way: tuple[str, str, int],
) -> _Best:
    """Return the nearer reading: the best so far, or the best of one way to print; -1 is no count."""
    prefix, rounding, more = way
    target = figure.digits * (1024 if prefix == "2^10" else 1000) ** figure.power / 10.0**figure.decimals
    distances = np.where(scaled >= 0, np.abs(scaled - target) / (target or 1), np.inf)
    at = int(distances.argmin())
    distance = float(distances[at])
    if distance >= best.distance:
        return best
    return _Best(_reading(counted[at], figure.unit, factor, prefix, rounding, more, distance), distance)


def agreed(answers: Sequence[ClaimAnswer]) -> list[ClaimAnswer]:
    """Return the answers to claims of one source, readings that are equally simple in another order.

    They were all counted in the same way: the convention that reproduces most of them comes first.
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


def _reading(
    count: CountableNumber,
    unit: str,
    factor: int,
    prefix: str,
    rounding: str,
    more: int,
    distance: float = 0.0,
) -> CountReading:
    complexity = count.complexity + more + count.steps(factor, unit)
    names = tuple(dict.fromkeys(count.names))
    counted = "; ".join(names) if count.counter is not None else names[0]
    return CountReading(
        counted, count.unit(factor), prefix, rounding, complexity, count.value * factor, count.params,
        distance, names=names, families=count.families, is_whole=not count.complexity,
    )  # fmt: skip
