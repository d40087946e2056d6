"""Section 5.2's step by the study's intervals: what a bottleneck in each path loses; which is left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from costmodel.paper.printed import Paper, PrintedRow
from costmodel.paper.protocol import Pair
from costmodel.paper.selection import LOSSES, SAVED_COLUMNS, StudyNetwork, saved
from costmodel.paper.student import Interval, difference
from costmodel.paper.study_results import DEPTH, FROZEN, StudyResults, Trained
from costmodel.report import Column, Table


@dataclass(frozen=True)
class _Loss:
    network: StudyNetwork
    lost: float
    interval: Interval | None  # where part a is complete
    saved_as_printed: int
    saved_in_full: int

    @property
    def text(self) -> str:
        return f"{self.lost:z.2f}" if self.interval is None else self.interval.text

    @property
    def per_saved(self) -> str | None:
        """Points lost for each 100,000 parameters saved; None where either may be nothing."""
        if self.interval is None or not self.interval.positive or self.saved_in_full <= 0:
            return None
        return f"{1e5 * self.lost / self.saved_in_full:.2f}"


def loss_table(paper: Paper, measured: StudyResults) -> Table:
    """Return one row per network of Tables 1 and 2 with bottlenecks: points lost, and parameters saved."""
    rows = [
        {
            "network": loss.network.label,
            "lost": loss.text,
            "saved_as_printed": loss.saved_as_printed,
            "saved_in_full": loss.saved_in_full,
            "per_saved": loss.per_saved,
        }
        for loss in _losses(paper, measured)
    ]
    columns = [
        Column("network", "network"),
        Column("lost", "lost"),
        *SAVED_COLUMNS,
        Column("per_saved", "lost/100k"),
    ]
    return Table("losses", LOSSES, columns, rows)


def choice_table(paper: Paper, measured: StudyResults) -> Table:
    """Return one row per alpha: the path that loses most, the next, and whether they can be told apart."""
    rows = [_choice(measured, alpha, single) for alpha, single in _single_paths(paper, measured).items()]
    columns = [
        Column("alpha", "alpha"),
        Column("left_out", "loses most"),
        Column("next", "next"),
        Column("margin", "margin, points"),
        Column("verdict", "the choice is"),
    ]
    return Table("choices", "The choice of section 5.2", columns, rows)


def _losses(paper: Paper, measured: StudyResults) -> Iterator[_Loss]:
    compared = [(row.key, row, False) for row in paper.rows if row.table <= 2 and row.paths]
    for key, row, frozen in [*compared, ("frozen", paper.by_key[FROZEN], True)]:
        base_row = _base(paper, row)
        pair = measured.part_a[base_row.key], measured.part_a[key]
        network, base = StudyNetwork(row, DEPTH, frozen=frozen), StudyNetwork(base_row, DEPTH)
        if all(one.values for one in pair):
            lost, interval = pair[0].mean - pair[1].mean, _interval(measured, pair)
            yield _Loss(network, lost, interval, **saved(network, base))


def _base(paper: Paper, row: PrintedRow) -> PrintedRow:
    """Return the row of Table 1 without bottlenecks at the same alpha."""
    return next(one for one in paper.rows if one.table == 1 and one.alpha == row.alpha and not one.paths)


def _interval(measured: StudyResults, pair: Pair) -> Interval | None:
    if measured.deviation is None or not all(one.complete for one in measured.part_a.values()):
        return None
    return difference(pair[0].values, pair[1].values, measured.deviation[0])


def _single_paths(paper: Paper, measured: StudyResults) -> dict[Fraction, dict[str, Trained]]:
    """Return the networks with a bottleneck in one path, by alpha, where all four are measured."""
    groups: dict[Fraction, dict[str, Trained]] = {}
    for row in paper.rows:
        if row.table == 2 and len(row.paths) == 1:
            groups.setdefault(row.alpha, {})[row.path_text] = measured.part_a[row.key]
    return {alpha: group for alpha, group in groups.items() if all(one.values for one in group.values())}


def _choice(measured: StudyResults, alpha: Fraction, single: dict[str, Trained]) -> dict[str, str | None]:
    worst, second = sorted(single, key=lambda path: single[path].mean)[:2]
    pair = single[second], single[worst]
    interval = _interval(measured, pair)
    return {
        "alpha": f"{float(alpha):.2f}",
        "left_out": worst,
        "next": second,
        "margin": f"{pair[0].mean - pair[1].mean:z.2f}" if interval is None else interval.text,
        "verdict": None if interval is None else "certain" if interval.positive else "undecided",
    }
