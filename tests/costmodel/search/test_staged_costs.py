"""Costs of stages whose layers depend on earlier or later ones, against adding up each network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import pytest

from costmodel.convention import Cost
from costmodel.operators.converted import ConvertedLayer
from costmodel.operators.octave import PATHS
from costmodel.rounding import hidden
from costmodel.search.stage_costs import Measures
from costmodel.search.staged import (
    LayerForm,
    StageChoice,
    StagedLayer,
    StagedNetwork,
    StagedSpace,
    StageState,
    staged_space,
)
from costmodel.search.staged_costs import staged_tables
from costmodel.search.staged_search import search_staged
from costmodel.search.staged_table import describe_staged, name_of, staged_front_table, stages_table

NAMES = ("params", "macs")
WIDTH, PLAIN = 8, Cost(weights=1000, macs=5000)


def layer(name: str, stage: int, needs: tuple[int, ...], space: StagedSpace) -> StagedLayer:
    """A layer whose input has as many low channels as the other stages that it needs give it together."""

    def made(states: tuple[StageState, ...]) -> LayerForm | None:
        own = states[needs.index(stage)].alpha
        others = [int(WIDTH * state.alpha) for one, state in zip(needs, states, strict=True) if one != stage]
        if not own and not any(others):
            return None
        c_in, c_out = (3 * WIDTH - sum(others), sum(others)), (WIDTH - int(WIDTH * own), int(WIDTH * own))
        there = [(path, c_in["HL".index(path[0])] and c_out["HL".index(path[1])]) for path in PATHS]
        paths = frozenset(path for path, channels in there if channels)
        return LayerForm(ConvertedLayer(name, c_in, c_out, (3, 3), (8, 8)), paths)

    keys = product(space.states, repeat=len(needs))
    return StagedLayer(name, stage, needs, PLAIN, {key: made(key) for key in keys})


def summed(layers: Iterable[StagedLayer], choices: Sequence[StageChoice]) -> list[Any]:
    """The costs of one network, layer by layer."""
    total = Cost()
    for one in layers:
        form = one.forms[tuple(choices[stage].state for stage in one.needs)]
        if form is None:
            total += one.plain
            continue
        paths, beta = choices[one.stage].paths & form.compressible, choices[one.stage].beta
        channels = {path: form.layer.c_out["HL".index(path[1])] for path in paths}
        widths = {path: hidden(0, channels[path], beta, "out") for path in paths}
        total += replace(form.layer, widths=widths).cost()
    return [total.params, total.macs]


NEEDS: dict[str, list[tuple[int, tuple[int, ...]]]] = {
    "a chain": [(0, (0,)), (1, (0, 1)), (2, (1, 2))],
    "a stage that a later one feeds": [(0, (0, 1)), (1, (1,)), (2, (2,))],
    "the first fed by the last": [(0, (0, 2)), (1, (0, 1)), (2, (2,))],
    "all feed the middle": [(1, (0, 1, 2)), (0, (0,)), (2, (2,))],
    "the first is needed twice": [(0, (0,)), (1, (0, 1)), (2, (0, 2))],
    "its choice, then its state": [(0, (0, 1)), (2, (0, 2)), (1, (1,))],
    "nothing in common": [(0, (0,)), (1, (1,)), (2, (2,))],
    "an idle stage": [(0, (0, 2)), (2, (2,))],
}


@pytest.mark.parametrize("needs", NEEDS)
def test_stages_add_up_to_each_network(needs: str) -> None:
    space = staged_space(3, [0, "1/4"], [2, 4], [(), ("HH", "HL", "LL")], per_stage=True)
    layers = tuple(layer(f"l{k}", stage, on, space) for k, (stage, on) in enumerate(NEEDS[needs]))
    network = StagedNetwork("net", {}, layers, Cost(weights=7, macs=11), ())
    found = staged_tables(network, space, Measures(NAMES))
    for picks in product(range(len(space.choices)), repeat=3):
        total, state = found.tables.constant.copy(), 0
        for stage, pick in enumerate(picks):
            total += found.tables.stages[stage][state, pick]
            state = int(found.after[stage][state, pick])
        params, macs = summed(layers, [space.choices[pick] for pick in picks])
        assert total.tolist() == [params + 7, macs + 11]


@pytest.mark.parametrize("macs", [2**61, 2**62])
def test_layers_that_fit_may_have_a_sum_that_does_not(macs: int) -> None:
    space = staged_space(1, [0, "1/4"], [2], [()])
    forms: dict[tuple[StageState, ...], LayerForm | None] = {(state,): None for state in space.states}
    layers = tuple(StagedLayer(name, 0, (0,), Cost(macs=macs), forms) for name in ("a", "b"))
    network = StagedNetwork("net", {}, layers, Cost(), ())
    if 2 * macs < 2**63:
        assert staged_tables(network, space, Measures(("macs",))).tables.stages[0].tolist() == [
            [[2 * macs]] * 2
        ]
    else:
        with pytest.raises(
            ValueError, match=r"^counts may exceed 64 bits: up to 9,223,372,036,854,775,808 in one stage"
        ):
            staged_tables(network, space, Measures(("macs",)))


NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (StageChoice(Fraction(0), Fraction(2), NONE), "net"),
        (StageChoice(Fraction(0), Fraction(2), frozenset({"HL"})), "net"),  # there is no low branch
        (
            StageChoice(Fraction(0), Fraction(3), frozenset({"HH"})),
            "convert(net, alpha=0, beta=3, paths='HH')",
        ),
        (StageChoice(Fraction(1, 2), Fraction(2), NONE), "convert(net, alpha=1/2)"),
        (
            StageChoice(Fraction(1, 2), Fraction(4), frozenset(PATHS)),
            "convert(net, alpha=1/2, beta=4, paths='all')",
        ),
    ],
)
def test_stages_that_all_choose_the_same_have_a_short_name(choice: StageChoice, name: str) -> None:
    network = StagedNetwork("net", {}, (), Cost(), (("a", 0), ("b", 1)))
    assert name_of(network, [choice, choice], {"width_rule": None}) == name


def test_rules_are_part_of_the_name() -> None:
    network = StagedNetwork("net", {}, (), Cost(), (("a", 0), ("b", -1)))
    choice = StageChoice(Fraction(1, 4), Fraction(2), NONE)
    layers = "layers={'a': 'alpha:1/4,paths:none', 'b': 'alpha:0,paths:none'}"
    assert name_of(network, [choice], {"stride_rule": "B"}) == f"convert(net, {layers}, stride_rule='B')"


def test_what_the_tables_of_a_search_show() -> None:
    network = StagedNetwork("net", {"8x8": ("a", "b"), "4x4": ("c",)}, (), Cost(macs=7), (("*", 0), ("c", 1)))
    stages = stages_table(network)
    assert [row["stage"] for row in stages.rows] == [1, 2]
    assert [row["patterns"] for row in stages.rows] == ["*", "c"]
    hidden_columns = [column.key for column in stages.columns if not column.on_terminal]
    assert hidden_columns == ["patterns", "layers"]
    space = staged_space(2, [0, "1/4"], [2], [()])
    found = search_staged(network, space, minimise=["macs"])
    table = staged_front_table(found, [0])
    assert [row["position"] for row in table.rows] == [1]
    assert describe_staged(found, {})["space"]["same_in_all_stages"] == ["alpha", "beta", "paths"]
    assert [column.key for column in table.columns if not column.on_terminal] == ["network"]
