from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.convention import QUANTITIES
from costmodel.grids import evaluate as module
from costmodel.grids.evaluate import SUMS, evaluate, evaluate_networks
from costmodel.grids.grid import LARGEST, PATH_SUBSETS, Grid, grid, path_masks, ratios
from costmodel.networks.resnet import resnet
from costmodel.operators.recorder import cost_of

EVERYTHING = (*QUANTITIES, *SUMS)

# With these, branches vanish in some stages and not in others.
ALPHAS = st.sampled_from([Fraction(a) for a in ("0", "1", "1/4", "1/16", "1/5", "62/63")])
BETAS = st.fractions(1, 5, max_denominator=4)
SUBSETS = st.sampled_from(PATH_SUBSETS)
SETTINGS: list[dict[str, Any]] = [
    {},
    {"width_rule": "in", "stride_rule": "A", "between": "bn", "classes": 7, "batch": 3},
    {"width_rule": "min", "stride_rule": "B", "between": "bn_relu", "size": (33, 28), "in_channels": 1},
    {"width_rule": "mean", "size": (35, 9)},
]


SOME = ("params", "macs", "activations", "calls", "elements_read", "element_ops")


@st.composite
def grids(draw: st.DrawFn, by_stage: bool) -> Grid:
    """A few configurations, with one choice for all stages, or one per stage."""
    count = draw(st.integers(1, 8))

    def some(values: st.SearchStrategy[Any], choices: bool = True) -> list[Any]:
        one = st.tuples(values, values, values) if by_stage and choices else values
        return draw(st.lists(one, min_size=count, max_size=count))

    return Grid(
        ratios(some(ALPHAS)),
        ratios(some(BETAS)),
        path_masks(some(SUBSETS)),
        np.array(some(st.sampled_from([8, 14, 26]), choices=False), dtype=np.int64),
        np.array(some(st.sampled_from([5, 16, 21]), choices=False), dtype=np.int64),
    )


def check(configurations: Grid, quantities: tuple[str, ...], batch: int = 1, **setting: Any) -> None:
    """Each configuration costs what its network costs, operator by operator."""
    results = evaluate(configurations, quantities, batch=batch, **setting)
    assert list(results) == list(quantities)
    for i in range(len(configurations)):
        cost = cost_of(configurations.network(i, **setting).operators(batch))
        expected = {name: getattr(cost, name) for name in quantities}
        assert {name: int(values[i]) for name, values in results.items()} == expected, configurations.name(i)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@given(configurations=grids(by_stage=False))
@settings(max_examples=12)
def test_networks_with_one_choice_for_all_stages(setting: dict[str, Any], configurations: Grid) -> None:
    check(configurations, EVERYTHING, **setting)


@pytest.mark.parametrize("setting", SETTINGS[::2], ids=str)
@given(configurations=grids(by_stage=True))
@settings(max_examples=8)
def test_networks_with_a_choice_for_each_stage(setting: dict[str, Any], configurations: Grid) -> None:
    check(configurations, SOME, **setting)


def test_a_whole_grid() -> None:
    check(grid([0, "1/8", "1/3", "3/4", 1], [1, 2, "7/2"], PATH_SUBSETS, depths=[8, 14]), ("params", "macs"))


def test_known_counts() -> None:
    """The plain network, octave convolutions, and bottlenecks on all paths but HH, and on all."""
    known = grid([0, "1/4"], [2], [(), ("HL", "LH", "LL"), ("HH", "HL", "LH", "LL")])
    # All inner convolutions of alpha = 0 compressed to c/2: c·c/2 + 9·(c/2)² + c/2·c = 13/4·c² weights each.
    first = 9 * 16 * 16 + 17 * 13 * 16 * 16 // 4
    second = (16 * 16 + 9 * 16 * 16 + 16 * 32) + 17 * 13 * 32 * 32 // 4
    third = (32 * 32 + 9 * 32 * 32 + 32 * 64) + 16 * 13 * 64 * 64 // 4 + 9 * 64 * 64
    shortcuts, stem, head, bn = (16 * 32, 32 * 64), 27 * 16, 64 * 10, 2 * (16 + 18 * (16 + 32 + 64))
    params = first + second + third + sum(shortcuts) + stem + head + 10 + bn
    macs = (first + stem) * 32**2 + (second + shortcuts[0]) * 16**2 + (third + shortcuts[1]) * 8**2 + head
    results = evaluate(known)
    assert results["params"].tolist() == [855_578, 855_578, params, 855_578, 696_150, 409_482]
    assert results["macs"].tolist() == [125_747_840, 125_747_840, macs, 85_295_744, 79_309_440, 36_473_472]


@pytest.mark.parametrize("rule", ["A", "B", "C"])
def test_a_plain_network_strides_where_one_of_high_channels_pools(rule: str) -> None:
    """alpha = 0 is a standard convolution; 1/1000 rounds to no low channel, but stays an octave one."""
    both = grid([0, "1/1000"], depths=[14])
    check(both, EVERYTHING, stride_rule=rule)
    calls = evaluate(both, ["calls"], stride_rule=rule)["calls"]
    assert calls[1] - calls[0] == (0 if rule == "C" else 2 * 2)  # conv1 and shortcut of two stages


def test_blocks_of_mixed_kinds_come_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 7)
    mixed = grid(["1/2"], [1], [(), ("HH",), ("LL",)], depths=[8, 20], widths=[1, 2, 16])
    assert (
        len({module._kind(int(code)) for code in module._kind_codes(module._columns(mixed, slice(None)))})
        == 4
    )
    check(mixed, SOME)


def test_results_are_64_bit_integers_and_of_nothing_there_is_nothing() -> None:
    results = evaluate(grid(alphas=[]), EVERYTHING)
    assert {values.dtype for values in results.values()} == {np.dtype(np.int64)}
    assert {values.shape for values in results.values()} == {(0,)}


@pytest.mark.parametrize("size", [32, (33, 28)])
def test_stages_add_up_to_the_network_without_stem_and_head(size: Any) -> None:
    choices = grid([(0, "1/4", 1), (1, "1/3", 0), (1, 1, "1/2"), ("1/8", 1, 1)], [3], [("HL", "LL")], [14])
    stages = [evaluate(choices, SOME, size=size, stage=stage) for stage in (0, 1, 2)]
    whole = evaluate(choices, SOME, size=size)
    for i in range(len(choices)):
        operators = choices.network(i, size=size).operators()
        ends = cost_of(op for op in operators if op.place.role in ("stem", "head"))
        for name in SOME:
            assert sum(int(stage[name][i]) for stage in stages) + getattr(ends, name) == whole[name][i]


def test_networks_as_objects() -> None:
    nets = [resnet(20, alpha=(0, "1/4", 1), paths=["LL"], size=28), resnet(56, alpha="1/3", size=28)]
    results = evaluate_networks(nets, ["macs"])
    assert results["macs"].tolist() == [cost_of(net.operators()).macs for net in nets]
    with pytest.raises(
        ValueError, match=r"^the networks must share input, classes and rules; got 2 settings$"
    ):
        evaluate_networks([resnet(20), resnet(20, classes=100)])


def test_counts_beyond_64_bits_are_refused_before_they_are_worked_out() -> None:
    wide = grid(widths=[16, 2**20], depths=[1202])
    with pytest.raises(
        ValueError,
        match=r"^counts may exceed 64 bits: depth up to 1202, width up to 1048576, size 512x512, batch 64$",
    ):
        evaluate(wide, size=512, batch=64)


@pytest.mark.parametrize("width", [2**k for k in range(10, 31, 4)])
def test_counts_near_the_limit_are_exact_or_refused(width: int) -> None:
    wide = grid(["1/3"], [2], [("HL", "LH")], depths=[20], widths=[width])
    exact = cost_of(wide.network(0).operators())
    if exact.macs < LARGEST // 16:  # the bound is not far above the counts
        results = evaluate(wide)
        assert (results["params"][0], results["macs"][0]) == (exact.params, exact.macs)
    else:
        with pytest.raises(ValueError, match=r"^counts may exceed 64 bits"):
            evaluate(wide)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantities": ["flops"]}, r"quantity must be one of weights, .*, element_ops, got flops"),
        ({"width_rule": "max"}, r"width rule must be one of out, in, min, mean, got max"),
        ({"stride_rule": "D"}, r"stride rule must be one of A, B, C, got D"),
        ({"between": "gelu"}, r"between must be one of none, bn, bn_relu, got gelu"),
        ({"stage": 3}, r"stage must be one of 0, 1, 2, got 3"),
        ({"size": 0}, r"size must be at least 1, got 0"),
        ({"classes": 0}, r"classes must be at least 1, got 0"),
        ({"batch": 0}, r"batch must be at least 1, got 0"),
    ],
)
def test_bad_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        evaluate(grid(), **options)


def test_a_stage_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^stage must be one of 0, 1, 2, got 3$"):
        evaluate(grid(), stage=3)
