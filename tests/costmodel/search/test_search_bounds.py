"""Counts near 64 bits, budgets at their very value, and sums that are made in parts."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from costmodel.convention import Cost
from costmodel.grids import quantities
from costmodel.grids.grid import grid
from costmodel.grids.quantities import NAMED, grid_quantities
from costmodel.networks.resnet import resnet
from costmodel.operators.recorder import cost_of
from costmodel.search import merge, staged_costs
from costmodel.search.search import NothingFitsError, limit_of, search, spread
from costmodel.search.space import space
from costmodel.search.stage_costs import Measures
from costmodel.search.staged import StageChoice, StagedNetwork, staged_space
from costmodel.search.staged_search import search_staged
from costmodel.search.staged_table import name_of
from costmodel.speed.roofline import Machine

HUGE = 24_000_000  # pixels on a side: ResNet-8 takes 7.0e18 MACs, and twice as many FLOPs
MACHINE = Machine(5e10, 1e10, 1e-6)


@pytest.mark.parametrize("quantity", ["flops", "bytes", "training-macs"])
@pytest.mark.parametrize("per_stage", [False, True])
def test_what_exceeds_64_bits_is_refused(quantity: str, per_stage: bool) -> None:
    one = space([8], [0, "1/2"], path_sets=[()], size=HUGE, per_stage=per_stage)
    with pytest.raises(ValueError, match=r"^counts may exceed 64 bits: "):
        search(one, minimise=[quantity])


def test_what_just_fits_is_exact() -> None:
    found = search(space([8], [0], path_sets=[()], size=4_000_000), minimise=["flops"])
    cost = cost_of(resnet(8, size=4_000_000).operators())
    assert found.points.tolist() == [[cost.params, cost.macs, 2 * cost.macs]]


def test_parts_that_fit_may_have_a_sum_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {
        "macs": np.array([1, 2**62]),
        "elements_read": np.array([2**60]),
        "elements_written": np.array([2**60]),
    }
    monkeypatch.setattr(quantities, "evaluate", lambda *_, **__: parts)
    assert grid_quantities(grid(depths=[8]), ["macs"])["macs"].tolist() == [1, 2**62]
    for name, found in (("flops", 2**63), ("bytes", 2**63)):
        with pytest.raises(ValueError, match=f"^counts may exceed 64 bits: up to {found:,} "):
            grid_quantities(grid(depths=[8]), [name])
    assert grid_quantities(grid(depths=[8]), ["bytes"], "float16")["bytes"].tolist() == [2**62]


@pytest.mark.parametrize("quantity", list(NAMED))
def test_no_quantity_of_a_grid_wraps(quantity: str) -> None:
    """Either it is refused, or it is that of the network."""
    exact = []
    for size in (1_000_000, 4_000_000, 6_000_000, 8_000_000, HUGE, 30 * HUGE):
        try:
            (found,) = grid_quantities(grid(depths=[8]), [quantity], size=size)[quantity].tolist()
        except ValueError as error:
            assert str(error).startswith("counts may exceed 64 bits: ")  # noqa: PT017
        else:
            assert 0 < found < 2**63
            measured = Measures((quantity,)).of(cost_of(resnet(8, size=size).operators()))
            assert found == int(measured[0])
            exact.append(size)
    assert exact[:1] == [1_000_000]
    assert (30 * HUGE in exact) == (quantity in ("params", "calls"))


def test_a_cost_beyond_64_bits_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^counts may exceed 64 bits: up to 18,000,000,000,000,000,000 FLOPs$"
    ):
        Measures(("flops",)).of(Cost(macs=9 * 10**18))


def test_the_nearest_is_near_whatever_is_maximised() -> None:
    with pytest.raises(NothingFitsError, match="--paths all, with params 409,482"):
        search(space(alphas=["1/4"]), {"params": 400_000}, maximise=["params"])


def test_a_budget_beyond_64_bits_is_no_budget() -> None:
    assert len(search(space(alphas=[0], path_sets=[()]), {"macs": 10**30})) == 1


def test_the_plain_network_fits_exactly_its_own_cost() -> None:
    plain = space([8], [0], [2], [()], per_stage=True)
    cost = cost_of(resnet(8).operators())
    found = search(plain, {"params": cost.params, "macs": cost.macs})
    assert found.points.tolist() == [[cost.params, cost.macs]]
    with pytest.raises(NothingFitsError):
        search(plain, {"params": cost.params, "macs": cost.macs - 1})


@pytest.mark.parametrize(
    ("count", "most", "shown"),
    [(5, 1, [0]), (5, 2, [0, 4]), (5, 3, [0, 2, 4]), (3, 10, [0, 1, 2]), (0, 4, [])],
)
def test_rows_are_spread_over_the_front(count: int, most: int, shown: list[int]) -> None:
    assert spread(count, most) == shown


def test_at_least_one_row_is_shown() -> None:
    with pytest.raises(ValueError, match="at least 1 row must be shown, got 0"):
        spread(5, 0)


@pytest.mark.parametrize(
    ("name", "budget", "message"),
    [
        ("volume", 5, "quantity must be one of"),
        ("depth", 5, "a space lists its values of depth: it has no budget"),
        ("macs", 0, "a budget must be positive, got 0 for macs"),
    ],
)
def test_what_has_no_budget(name: str, budget: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        limit_of(name, budget)


def test_a_budget_below_one_is_none_at_all() -> None:
    """Counts are whole: a part of one is a budget of 0, and everything exceeds it by its own count."""
    assert limit_of("macs", Fraction(1, 2)) == 0
    with pytest.raises(NothingFitsError, match=r"params 345,946: 345,946 over the budget of 0$"):
        search(space(alphas=[0, "1/4"], betas=[2]), {"params": Fraction(1, 2)})


def test_sums_in_parts_are_those_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    small = space([8], [0, "1/4"], [2, 4], [(), ("HL", "LL")], per_stage=True, width=8, size=8)
    whole = search(small, maximise=["activations"])
    monkeypatch.setattr(merge, "CHUNK", 1)
    again = search(small, maximise=["activations"])
    assert len(again) > 1
    assert again.points.tolist() == whole.points.tolist()
    assert again.count.tolist() == whole.count.tolist()
    for i in range(len(again)):
        point = again.point(i)
        assert cost_of(point.network.operators()).params == point.costs["params"]


def test_a_latency_of_tied_stages_needs_even_sizes() -> None:
    with pytest.raises(ValueError, match="with a latency needs a size divisible by 8, got 12x12"):
        search(space([8], [1], size=12), minimise=["latency"], machine=MACHINE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alphas": []}, "at least one value of alphas"),
        ({"betas": []}, "at least one value of betas"),
        ({"path_sets": []}, "at least one value of path sets"),
        ({"width_rule": "wide"}, "width rule must be one of"),
        (
            {"alphas": [Fraction(i, 4000) for i in range(1500)], "per_stage": True},
            r"at most 2,000,000 choices times alphas before it, got 36,000,000",
        ),
        ({"stages": 99, "per_stage": True}, r"at most 9,223,372,036,854,775,807 configurations, got"),
    ],
)
def test_a_staged_space_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        staged_space(**{"stages": 1, "alphas": [0, "1/2"], "betas": [2], **options})


EMPTY = StagedNetwork("net", {"a": ("a",)}, (), Cost(weights=5, macs=7), (("a", 0),))


def test_a_quantity_is_not_both_minimised_and_maximised() -> None:
    one = staged_space(stages=1, alphas=[0], betas=[2])
    with pytest.raises(ValueError, match="cannot both minimise and maximise macs"):
        search_staged(EMPTY, one, minimise=["macs"], maximise=["macs"])


def test_more_choices_than_are_tried_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one = staged_space(stages=1, alphas=[0, "1/2"], betas=[2])
    monkeypatch.setattr(staged_costs, "MOST_CHOICES", 1)
    with pytest.raises(
        ValueError, match=r"^stage 1 has \d+ choices with what comes before it, and at most 1"
    ):
        search_staged(EMPTY, one)


def test_a_name_leaves_layers_without_a_stage_plain() -> None:
    net = StagedNetwork("net", {"a": ("a",)}, (), Cost(), (("a", 0), ("b", -1)))
    half = StageChoice(Fraction(1, 2), Fraction(2), frozenset())
    layers = "{'a': 'alpha:1/2,paths:none', 'b': 'alpha:0,paths:none'}"
    assert name_of(net, [half], {}) == f"convert(net, layers={layers})"
