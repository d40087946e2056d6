"""Statement 5 in words: what the plain networks of part b cost, and which network is more accurate."""

from __future__ import annotations

from costmodel.paper.protocol import Hypothesis
from costmodel.paper.student import Interval
from costmodel.paper.study_results import StudyResults, Trained

NEAREST = ("parameters", "MACs")  # in which the plain networks come nearest, in the order of the pairs
MORE, LESS, UNTOLD = "more accurate than", "less accurate than", "not told apart from"
# By the result against the plain network nearest in parameters, and against that nearest in MACs.
ANSWERS = {
    (MORE, MORE): "it is worth its cost by both counts",
    (LESS, LESS): "a smaller plain network is better by both counts",
    (LESS, MORE): "it pays where MACs are scarce, not where parameters are",
    (MORE, LESS): "it pays where parameters are scarce, not where MACs are",
}


def costs(statement: Hypothesis) -> str:
    """Return what the plain networks cost more or less than the network that they are compared with."""
    pairs = zip(NEAREST, statement.pairs.values(), strict=True)
    return "; ".join(
        f"{rival.name}, nearest in {nearest}, has {_change(rival.params, network.params)} parameters and"
        f" {_change(rival.macs, network.macs)} MACs"
        for nearest, (network, rival) in pairs
    )


def answer(statement: Hypothesis, measured: StudyResults) -> str:
    """Return the result of a judged statement in a sentence."""
    found = [_result(each) for each in statement.intervals(measured).values()]
    rivals: list[Trained] = [rival for _, rival in statement.pairs.values()]
    said = " and ".join(f"{result} {rival.name}" for result, rival in zip(found, rivals, strict=True))
    meaning = ANSWERS.get((found[0], found[1]))
    return f"it is {said}" + (f": {meaning}" if meaning else "")


def _result(found: Interval) -> str:
    return MORE if found.positive else LESS if found.negative else UNTOLD


def _change(count: int, base: int) -> str:
    """Return by how much a count differs from another: "3.8 % more".

    >>> _change(103, 100), _change(50, 100)
    ('3.0 % more', '50.0 % fewer')
    """
    return f"{abs(100 * (count / base - 1)):.1f} % {'more' if count >= base else 'fewer'}"
