"""What a search says when no network fits a budget, and which questions it refuses."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from costmodel.grids.grid import PATH_SUBSETS
from costmodel.networks.resnet import resnet
from costmodel.networks.wording import options_of
from costmodel.operators.recorder import cost_of
from costmodel.search.search import NothingFitsError, search
from costmodel.search.space import space


def test_an_infeasible_budget_says_by_how_much_and_what_is_nearest() -> None:
    """409,482 parameters, all paths compressed at alpha 1/4, are the fewest of these 16 configurations."""
    with pytest.raises(NothingFitsError) as error:
        search(space(alphas=["1/4"]), {"params": Fraction(400_000)})
    assert str(error.value) == (
        "no configuration fits: the nearest is --model resnet56 --alpha 1/4 --beta 2 --paths all, "
        "with params 409,482: 9,482 over the budget of 400,000 (2.4 %)"
    )


def test_nearest_weighs_budgets_by_their_share() -> None:
    """Plain: 855,578 parameters, 125,747,840 MACs; alpha 1/4 without bottlenecks: as many, and 85,295,744.

    Against 800,000 and 10,000,000 both miss the parameters equally; the second misses the MACs by less.
    """
    two = space(alphas=[0, "1/4"], path_sets=[()])
    with pytest.raises(
        NothingFitsError, match=r"--alpha 1/4, with params 855,578: 55,578 over .* MACs 85,295,744"
    ):
        search(two, {"params": 800_000, "macs": 10_000_000})


def test_nearest_goes_by_the_most_exceeded_budget() -> None:
    """At beta 4, all paths: alpha 1/2 has 144,426 parameters and 9,814,656 MACs, 3/4 163,198 and 7,557,760.

    The first misses its parameters by less, but it exceeds 1,000,000 MACs 9.8 times, the second 7.6 times.
    """
    two = space(alphas=["1/2", "3/4"], betas=[4], path_sets=[PATH_SUBSETS[-1]])
    with pytest.raises(NothingFitsError, match="--alpha 3/4"):
        search(two, {"params": 144_000, "macs": 1_000_000})
    with pytest.raises(NothingFitsError, match="--alpha 1/2"):
        search(two, {"params": 10_000, "macs": 7_000_000})


def test_nearest_when_only_the_combination_is_infeasible() -> None:
    """Plain resnet20 has the fewest MACs a parameter; each budget alone can be met."""
    two = space([20, 32], [0, "1/2"], path_sets=[()])
    small, octave = resnet(20), resnet(32, alpha="1/2")
    macs = cost_of(octave.operators()).macs
    with pytest.raises(NothingFitsError, match="--model resnet20 --alpha 1/2"):
        search(two, {"params": 272_282 - 1, "macs": macs})
    assert cost_of(small.operators()).params == 272_282


def test_a_budget_is_rounded_down() -> None:
    two = space(alphas=["1/4"])
    assert len(search(two, {"params": Fraction(409_482)})) == 1
    assert len(search(two, {"params": Fraction(818_965, 2)})) == 1
    with pytest.raises(NothingFitsError):
        search(two, {"params": Fraction(818_963, 2)})


def test_same_costs_are_counted_and_the_simplest_is_shown() -> None:
    """At alpha 0 there are no paths but HH: 8 of the 16 path sets leave the network plain."""
    found = search(space(alphas=[0]), maximise=["params"])
    point = found.point(0)
    assert (point.network.is_plain, point.count) == (True, 8)
    assert options_of(point.network) == "--model resnet56"


def test_plain_networks_are_counted_within_what_stages_share() -> None:
    """At alpha 0 without bottlenecks on HH everything is plain, and beta idle: one point for all."""
    for constraints in ([], ["same-beta"], ["same-paths"], ["same-beta", "same-paths"]):
        plain = space([8], [0], [2, 3, 4], [(), ("LL",)], per_stage=True, constraints=constraints)
        assert search(plain).count.tolist() == [plain.size]


def test_the_simplest_set_of_paths_comes_first() -> None:
    given = [("HH", "LL"), ("HL", "LH", "LL"), ("HL",), ("LH", "LL"), ()]
    assert list(map(len, space(path_sets=given).path_sets)) == [0, 1, 2, 2, 3]


def test_space_size() -> None:
    assert space(alphas=[0, "1/4"], betas=[2, 3, 4], per_stage=True).size == (2 * 3 * 16) ** 3
    tied = space([20, 56], [0, "1/4"], [2], per_stage=True, constraints=["same-paths"])
    assert tied.size == 2 * 2**3 * 16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depths": [57]}, r"depth must be 6n \+ 2"),
        ({"alphas": ["3/2"]}, r"alpha must be in \[0, 1\], got 3/2"),
        ({"betas": ["1/2"]}, "beta must be at least 1, got 1/2"),
        ({"betas": [17]}, "beta must be at most the 16 output channels of stage 1, got 17"),
        ({"path_sets": [["HX"]]}, "path must be one of HH, HL, LH, LL, got HX"),
        ({"widths": [16, Fraction(33, 2)]}, r"width must be a whole number, got Fraction\(33, 2\)"),
        ({"width_rules": ["widest"]}, "width rule must be one of out, in, min, mean, got widest"),
        ({"constraints": ["keep-all"]}, "constraint must be one of keep-hh"),
        ({"path_sets": [["HH"]], "constraints": ["keep-hh"]}, "at least one value of path sets"),
        ({"alphas": []}, "at least one value of alphas"),
    ],
)
def test_a_space_refuses_bad_values(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        space(**arguments)


def test_a_space_too_large_for_memory_or_64_bits_is_refused() -> None:
    many = [Fraction(i, 4000) for i in range(1000)]
    # Where all stages share it, no alphas before are combined: exactly as many as fit.
    most = [Fraction(i, 125) for i in range(125, 250)]
    assert space(alphas=many, betas=most).size == 2_000_000
    with pytest.raises(ValueError, match="a stage may have at most 2,000,000 choices"):
        space(alphas=many, per_stage=True)
    with pytest.raises(ValueError, match=r"at most 9,223,372,036,854,775,807 configurations, got"):
        space(alphas=many, betas=[Fraction(i, 16) for i in range(16, 240)], per_stage=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budgets": {"speed": 1}}, "quantity must be one of params, macs"),
        ({"minimise": ["macs"], "maximise": ["macs"]}, "cannot both minimise and maximise macs"),
        ({"budgets": {"macs": 0}}, "a budget must be positive, got 0 for macs"),
        ({"maximise": ["speed"]}, "quantity must be one of params"),
        (
            {"space": space([8], [1], per_stage=True, size=12)},
            "alpha 1 per stage or with a latency needs a size .* 12x12",
        ),
    ],
)
def test_search_refuses_bad_questions(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search(**{"space": space(), **arguments})


def test_spread_keeps_the_ends() -> None:
    found = search(space(alphas=[Fraction(i, 8) for i in range(8)]), maximise=["params"])
    shown = found.spread(3)
    assert (len(found) > 3, shown[0], shown[-1], len(shown)) == (True, 0, len(found) - 1, 3)
    with pytest.raises(ValueError, match="at least 1 row must be shown, got 0"):
        found.spread(0)


def test_a_budget_that_is_met_is_not_said_to_be_missed() -> None:
    (point,) = map(search(space(alphas=[0])).point, range(1))
    limits = {"params": point.costs["params"], "macs": point.costs["macs"] - 1}
    with pytest.raises(NothingFitsError) as raised:
        search(space(alphas=[0]), limits)
    assert str(raised.value).endswith(
        f"MACs {point.costs['macs']:,}: 1 over the budget of {limits['macs']:,} (0.0 %)"
    )
    assert "params" not in str(raised.value)


def test_a_budget_of_nothing_has_no_share() -> None:
    with pytest.raises(NothingFitsError, match=r"over the budget of 0$"):
        search(space(alphas=[0]), {"macs": Fraction(1, 2)})
    with pytest.raises(NothingFitsError, match=r"over the budget of 1 \(27228100.0 %\)$"):
        search(space([20], alphas=[0], path_sets=[()]), {"params": 1})
