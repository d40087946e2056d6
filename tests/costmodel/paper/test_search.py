from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from costmodel.paper.counting import PRINTED, Counting, Reading
from costmodel.paper.inventory import Build
from costmodel.paper.printed import ROUNDINGS, Paper
from costmodel.paper.reading_tables import Findings
from costmodel.paper.search import BUILD_AXES, EITHER, Search, best_pairs, best_sharing


def score(search: Search, reading: Reading) -> int:
    counting = reading.params if search.quantity == "params" else reading.macs
    build = reading.build if search.quantity == "macs" else replace(reading.build, stride=Build().stride)
    return cells_of(search, build, counting, reading.rounding)


def cells_of(search: Search, build: Build, counting: Counting, rounding: str) -> int:
    where = ROUNDINGS.index(rounding), search.builds.index(build), search.countings.index(counting)
    return int(search.scores[where])


def values_of_the_best(search: Search, axis: str) -> list[Any]:
    return [value for value in search.axes[axis] if search.best_with(**{axis: value}) == search.best]


def test_every_combination_is_searched(found: Findings) -> None:
    builds = 4 * 2**3 * 4 * 2  # width rules; first, last, stage changes; shortcuts; those of the ends
    assert found.params.size == 2 * builds * 2**4 * (2**2 * 4 * 2 * 3 * 2)
    assert found.macs.size == 2 * (builds * 4) * 2**4


def test_the_reading_of_the_report_is_a_best_one(found: Findings) -> None:
    assert score(found.params, PRINTED) == found.params.best == found.params.cells == 24
    assert score(found.macs, PRINTED) == found.macs.best == found.macs.cells == 16


@pytest.mark.parametrize("quantity", ["params", "macs"])
def test_scores_are_those_of_readings_counted_one_by_one(
    paper: Paper, found: Findings, quantity: str
) -> None:
    search: Search = getattr(found, quantity)
    draw = Random(1)
    for _ in range(60):
        build, counting = draw.choice(search.builds), draw.choice(search.countings)
        reading = Reading(build, counting, counting, draw.choice(ROUNDINGS))
        followers = sum(reading.matches(row, quantity) for row in paper.cells(quantity))
        assert score(search, reading) == followers


def test_no_reading_with_the_1x1_kernels_comes_near(found: Findings) -> None:
    at_most = {
        (reduce, expand): found.params.best_with(reduce=reduce, expand=expand)
        for reduce in EITHER
        for expand in EITHER
    }
    assert at_most[False, False] == 24
    # Two plain rows, and 8 of 22 octave cells for both kernels, 12 for one.
    assert at_most[True, True] <= 10
    assert max(at_most[True, False], at_most[False, True]) <= 14
    macs = {
        (reduce, expand): found.macs.best_with(reduce=reduce, expand=expand)
        for reduce in EITHER
        for expand in EITHER
    }
    assert macs.pop((True, True)) == 16
    assert max(macs.values()) <= 7


@pytest.mark.parametrize(
    ("build", "counting", "cells"),
    [
        ({}, {}, 16),
        ({}, {"head": False}, 16),
        ({"stride": "B"}, {}, 16),
        ({"stride": "C-spatial"}, {}, 14),
        ({}, {"shortcuts": True}, 14),
    ],
)
def test_macs_of_single_changes(
    found: Findings, build: dict[str, Any], counting: dict[str, Any], cells: int
) -> None:
    reading = replace(PRINTED, build=replace(PRINTED.build, **build), macs=replace(PRINTED.macs, **counting))
    assert score(found.macs, reading) == cells


def test_what_the_cells_decide(found: Findings) -> None:
    decided = {axis for axis in found.params.axes if len(values_of_the_best(found.params, axis)) == 1}
    assert decided == {"width_rule", "compress_last", "compress_change", "reduce", "expand", "bn", "bn_inner"}
    assert values_of_the_best(found.params, "bn") == [4]
    decided = {axis for axis in found.macs.axes if len(values_of_the_best(found.macs, axis)) == 1}
    assert decided == {
        *("rounding", "width_rule", "compress_first", "compress_last", "compress_change"),
        *("reduce", "expand"),
    }


def test_both_together(found: Findings) -> None:
    both = found.together
    assert (both.own_way, both.same_layers, both.cells) == (40, 40, 40)
    assert both.same_way < 40
    assert score(found.params, both.best) + score(found.macs, both.best) == both.own_way


@pytest.mark.parametrize("shared", [(), ("shortcuts", "head"), ("reduce", "expand", "shortcuts", "head")])
def test_the_best_reading_agrees_on_what_is_shared(found: Findings, shared: tuple[str, ...]) -> None:
    most, reading = best_sharing(shared, found.params, found.macs)
    assert score(found.params, reading) + score(found.macs, reading) == most
    assert all(getattr(reading.params, axis) == getattr(reading.macs, axis) for axis in shared)


def test_shortcuts_without_parameters_need_no_exception(paper: Paper, found: Findings) -> None:
    """Then the same layers are counted for both, but for the 1x1 convolutions of bottlenecks."""
    free = replace(
        PRINTED,
        build=replace(PRINTED.build, shortcut="free"),
        params=replace(PRINTED.params, octave_bias="branch"),
        macs=replace(PRINTED.macs, shortcuts=True),
    )
    assert score(found.params, free) == 24
    assert score(found.macs, free) == 16
    # One bias an output of each OctConv instead of the 1x1 convolutions of two shortcuts.
    change = 18 * (16 + 32 + 64) - (16 * 32 + 32 * 64)
    row = paper.by_key["1.3"]
    assert free.count(row, "params") - PRINTED.count(row, "params") == change


def test_pairs_are_best_in_both(found: Findings) -> None:
    pairs = list(best_pairs(found.params, found.macs))
    assert (PRINTED.rounding, PRINTED.build, PRINTED.params) in pairs
    for rounding, build, counting in pairs:
        assert cells_of(found.params, build, counting, rounding) == 24
        same_network = [
            b for b in found.macs.builds if all(getattr(b, a) == getattr(build, a) for a in BUILD_AXES)
        ]
        scores = [cells_of(found.macs, b, c, rounding) for b in same_network for c in found.macs.countings]
        assert max(scores) == 16


def test_a_choice_that_no_reading_makes_is_refused(found: Findings) -> None:
    with pytest.raises(ValueError, match="no reading of params has"):
        found.params.best_with(bn=3)
