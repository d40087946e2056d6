"""What can be counted of a network: our MACs or some of them, element operations, what counters print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

from costmodel.readings import every_count, weights_of
from costmodel.reconcile.bridge import Prediction
from costmodel.reconcile.events import Seen
from costmodel.reconcile.usage import OURS as OUR_FAMILY
from costmodel.reconcile.variants import ClaimVariant, OtherRun, variants

MOST_PARTS = 3  # element operations that a reading adds at once
OURS = "our MACs"
_EXACT = 2**53


@dataclass(slots=True)
class CountableNumber:
    """What can be counted, before it is printed."""

    names: list[str]
    value: int
    complexity: int
    params: int
    families: tuple[str, ...] = ()
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
        """Return what it is called, once or twice."""
        if self.counter is None:
            return "MACs" if factor == 1 else "FLOPs, 2 per MAC"
        calls = self.counter.counter.calls_it
        return f"which it calls {calls}" if factor == 1 else f"twice its {calls}"


def countable(
    observed: Seen, predictions: Sequence[Prediction], others: Sequence[OtherRun]
) -> list[CountableNumber]:
    """Return what can be counted of a network and of its other runs, each number once."""
    return _merged(chain(_counted(observed, predictions), *(_other(run, predictions) for run in others)))


def _merged(counted: Iterable[CountableNumber]) -> list[CountableNumber]:
    """Return what can be counted, each number once: under its simplest names."""
    found: dict[tuple[int, int, bool], CountableNumber] = {}
    for one in sorted(counted, key=lambda count: count.complexity):
        same = found.setdefault((one.value, one.params, one.twice), one)
        if same is not one and same.complexity == one.complexity and one.counter is not None:
            same.names += one.names
            same.families += one.families
    return [one for one in found.values() if 2 * one.value < _EXACT * 2**9]


def _counted(observed: Seen, predictions: Sequence[Prediction]) -> Iterator[CountableNumber]:
    """Yield what can be counted of a network and its variants."""
    kinds: dict[str, int] = {}
    parts: dict[str, int] = {}
    for event in observed.events:
        if event.macs:
            kinds[event.kind] = kinds.get(event.kind, 0) + event.macs
        for part, count in event.parts.items():
            parts[part] = parts.get(part, 0) + count
    for name, value, complexity in _sums(kinds, parts):
        families = (OUR_FAMILY,) if not complexity else ()
        yield CountableNumber([name], value, complexity, observed.parameters, families)
    for variant in variants(observed):
        for one in _totals(observed, predictions, variant):
            yield one
            if observed.batch > 1 and not one.value % observed.batch:
                names = [f"{name}, per image" for name in one.names]
                value = one.value // observed.batch
                yield CountableNumber(
                    names, value, one.complexity + 1, one.params, one.families, one.counter, one.twice
                )


def _totals(
    observed: Seen, predictions: Sequence[Prediction], variant: ClaimVariant
) -> Iterator[CountableNumber]:
    params = variant.parameters(observed)
    said = f", {variant.words}" if variant.words else ""
    yield CountableNumber([OURS + said], variant.macs(observed), variant.steps, params, (OUR_FAMILY,))
    for one in predictions:
        name = f"what {one.counter.name} {one.counter.version} prints{said}"
        twice = one.counter.macs_per_unit == 1
        yield CountableNumber(
            [name], variant.total(one), variant.steps, params, (one.counter.family,), one, twice
        )


def _other(run: OtherRun, predictions: Sequence[Prediction]) -> Iterator[CountableNumber]:
    """Yield what is counted of another run, where that is not what is counted of the network as it is."""
    totals = {one.counter.name: one.total for one in predictions}
    changed = [one for one in run.predictions if one.total != totals.get(one.counter.name)]
    yield from _totals(run.seen, changed, run.variant)


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
