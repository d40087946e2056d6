from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from costmodel.checks.instantiated import layer_counts
from costmodel.paper.cells import BOTTLENECK, PLAIN, Cell, cells
from costmodel.paper.printed import Paper
from costmodel.paper.verdicts import PaperCounts, claim_table, evidence, rounded


@pytest.fixture(scope="module")
def known(paper: Paper) -> PaperCounts:
    return evidence(paper, cells(paper))


def verdicts(known: PaperCounts, claim: str) -> list[tuple[str | None, ...]]:
    rows = [row for row in claim_table(known).rows if row["claim"] == claim]
    return [tuple(row.get(f"{source}_verdict") for source in ("tables", "formulas", "built")) for row in rows]


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("all-paths", [("fits", "yes", "no")] * 2),  # 1 - 0.31/0.86 = 64.0
        ("without-hh", [("yes", "no", "no")]),  # 1 - 0.65/0.86 = 24.4
        ("deep-without-hh", [("fits", "yes", "no")]),  # 1 - 1.30/1.74 = 25.3
        ("all-paths-accuracy", [("no", None, None), ("yes", None, None)]),  # 2.82, 3.04
        ("english-accuracy", [("yes", None, None)]),  # 91.62 - 88.58
        ("without-hh-accuracy", [("yes", None, None)]),  # 93.13 - 93.11
        ("without-hh-gain", [("yes", None, None)]),  # 93.11 - 90.31 = 2.80
        ("without-ll-gain", [("yes", None, None)]),  # 90.46 - 88.58 = 1.88
        ("without-ll-accuracy", [("yes", None, None)]),  # 91.62 - 90.46 = 1.16
        ("deep-gain", [("no", None, None)] * 2),  # 2.43, 2.42
        ("deep-accuracy", [("yes", None, None)]),  # 93.84 - 93.42
        ("worst-path", [("yes", None, None)]),
        ("layer-cost", [(None, "yes", None)]),
        ("layer-params", [(None, "yes", None)]),
        ("octave-params", [("yes", "yes", "yes")]),
        ("octave-ratio", [("no", "no", "no")]),
    ],
)
def test_verdicts(known: PaperCounts, claim: str, expected: list[tuple[str | None, ...]]) -> None:
    assert verdicts(known, claim) == expected


@pytest.mark.parametrize("claim", ["layer-cost", "layer-params"])
def test_layers_are_judged_by_those_that_were_counted(known: PaperCounts, claim: str) -> None:
    counted = replace(known, layers=layer_counts())
    assert verdicts(counted, claim) == [(None, "yes", "yes")]
    wider = {**counted.layers, BOTTLENECK: counted.layers[PLAIN]}
    assert verdicts(replace(known, layers=wider), claim) == [(None, "yes", "no")]


def test_every_claim_is_judged(known: PaperCounts, paper: Paper) -> None:
    assert {row["claim"] for row in claim_table(known).rows} == {claim.id for claim in paper.claims}


def test_values_by_hand(known: PaperCounts) -> None:
    rows = {row["claim"]: row for row in claim_table(known).rows}
    assert rows["all-paths"]["formulas_value"] == "63.8"  # 1 - 310,874/859,658
    assert rows["all-paths"]["built_value"] == "52.1"  # 1 - 409,482/855,578
    assert rows["without-hh"]["formulas_value"] == "24.5"  # 1 - 648,806/859,658
    assert rows["deep-without-hh"]["built_value"] == "19.4"  # 1 - 1,394,190/1,730,522
    assert rows["octave-ratio"]["formulas_value"] == "0.672 then 0.297"  # 43/64, 19/64


def test_a_network_that_saves_what_is_claimed_bears_the_claim_out(paper: Paper) -> None:
    found = cells(paper)

    def changed(cell: Cell) -> Cell:
        as_claimed = cell.row.key == "1.3" and cell.quantity == "params"
        return replace(cell, built=855_578 * 362 // 1000) if as_claimed else cell

    known = evidence(paper, list(map(changed, found)))
    assert verdicts(known, "all-paths") == [("fits", "yes", "yes"), ("fits", "yes", "no")]


@pytest.mark.parametrize(
    ("value", "printed", "text"),
    [
        (Fraction(6385, 100), "63.8", "63.9"),  # halves go up
        (Fraction(63849, 1000), "63.8", "63.8"),
        (Fraction(-4, 1000), "0.02", "0.00"),
        (Fraction(1, 3), "1.2", "0.3"),
    ],
)
def test_rounding_to_printed_decimals(value: Fraction, printed: str, text: str) -> None:
    assert rounded(value, printed) == text
