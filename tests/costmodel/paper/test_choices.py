from __future__ import annotations

from collections import Counter
from fractions import Fraction
from random import Random

import pytest

from costmodel.networks.resnet import resnet
from costmodel.operators.recorder import cost_of
from costmodel.paper.choices import (
    ALPHAS,
    BETAS,
    Choices,
    PricedChoice,
    budget_table,
    edge_table,
    front_table,
    idle_table,
    paper_points,
    plain_points,
    same_alpha_table,
)
from costmodel.paper.printed import Paper


def network_cost(choice: PricedChoice, paths: tuple[str, ...]) -> tuple[int, int]:
    net = resnet(56, alpha=choice.alpha, beta=choice.beta, paths=paths, width_rule=choice.width_rule)
    cost = cost_of(net.operators())
    return int(cost.params), int(cost.macs)


def test_the_grid_is_whole(options: Choices) -> None:
    octave, plain = len(ALPHAS) - 1, 1
    bottlenecks = len(BETAS) * 4  # width rules
    assert len(options.all) == octave * (1 + 15 * bottlenecks) + plain * (1 + bottlenecks)
    assert len(set(options.all)) == len(options.all)


def test_choices_cost_what_their_networks_cost(options: Choices) -> None:
    for choice in Random(2).sample(options.all, 12):
        assert network_cost(choice, choice.paths) == (choice.params, choice.macs)


def test_idle_bottlenecks_save_no_parameters(options: Choices) -> None:
    idle = [choice for choice in options.all if choice.idle]
    saving = [choice for choice in options.all if choice.paths and not choice.idle]
    for choice in Random(3).sample(idle, 4):
        without = tuple(path for path in choice.paths if path not in choice.idle)
        assert network_cost(choice, without)[0] <= choice.params
    for choice in Random(3).sample(saving, 4):
        without = choice.paths[1:]
        assert network_cost(choice, without)[0] > choice.params


def test_lh_alone_is_idle_where_stage_changes_eat_its_savings(options: Choices) -> None:
    idle = {c.alpha: c.idle for c in options.all if (c.paths, c.beta, c.width_rule) == (("LH",), 2, "out")}
    assert idle[Fraction(1, 4)] == ()  # saves 855,578 - 855,326 parameters
    assert idle[Fraction(3, 16)] == ("LH",)  # below 11/45, where it saves nothing even inside a stage
    assert idle[Fraction(5, 16)] == ()


def test_beta_1_saves_nothing_within_a_branch(options: Choices) -> None:
    """Such a bottleneck has a kxk kernel as large as the path's, and two 1x1 convolutions more."""
    within = [
        c for c in options.all if c.beta == 1 and c.width_rule == "out" and c.paths in (("HH",), ("LL",))
    ]
    assert within
    assert all(choice.idle == choice.paths for choice in within)


def test_nothing_beats_the_front(options: Choices) -> None:
    for one in options.front:
        assert not any(
            other.params <= one.params and other.macs <= one.macs and other[:2] != one[:2]
            for other in options.all
        )


def test_the_edge_costs_least_for_its_parameters(options: Choices) -> None:
    saving = [choice for choice in options.all if not choice.idle]
    assert [choice.params for choice in options.edge] == sorted(choice.params for choice in options.edge)
    for one in options.edge[:: len(options.edge) // 20]:
        assert one.macs == min(other.macs for other in saving if other.params >= one.params)


def test_the_cheapest_has_equal_parameters(options: Choices) -> None:
    best = options.cheapest(409_482, Fraction(1, 4))
    assert 0.98 * 409_482 <= best.params <= 409_482
    assert best.alpha == Fraction(1, 4)
    assert best.macs < 36_473_472  # that of bottlenecks on all paths
    with pytest.raises(ValueError, match="no configuration has between 49/50 of 100 parameters and all"):
        options.cheapest(100)


def test_points_stand_at_their_true_place(paper: Paper) -> None:
    plain = {point.name: (point.params, point.macs) for point in plain_points()}
    assert plain["ResNet-20"] == (272_282, 40_813_184)
    assert plain["ResNet-56"] == (855_578, 125_747_840)
    points = {point.name: point for point in paper_points(paper)}
    assert len(points) == 2 + 8 + 4  # of Tables 1, 2 and 3
    assert points["all, 0.25"].params == 409_482
    assert points["all, 0.25"].printed == 310_000
    assert points["HL,LH,LL, 0.25"][1:3] == (696_150, 79_309_440)


def test_tables(paper: Paper, options: Choices) -> None:
    budgets = budget_table(paper, options)
    assert [row["network"] for row in budgets.rows][:4] == [
        "ResNet-20",
        "ResNet-32",
        "ResNet-44",
        "ResNet-56",
    ]
    assert all(row["choice_params"] <= row["params"] for row in budgets.rows)
    same = same_alpha_table(paper, options)
    assert {(row["network"][-4:], row["alpha"]) for row in same.rows} == {("0.25", "1/4"), ("0.75", "3/4")}
    assert all(row["choice_macs"] <= row["macs"] for row in same.rows)
    assert len(front_table(options).rows) == len(options.front)
    assert len(edge_table(options, 5).rows) == 5
    assert len(edge_table(options, None).rows) == len(options.edge)


def test_idle_table_counts_paths(options: Choices) -> None:
    rows = {row["path"]: (row["configurations"], row["idle"]) for row in idle_table(options).rows}
    counted = Counter(path for choice in options.all for path in choice.paths)
    idle = Counter(path for choice in options.all for path in choice.idle)
    assert rows == {path: (counted[path], idle[path]) for path in ("HH", "HL", "LH", "LL")}
