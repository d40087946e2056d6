"""The differences of the study by other methods than the protocol's: do the verdicts depend on them?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

from costmodel.paper.protocol import Hypothesis, Pair, hypotheses
from costmodel.paper.student import Interval, difference, holm, paired, probability
from costmodel.paper.study_results import StudyResults
from costmodel.report import Column, Table


@dataclass(frozen=True)
class _Difference:
    """A difference of two means, with its interval by three methods, and its p-value."""

    name: str
    registered: Interval  # the protocol's
    pooled: Interval  # with the degrees of freedom of s
    paired: Interval  # of the seeds that both networks have
    chance: float


def sensitivity_table(measured: StudyResults) -> Table:
    """Return one row per difference of a judged statement: its interval by other methods."""
    found = [each for one in hypotheses(measured) if one.is_judged(measured) for each in _of(one, measured)]
    adjusted = holm([each.chance for each in found])
    rows = [
        {
            "difference": each.name,
            "value": f"{each.registered.value:z.2f}",
            "registered": f"± {each.registered.half:.2f}",
            "pooled": f"± {each.pooled.half:.2f}",
            "paired": each.paired.text,
            "chance": _probability(chance),
        }
        for each, chance in zip(found, adjusted, strict=True)
    ]
    columns = [
        Column("difference", "difference"),
        Column("value", "points"),
        Column("registered", "protocol"),
        Column("pooled", "d.f. of s"),
        Column("paired", "by seed"),
        Column("chance", "p (Holm)"),
    ]
    return Table("sensitivity", "The same differences by other methods", columns, rows)


def other_verdicts(measured: StudyResults) -> list[str]:
    """Return what changes where the intervals have the degrees of freedom of s."""
    if measured.deviation is None:
        return []
    _, freedom = measured.deviation
    pairs = [(one, one.verdict(measured), one.verdict(measured, freedom)) for one in hypotheses(measured)]
    return [f"{one.number} {other} instead of {verdict}" for one, verdict, other in pairs if other != verdict]


def _of(statement: Hypothesis, measured: StudyResults) -> Iterator[_Difference]:
    assert measured.deviation is not None
    s, freedom = measured.deviation
    for name, registered in statement.intervals(measured).items():
        pair = one, two = statement.pairs[name]
        error = s * sqrt(1 / len(one.values) + 1 / len(two.values))
        yield _Difference(
            f"{statement.number} {name}",
            registered,
            difference(one.values, two.values, s, freedom),
            paired(*_common(pair)),
            probability(registered.value / error, freedom),
        )


def _common(pair: Pair) -> tuple[Sequence[float], Sequence[float]]:
    """Return the accuracies of the seeds that both networks have."""
    one, two = (each.by_seed for each in pair)
    seeds = sorted(one.keys() & two.keys())
    return [one[seed] for seed in seeds], [two[seed] for seed in seeds]


def _probability(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
