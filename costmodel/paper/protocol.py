"""The statements of the accuracy study and the rules that judge them (docs/protocol.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from costmodel.paper.student import Interval, difference
from costmodel.paper.study_results import RIVALS, StudyResults, Trained

HOLDS, REFUTED, UNDECIDED, MIXED, NOT_JUDGED = "holds", "refuted", "undecided", "mixed", "not judged"
Pair = tuple[Trained, Trained]


@dataclass(frozen=True)
class Hypothesis:
    """A statement, its rules, and the pairs of networks whose means decide it, first minus second."""

    number: str
    text: str
    holds_if: str
    refuted_if: str
    judge: Callable[[Sequence[Interval]], str]
    pairs: Mapping[str, Pair]

    @property
    def missing(self) -> list[str]:
        """The networks of which no run is done."""
        return list(dict.fromkeys(one.name for pair in self.pairs.values() for one in pair if not one.values))

    def measured(self, measured: StudyResults) -> str:
        """Return the differences with their intervals; without intervals while seeds are missing."""
        if missing := self.missing:
            return f"no run of {', '.join(missing)}"
        if not self.is_judged(measured):
            return "; ".join(f"{name}: {one.mean - two.mean:z.2f}" for name, (one, two) in self.pairs.items())
        return "; ".join(f"{name}: {found.text}" for name, found in self.intervals(measured).items())

    def is_judged(self, measured: StudyResults) -> bool:
        """Whether all networks of part a, and those that are compared, have all their seeds."""
        compared = [one for pair in self.pairs.values() for one in pair]
        return all(network.complete for network in (*measured.part_a.values(), *compared))

    @property
    def is_by_sign(self) -> bool:
        """Whether its rules ask only on which side of 0 the intervals lie."""
        return self.judge is _signs

    def verdict(self, measured: StudyResults) -> str:
        """Return the verdict by the protocol's intervals."""
        return self.judge(list(self.intervals(measured).values())) if self.is_judged(measured) else NOT_JUDGED

    def intervals(self, measured: StudyResults) -> Mapping[str, Interval]:
        """Return the differences with their intervals, by the deviation within all of part a.

        The protocol takes the degrees of freedom of the two networks alone.
        """
        assert measured.deviation is not None
        s, _ = measured.deviation
        return {name: difference(a.values, b.values, s) for name, (a, b) in self.pairs.items()}


def hypotheses(measured: StudyResults) -> Iterator[Hypothesis]:
    """Yield the statements of the protocol."""
    a = measured.part_a
    yield Hypothesis(
        "1",
        "Bottlenecks in all paths lose about 3 points",
        "the interval of the loss overlaps 2 to 4 and excludes 0, at both alphas",
        "the interval lies below 2 or above 4, at either alpha",
        _three_points,
        {"loss at alpha 1/4": (a["1.2"], a["1.3"]), "loss at alpha 3/4": (a["1.4"], a["1.5"])},
    )
    yield Hypothesis(
        "2",
        "Without HH, at alpha 1/4, nothing is lost",
        "the interval of the loss lies below 1",
        "it lies above 0.5",
        _nothing,
        {"loss at alpha 1/4": (a["1.2"], a["3.1"])},
    )
    hl, lh, ll = (a[key] for key in ("2.6", "2.7", "2.8"))
    yield Hypothesis(
        "3",
        "LL matters at alpha 3/4",
        "LL alone loses more than HL alone and than LH alone, and both intervals exclude 0",
        "LL alone loses less than both, with the same certainty",
        _signs,
        {"HL minus LL": (hl, ll), "LH minus LL": (lh, ll)},
    )
    yield Hypothesis(
        "4",
        "Oct at alpha 1/4 is more accurate than plain",
        "the interval of the difference lies above 0",
        "it lies below 0",
        _signs,
        {"Oct minus plain": (a["1.2"], a["1.1"])},
    )
    yield from _worth(measured)


def _worth(measured: StudyResults) -> Iterator[Hypothesis]:
    for letter, (key, (params, macs)) in zip("ab", RIVALS.items(), strict=True):
        network, small, short = measured.part_a[key], measured.part_b[params], measured.part_b[macs]
        yield Hypothesis(
            f"5{letter}",
            f"{network.name} is worth its cost",
            "it is more accurate than the plain network of equal parameters and than that of equal MACs; both"
            " intervals exclude 0",
            "it is less accurate than both, with the same certainty",
            _signs,
            {f"minus {small.name}": (network, small), f"minus {short.name}": (network, short)},
        )


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
    if all(each.negative for each in found):
        return REFUTED
    return MIXED if all(each.positive or each.negative for each in found) else UNDECIDED
