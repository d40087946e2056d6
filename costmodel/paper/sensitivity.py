"""The differences of the study by other methods than the protocol's: do the verdicts depend on them?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt

from costmodel.paper.protocol import Hypothesis, Pair, hypotheses
from costmodel.paper.student import Interval, difference, holm, paired, probability
from costmodel.paper.study_results import StudyResults
from costmodel.report import Column, Table

CHANCE = 0.05  # below it, a p-value tells two networks apart


@dataclass(frozen=True)
class _Difference:
    """A difference of two means, with its interval by three methods, and its p-value."""

    statement: Hypothesis
    name: str
    registered: Interval  # the protocol's
    pooled: Interval  # with the degrees of freedom of s
    paired: Interval  # of the seeds that both networks have
    chance: float  # of a difference as large if there is none
    adjusted: float = 1.0  # the same, adjusted for the number of differences

    @property
    def by_chance(self) -> Interval:
        """The difference as a rule of signs reads its p-value: with or without 0."""
        return Interval(self.registered.value, 0.0 if self.adjusted < CHANCE else inf)


def differences(measured: StudyResults) -> list[_Difference]:
    """Return the differences of the judged statements."""
    found = [each for one in hypotheses(measured) if one.is_judged(measured) for each in _of(one, measured)]
    chances = holm([each.chance for each in found])
    return [replace(each, adjusted=chance) for each, chance in zip(found, chances, strict=True)]


def sensitivity_table(found: Sequence[_Difference]) -> Table:
    """Return one row per difference of a judged statement: its interval by other methods."""
    rows = [
        {
            "difference": f"{each.statement.number} {each.name}",
            "value": f"{each.registered.value:z.2f}",
            "registered": f"± {each.registered.half:.2f}",
            "pooled": f"± {each.pooled.half:.2f}",
            "paired": each.paired.text,
            "chance": _probability(each.adjusted),
        }
        for each in found
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


def other_verdicts(found: Sequence[_Difference]) -> Mapping[str, list[str]]:
    """Return by method which verdicts it would change, as "3 undecided instead of holds".

    A p-value is one of no difference: it can replace only intervals of which a rule asks the sign.
    """
    statements = {each.statement.number: each.statement for each in found}
    by_sign = [one for one in statements.values() if one.is_by_sign]
    return {
        "pooled": _changed(statements.values(), found, lambda each: each.pooled),
        "paired": _changed(statements.values(), found, lambda each: each.paired),
        "chance": _changed(by_sign, found, lambda each: each.by_chance),
    }


def _changed(
    statements: Iterable[Hypothesis], found: Sequence[_Difference], method: Callable[[_Difference], Interval]
) -> list[str]:
    changed = []
    for one in statements:
        own = [each for each in found if each.statement is one]
        verdict, other = (
            one.judge([chosen(each) for each in own]) for chosen in (lambda each: each.registered, method)
        )
        if verdict != other:
            changed.append(f"{one.number} {other} instead of {verdict}")
    return changed


def _of(statement: Hypothesis, measured: StudyResults) -> Iterator[_Difference]:
    assert measured.deviation is not None
    s, freedom = measured.deviation
    for name, registered in statement.intervals(measured).items():
        pair = one, two = statement.pairs[name]
        error = s * sqrt(1 / len(one.values) + 1 / len(two.values))
        yield _Difference(
            statement,
            name,
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
