from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

from costmodel.grids.grid import LARGEST, PATH_SUBSETS, Grid, IntArray, Ratios, grid, path_masks, ratios
from costmodel.networks.stages import Stage


def ints(*values: Any) -> IntArray:
    return np.array(values, dtype=np.int64)


def one(**changes: Any) -> Grid:
    """A grid of two good configurations, but for the changes."""
    parts: dict[str, Any] = {
        "alpha": Ratios(ints(1, 1), ints(4, 2)),
        "beta": Ratios(ints(2, 2), ints(1, 1)),
        "paths": ints(0, 15),
        "depth": ints(20, 56),
        "width": ints(16, 16),
    }
    return Grid(**{**parts, **changes})


def test_ratios_are_exact_arrays() -> None:
    numerator, denominator = ratios(["1/3", 0.1, 1])
    assert (numerator.tolist(), denominator.tolist()) == ([1, 1, 1], [3, 10, 1])
    assert numerator.dtype == np.int64


def test_one_value_beside_three_is_repeated() -> None:
    per_stage = ratios(["1/2", ("1/4", "1/2", "3/4")])
    assert per_stage.numerator.tolist() == [[1, 1, 1], [1, 1, 3]]
    assert per_stage.at((1, 2)) == Fraction(3, 4)
    assert path_masks([("LL",), [(), ("HH",), ("HL", "LH")]]).tolist() == [[8, 8, 8], [0, 1, 6]]


def test_the_index_of_a_path_set_is_its_mask() -> None:
    assert path_masks(PATH_SUBSETS).tolist() == list(range(16))
    assert len(set(PATH_SUBSETS)) == 16


def test_a_grid_is_the_product_of_its_values() -> None:
    alphas, betas, subsets, depths, widths = ["0", "1/2"], [1, "5/2"], [(), ("HH", "LL")], [8, 20], [16, 32]
    everything = grid(alphas, betas, subsets, depths, widths)
    assert len(everything) == 2**5
    for i, (a, b, paths, depth, width) in enumerate(product(alphas, betas, subsets, depths, widths)):
        net = everything.network(i)
        assert net.stages == (Stage(Fraction(a), Fraction(b), frozenset(paths)),) * 3
        assert (net.backbone.depth, net.backbone.width) == (depth, width)


def test_a_grid_by_stage_is_named_and_built_by_stage() -> None:
    mixed = grid(alphas=[(0, "1/4", "1/2")], path_subsets=[[(), ("HL", "LH"), ("LL",)]], depths=[20])
    assert mixed.name(0) == "resnet20 width 16 alpha 0+1/4+1/2 beta 2 paths none+HL,LH+LL"
    assert [stage.alpha for stage in mixed.network(0).stages] == [0, Fraction(1, 4), Fraction(1, 2)]
    assert mixed.network(0, between="bn", classes=100).backbone.classes == 100


def test_an_empty_grid_is_a_grid() -> None:
    assert len(grid(alphas=[])) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"alpha": Ratios(ints(1, 3), ints(4, 2))},
            r"alpha must be in \[0, 1\], got 3/2 \(configuration 1\)",
        ),
        (
            {"alpha": Ratios(ints([1, 1, 1], [1, -1, 1]), ints([4] * 3, [4] * 3))},
            r"alpha must be in \[0, 1\], got -1/4 \(configuration 1\)",
        ),
        (
            {"alpha": Ratios(ints(0, 0), ints(1, 0))},
            r"the denominator of alpha must be positive, got 0 \(configuration 1\)",
        ),
        (
            {"beta": Ratios(ints(1, 2), ints(2, 1))},
            r"beta must be at least 1, got 1/2 \(configuration 0\)",
        ),
        (
            {"beta": Ratios(ints(2, 33), ints(1, 2))},
            r"beta must be at most the output channels of stage 1, got 33/2 \(configuration 1\)",
        ),
        (
            {"beta": Ratios(ints([1, 1, 1], [1, 1, 65]), ints([1] * 3, [1] * 3))},
            r"beta must be at most the output channels of stage 3, got 65 \(configuration 1\)",
        ),
        ({"paths": ints(0, 16)}, r"paths must be a mask from 0 to 15, got 16 \(configuration 1\)"),
        ({"depth": ints(20, 2)}, r"depth must be 6n \+ 2 .*, got 2 \(configuration 1\)"),
        ({"depth": ints(20, 21)}, r"depth must be 6n \+ 2 .*, got 21 \(configuration 1\)"),
        ({"width": ints(0, 16)}, r"width must be at least 1, got 0 \(configuration 0\)"),
        ({"paths": ints(0)}, r"paths must be int64 of shape \(2,\) or \(2, 3\), got int64 of shape \(1,\)"),
        (
            {"width": np.array([16.0, 16.0])},
            r"width must be int64 of shape \(2,\), got float64 of shape \(2,\)",
        ),
        (
            {"alpha": Ratios(ints(1, 1), ints(2, LARGEST))},
            r"ratios with parts up to \d+ and a width up to 16 are too large for 64 bits",
        ),
    ],
)
def test_bad_configurations_are_refused_by_number(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        one(**changes)


def test_a_beta_above_the_channels_is_no_error_where_nothing_is_compressed() -> None:
    assert len(one(beta=Ratios(ints(100, 2), ints(1, 1)))) == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["abc"], r"a ratio must be a number such as 0.25 or 1/4, got abc"),
        ([(0, 1)], r"a configuration must be one value or 3, one per stage; got 2"),
        ([Fraction(1, 2**63)], r"numerator and denominator must fit into 64 bits, got 1/9223372036854775808"),
    ],
)
def test_bad_ratios_are_refused(values: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        ratios(values)


def test_unknown_paths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^path must be one of HH, HL, LH, LL, got HX$"):
        path_masks([("HX",)])
