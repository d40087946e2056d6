"""Parts of a search one by one: costs of stages, sums of fronts, limits of spaces, columns of its table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from costmodel.convention import Cost
from costmodel.grids.quantities import cost_quantities
from costmodel.operators.recorder import cost_of
from costmodel.search import space as space_module
from costmodel.search import stage_costs, staged_costs
from costmodel.search import staged as staged_module
from costmodel.search.merge import join
from costmodel.search.search import search
from costmodel.search.search_table import front_table
from costmodel.search.space import Space, space
from costmodel.search.stage_costs import Measures, tables
from costmodel.search.staged import StagedNetwork, staged_space
from costmodel.speed.roofline import Machine

MACHINE = Machine(5e10, 1e10, 1e-6)


def test_the_first_stage_has_one_alpha_before_it() -> None:
    found = tables(
        space([8], [0, "1/2"], [2, 4], [()], per_stage=True), 8, "out", Measures(("params", "macs"))
    )
    assert [stage.shape for stage in found.stages] == [(1, 4, 2), (2, 4, 2), (2, 4, 2)]
    assert found.constant.shape == (2,)


def test_stages_that_fit_may_have_a_sum_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum is refused before a search adds it up: 64 bits would wrap."""
    one = space([8], ["1/2"], [2], [()], per_stage=True)
    monkeypatch.setattr(stage_costs, "_stage_table", lambda *_: np.full((1, 1, 1), 2**61))
    assert int(tables(one, 8, "out", Measures(("params",))).stages[2].max()) == 2**61
    monkeypatch.setattr(stage_costs, "_stage_table", lambda *_: np.full((1, 1, 1), 2**62))
    with pytest.raises(ValueError, match=r"^counts may exceed 64 bits: up to [0-9,]+ of resnet8$"):
        tables(one, 8, "out", Measures(("params",)))


def test_alpha_1_suits_the_default_size() -> None:
    found = search(space([8], [0, 1], [2], [()], per_stage=True))
    stated = search(space([8], [0, 1], [2], [()], per_stage=True, size=32))
    assert found.points.tolist() == stated.points.tolist()


def test_the_alphas_may_come_in_any_order() -> None:
    """By stride rule B the plain network is no sum of octave stages, even where a stage has alpha 0."""
    options: dict[str, Any] = {"per_stage": True, "width": 4, "size": 8, "stride_rule": "B"}
    one = search(space([8], [0, "1/2"], [2], [()], **options), minimise=["bytes"], maximise=["calls"])
    other = search(space([8], ["1/2", 0], [2], [()], **options), minimise=["bytes"], maximise=["calls"])
    assert one.points.tolist() == other.points.tolist()
    for i in range(len(other)):
        point = other.point(i)
        assert cost_quantities(cost_of(point.network.operators()), point.costs) == point.costs


def test_quantities_are_known_ones() -> None:
    with pytest.raises(ValueError, match="quantity must be one of"):
        Measures(("volume",))
    with pytest.raises(ValueError, match="quantity must be one of"):
        Measures(("macs",), maximise=frozenset({"volume"}))


def test_a_machine_alone_predicts_nothing() -> None:
    one = space([8], [0, "1/2"], [2], [()], per_stage=True)
    expected = search(one, minimise=["macs", "params"]).points.tolist()
    assert search(one, minimise=["macs", "params"], machine=MACHINE).points.tolist() == expected


def test_a_front_of_nothing_is_empty() -> None:
    found = join([], 3)
    assert [part.shape for part in (found.points, found.number, found.picks)] == [(0, 3), (0,), (0, 0)]
    assert {part.dtype for part in (found.points, found.number, found.picks)} == {np.dtype(np.int64)}


def test_numbers_of_configurations_are_exact() -> None:
    found = search(space([8], [0, "1/2"], [2, 3], [()], per_stage=True))
    assert found.count.dtype == found.points.dtype == np.int64
    assert found.count.max() == 2**3  # where no path is compressed, beta makes no difference


@pytest.mark.parametrize("most", [12, 11])
def test_a_space_may_be_as_large_as_the_limit(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def made() -> Space:
        return space([8, 14], [0, "1/4", "1/2"], [2, 4], [()])

    monkeypatch.setattr(space_module, "LARGEST", most)
    if most < 12:
        with pytest.raises(ValueError, match=r"^a space may have at most 11 configurations, got 12$"):
            made()
    else:
        assert made().size == 12


@pytest.mark.parametrize("most", [3, 2])
@pytest.mark.parametrize(("limit", "what"), [("LARGEST", "configurations"), ("MOST_CHOICES", "choices")])
def test_a_staged_space_may_be_as_large_as_the_limit(
    limit: str, what: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staged_module, limit, most)
    if most < 3:
        with pytest.raises(ValueError, match=f"at most 2 {what}.*, got 3$"):
            staged_space(1, [0, "1/4", "1/2"], [2], [()])
    else:
        assert staged_space(1, [0, "1/4", "1/2"], [2], [()]).size == 3


NOTHING = StagedNetwork("net", {}, (), Cost(macs=7), ())


def test_as_many_choices_as_the_limit_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    one = staged_space(1, [0, "1/2"], [2], [()])
    monkeypatch.setattr(staged_costs, "MOST_CHOICES", 2)
    found = staged_costs.staged_tables(NOTHING, one, Measures(("macs",)))
    assert [table.tolist() for table in (*found.tables.stages, found.tables.constant)] == [[[[0], [0]]], [7]]
    monkeypatch.setattr(staged_costs, "MOST_CHOICES", 1)
    with pytest.raises(ValueError, match=r"^stage 1 has 2 choices"):
        staged_costs.staged_tables(NOTHING, one, Measures(("macs",)))


@pytest.mark.parametrize("most", [2**61, 2**62])
def test_staged_parts_that_fit_may_have_a_sum_that_does_not(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staged_costs, "_stage_table", lambda *_: np.full((1, 2, 1), most))
    two = staged_space(2, [0, "1/2"], [2], [()], per_stage=True)
    if 2 * most + 7 < 2**63:
        assert len(staged_costs.staged_tables(NOTHING, two, Measures(("macs",))).tables.stages) == 2
    else:
        with pytest.raises(ValueError, match=r"^counts may exceed 64 bits: up to 9,223,372,036,854,775,815 "):
            staged_costs.staged_tables(NOTHING, two, Measures(("macs",)))


def test_choices_of_stages_that_differ_are_multiplied() -> None:
    tied = staged_space(3, [0, "1/2"], [2], [(), ("HL",)], per_stage=True, constraints=["same-alpha"])
    assert (tied.size, tied.labels().dtype) == (2 * 2**3, np.int64)
    assert tied.labels().tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("options", "names", "columns"),
    [
        ({}, ["macs"], []),
        ({"depths": [8, 14]}, ["macs"], ["model"]),
        ({"widths": [8, 16]}, ["macs"], ["width"]),
        ({"widths": [8, 16]}, ["macs", "width"], ["width"]),  # already a column, as a quantity
        ({"width_rules": ["out", "in"]}, ["macs"], ["width_rule"]),
    ],
)
def test_what_a_search_varies_is_a_column(
    options: dict[str, Any], names: list[str], columns: list[str]
) -> None:
    found = search(space(**{"depths": [8], "alphas": [0, "1/2"], **options}), minimise=names)
    table = front_table(found, [0])
    shown = [column.key for column in table.columns if column.on_terminal]
    assert sorted(set(shown) & {"model", "width", "width_rule"}) == columns
    assert len(shown) == len(set(shown))
    assert [column.key for column in table.columns if not column.on_terminal] == ["options"]
    assert (table.rows[0]["position"], table.rows[0]["alpha"]) == (1, "1/2")  # the fewest MACs come first
