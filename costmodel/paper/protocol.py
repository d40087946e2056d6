"""The protocol of the accuracy study (docs/protocol.md): its networks, its seeds, what decides statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from costmodel.networks.resnet import resnet
from costmodel.operators.recorder import cost_of
from costmodel.paper.printed import Paper
from costmodel.paper.records import WIDTH, Record
from costmodel.paper.selection import StudyNetwork
from costmodel.paper.student import Interval, difference, pooled

RECIPE, EPOCHS, DATASET = "fast", 16, "cifar10"
DEPTH = 20  # of part a
SEEDS, PLAIN_SEEDS = 3, 5
FROZEN = "1.3"  # the row that is also trained with frozen 1x1 convolutions
HOLDS, REFUTED, UNDECIDED = "holds", "refuted", "undecided"
# Plain networks (depth, width) of equal parameters and of equal MACs, by the row that they are compared with.
RIVALS: Mapping[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "1.3": ((20, 12), (14, 12)),
    "3.1": ((20, 15), (14, 16)),
}


@dataclass(frozen=True)
class Trained:
    """A network of the study, with what was measured of it: one accuracy per seed, in per cent."""

    name: str
    params: int
    macs: int
    wanted: int  # seeds
    values: tuple[float, ...]
    printed: str | None = None  # the paper's accuracy of the same network at depth 56

    @property
    def complete(self) -> bool:
        """Whether every seed of the protocol was trained."""
        return len(self.values) >= self.wanted


@dataclass(frozen=True)
class Verdict:
    """A statement, what was measured of it, and whether it holds."""

    number: str
    statement: str
    measured: str
    verdict: str


class StudyResults:
    """What the records say of the networks of parts a and b."""

    def __init__(self, paper: Paper, records: Sequence[Record]) -> None:
        self._records = [
            each
            for each in records
            if (each.recipe, each.epochs, each.dataset) == (RECIPE, EPOCHS, DATASET) and each.fixed
        ]
        self._paper = paper

    @cached_property
    def part_a(self) -> Mapping[str, Trained]:
        """The networks of Tables 1 to 3 at depth 20, by row; "frozen": 1.3 with 1x1 convolutions frozen."""
        rows = {row.key: row for row in self._paper.rows if row.table <= 3}
        found = {key: self._trained(StudyNetwork(row, DEPTH)) for key, row in rows.items()}
        return found | {"frozen": self._trained(StudyNetwork(rows[FROZEN], DEPTH, frozen=True))}

    @cached_property
    def part_b(self) -> Mapping[tuple[int, int], Trained]:
        """The plain networks of part b, by depth and width."""
        return {shape: self._plain(*shape) for pair in RIVALS.values() for shape in pair}

    @cached_property
    def deviation(self) -> tuple[float, int] | None:
        """The standard deviation between seeds, pooled over part a, and its degrees of freedom."""
        return pooled([network.values for network in self.part_a.values()])

    @property
    def runs(self) -> tuple[int, int]:
        """How many runs of parts a and b are done, and how many there are."""
        networks = [*self.part_a.values(), *self.part_b.values()]
        done = sum(min(len(network.values), network.wanted) for network in networks)
        return done, sum(network.wanted for network in networks)

    def _trained(self, network: StudyNetwork) -> Trained:
        row = network.row.at_depth(network.depth)
        cost = cost_of(row.network().operators())
        values = self._values(lambda each: each.is_of(row, frozen=network.frozen))
        printed = None if network.frozen else network.row.accuracy
        wanted = PLAIN_SEEDS if row.kind == "plain" else SEEDS
        return Trained(network.label, int(cost.params), int(cost.macs), wanted, values, printed)

    def _plain(self, depth: int, width: int) -> Trained:
        plain = next(row for row in self._paper.rows if row.kind == "plain")
        cost = cost_of(resnet(depth, width=width).operators())
        values = self._values(lambda each: each.is_of(plain, depth=depth, width=width))
        name = f"plain-{depth}" + (f", width {width}" if width != WIDTH else "")
        return Trained(name, int(cost.params), int(cost.macs), SEEDS, values)

    def _values(self, chosen: Callable[[Record], bool]) -> tuple[float, ...]:
        by_seed = {each.seed: 100 * each.accuracy for each in self._records if chosen(each)}
        return tuple(by_seed[seed] for seed in sorted(by_seed))


def verdicts(measured: StudyResults) -> list[Verdict]:
    """Return what becomes of each statement of the protocol: "not judged" while runs are missing."""
    return list(_judged(measured))


def _judged(measured: StudyResults) -> Iterator[Verdict]:
    a = measured.part_a
    losses = Comparison(measured, {"alpha 1/4": (a["1.2"], a["1.3"]), "alpha 3/4": (a["1.4"], a["1.5"])})
    yield losses.verdict("1", "Bottlenecks in all paths lose about 3 points.", _three_points)
    without = Comparison(measured, {"alpha 1/4": (a["1.2"], a["3.1"])})
    yield without.verdict("2", "Without HH, at alpha 1/4, nothing is lost.", _nothing)
    hl, lh, ll = (a[key] for key in ("2.6", "2.7", "2.8"))
    matter = Comparison(measured, {"HL less LL": (hl, ll), "LH less LL": (lh, ll)})
    yield matter.verdict("3", "LL matters at alpha 3/4.", _signs)
    better = Comparison(measured, {"Oct less plain": (a["1.2"], a["1.1"])})
    yield better.verdict("4", "Oct at alpha 1/4 is more accurate than plain.", _signs)
    for letter, (key, (params, macs)) in zip("ab", RIVALS.items(), strict=True):
        rivals = {
            "equal parameters": (a[key], measured.part_b[params]),
            "equal MACs": (a[key], measured.part_b[macs]),
        }
        name = f"{a[key].name} is worth its cost: more accurate than plain networks of equal cost."
        yield Comparison(measured, rivals).verdict(f"5{letter}", name, _signs)


@dataclass(frozen=True)
class Comparison:
    """Differences of means, by name: the first network less the second."""

    measured: StudyResults
    pairs: Mapping[str, tuple[Trained, Trained]]

    def verdict(self, number: str, statement: str, judge: Callable[[Sequence[Interval]], str]) -> Verdict:
        """Return the verdict of a rule on the intervals of all differences."""
        needed = {network.name: network for pair in self.pairs.values() for network in pair}
        if missing := [name for name, network in needed.items() if not network.values]:
            return Verdict(number, statement, f"no run of {', '.join(missing)}", "not judged")
        if not all(network.complete for network in (*self.measured.part_a.values(), *needed.values())):
            return Verdict(number, statement, self._text(), "not judged")
        return Verdict(number, statement, self._text(), judge(list(self._intervals().values())))

    def _intervals(self) -> Mapping[str, Interval]:
        assert self.measured.deviation is not None
        s, _ = self.measured.deviation
        return {name: difference(one.values, other.values, s) for name, (one, other) in self.pairs.items()}

    def _text(self) -> str:
        if self.measured.deviation and all(
            len(one.values) + len(other.values) > 2 for one, other in self.pairs.values()
        ):
            return "; ".join(f"{name}: {found.text}" for name, found in self._intervals().items())
        single = {
            name: sum(one.values) / len(one.values) - sum(other.values) / len(other.values)
            for name, (one, other) in self.pairs.items()
        }
        return "; ".join(f"{name}: {value:.2f}" for name, value in single.items())


def _three_points(found: Sequence[Interval]) -> str:
    if any(each.high < 2 or each.low > 4 for each in found):
        return REFUTED
    return HOLDS if all(each.overlaps(2, 4) and each.positive for each in found) else UNDECIDED


def _nothing(found: Sequence[Interval]) -> str:
    (loss,) = found
    holds, refuted = loss.high < 1, loss.low > 0.5
    return UNDECIDED if holds == refuted else HOLDS if holds else REFUTED


def _signs(found: Sequence[Interval]) -> str:
    if all(each.positive for each in found):
        return HOLDS
    return REFUTED if all(each.negative for each in found) else UNDECIDED
