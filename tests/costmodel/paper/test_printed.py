from __future__ import annotations

from fractions import Fraction

import pytest

from costmodel.paper.printed import Paper, matches

# The cells of Tables 1 to 4 once more, read from the paper's pages: accuracy, parameters, MACs.
CELLS = {
    "1.1": ("92.58", "0.86", "1.25"),
    "1.2": ("93.13", "0.86", "0.85"),
    "1.3": ("90.31", "0.31", "0.36"),
    "1.4": ("91.62", "0.86", "0.38"),
    "1.5": ("88.58", "0.31", "0.18"),
    "2.1": ("91.19", "0.52", None),
    "2.2": ("93.11", "0.72", None),
    "2.3": ("93.38", "0.82", None),
    "2.4": ("93.27", "0.82", None),
    "2.5": ("91.12", "0.82", None),
    "2.6": ("91.54", "0.82", None),
    "2.7": ("91.33", "0.72", None),
    "2.8": ("90.70", "0.52", None),
    "3.1": ("93.11", "0.65", "0.79"),
    "3.2": ("90.69", "0.35", "0.37"),
    "3.3": ("90.02", "0.35", "0.23"),
    "3.4": ("90.46", "0.65", "0.29"),
    "4.1": ("93.59", "1.74", "2.53"),
    "4.2": ("93.84", "1.74", "1.71"),
    "4.3": ("90.99", "0.59", "0.70"),
    "4.4": ("93.42", "1.30", "1.58"),
    "4.5": ("92.18", "1.74", "0.76"),
    "4.6": ("89.04", "0.59", "0.34"),
    "4.7": ("91.46", "1.30", "0.56"),
}


def test_the_cells_are_those_of_the_paper(paper: Paper) -> None:
    assert {row.key: (row.accuracy, row.params, row.macs) for row in paper.rows} == CELLS


def test_tables_2_and_3_compress_the_paths_they_say(paper: Paper) -> None:
    single = [(row.alpha, set(row.paths)) for row in paper.rows if row.table == 2]
    assert single == [(Fraction(a), {path}) for a in ("1/4", "3/4") for path in ("HH", "HL", "LH", "LL")]
    left_out = [(row.alpha, {"HH", "HL", "LH", "LL"} - row.paths) for row in paper.rows if row.table == 3]
    assert left_out == [(Fraction(a), {path}) for a in ("1/4", "3/4") for path in ("HH", "LL")]


def test_the_misprint_is_kept_beside_what_is_meant(paper: Paper) -> None:
    misprinted = [(row.key, row.printed_alpha, row.alpha) for row in paper.rows if row.printed_alpha]
    assert misprinted == [("3.2", "0.20", Fraction(1, 4))]


def test_claims_name_rows_that_exist(paper: Paper) -> None:
    keys = {key for claim in paper.claims for key in (*claim.of, *claim.against)}
    assert keys <= set(paper.by_key)
    assert {claim.printed for claim in paper.claims} >= {"63.8", "24.4", "25.4", "63.9", "0.02"}


@pytest.mark.parametrize(
    ("count", "rounded", "truncated"),
    [
        (850_000, False, False),
        (854_999, False, False),
        (855_000, True, False),  # half a step rounds up
        (859_999, True, False),
        (860_000, True, True),
        (864_999, True, True),
        (865_000, False, True),
        (870_000, False, False),
    ],
)
def test_matching_at_the_edges_of_a_printed_digit(count: int, rounded: bool, truncated: bool) -> None:
    assert matches(count, "0.86", "params") == rounded
    assert matches(count, "0.86", "params", "truncated") == truncated


def test_a_printed_zero_is_a_digit() -> None:
    assert matches(70_600_000, "0.7", "macs")
    assert not matches(70_600_000, "0.70", "macs")
