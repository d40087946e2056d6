import subprocess
import sys
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
import sympy as sp

from costmodel.convention import QUANTITIES, Cost
from costmodel.networks.closed_form import (
    BOTTLENECKS,
    CHANNELS,
    BottleneckPlace,
    alpha,
    beta,
    closed_form,
    n,
    network_cost,
)
from costmodel.networks.resnet import resnet
from costmodel.operators.octave import PATHS
from costmodel.operators.recorder import cost_of
from costmodel.rounding import hidden, split

DEPTHS = [*range(2, 11), 18]
SUBSETS = [(), ("HH",), ("HL", "LH", "LL"), PATHS, ((), ("LH",), ("HH", "LL"))]


form_of = cache(closed_form)  # its results are frozen, and the tests ask for the same ones


def numbers(form: Cost, values: dict[Any, Any]) -> Cost:
    return form.subs({key: sp.Rational(str(value)) for key, value in values.items()})


def summed(blocks: int, batch: int = 1, **options: Any) -> Cost:
    """The sum over all operators of all blocks."""
    return cost_of(resnet(6 * blocks + 2, **options).operators(batch))


@pytest.mark.parametrize("paths", SUBSETS, ids=str)
@pytest.mark.parametrize(("a", "b"), [("1/4", "2"), ("1/2", "4"), ("7/8", "1")])
def test_without_floors_it_is_the_sum_where_all_sizes_are_whole(paths: Any, a: str, b: str) -> None:
    form = numbers(form_of(paths, form="whole"), {alpha: a, beta: b})
    for blocks in DEPTHS:
        assert form.subs({n: blocks}) == summed(blocks, alpha=a, beta=b, paths=paths)


@pytest.mark.parametrize("paths", SUBSETS[2:], ids=str)
@pytest.mark.parametrize(("a", "b"), [("1/3", "5/2"), ("0.7", "15"), ("1/15", "3")])
def test_with_floors_it_is_the_sum_wherever_both_branches_exist(paths: Any, a: str, b: str) -> None:
    form = numbers(form_of(paths, form="floors", width=20), {alpha: a, beta: b})
    for blocks in (2, 3, 9):
        assert form.subs({n: blocks}) == summed(blocks, alpha=a, beta=b, paths=paths, width=20)


@pytest.mark.parametrize("blocks", [18, 200])
def test_deep_networks_are_the_sum_of_their_blocks(blocks: int) -> None:
    form = numbers(closed_form(("HL", "LL"), form="whole"), {alpha: "1/4", beta: "2", n: blocks})
    assert form == summed(blocks, alpha="1/4", paths=["HL", "LL"])


@pytest.mark.parametrize(
    "options",
    [
        {"stride_rule": "A", "between": "bn_relu"},
        {"stride_rule": "B", "width_rule": "in"},
        {"width_rule": "min", "between": "bn"},
        {"width_rule": "mean", "size": 28, "classes": 100},
        {"size": (33, 30), "in_channels": 1},
    ],
    ids=str,
)
def test_rules_and_sizes(options: dict[str, Any]) -> None:
    form = numbers(closed_form(PATHS, form="floors", **options), {alpha: "0.3", beta: "2.5"})
    for blocks in (2, 5):
        assert form.subs({n: blocks}) == summed(blocks, alpha="0.3", beta="2.5", paths=PATHS, **options)


@pytest.mark.parametrize(("branches", "a"), [("H", 0), ("L", 1), (("HL", "H", "L"), ("1/2", 0, 1))])
def test_branches_without_channels(branches: Any, a: Any) -> None:
    form = numbers(closed_form(PATHS, form="floors", branches=branches), {alpha: "1/2", beta: "3"})
    assert form.subs({n: 4}) == summed(4, alpha=a, beta=3, paths=PATHS)


def test_channels_and_widths_are_symbols_to_be_put_in() -> None:
    form = closed_form(PATHS)
    values: dict[Any, Any] = {n: 3}
    for stage, symbols in enumerate(CHANNELS):
        values.update(zip(symbols, split(16 * 2**stage, Fraction(1, 4)), strict=True))
    for place in BOTTLENECKS:
        _, c_out = place.ends(CHANNELS)
        values[place.width("out")] = hidden(0, values[c_out], Fraction(2))
    assert form.subs(values) == summed(3, alpha="1/4", paths=PATHS)


def test_the_symbols_of_a_form() -> None:
    names = {str(symbol) for symbol in closed_form(["HL"]).macs.free_symbols}
    assert names == {"n", *(f"{c}{stage}" for c in ("c_H", "c_L", "m_L") for stage in (1, 2, 3))}
    assert closed_form(["HL"], form="whole").macs.free_symbols == {n, alpha, beta}
    assert str(BottleneckPlace("LH", 1, 1).width("in")) == "m_LH2"
    assert str(BottleneckPlace("LH", 0, 1).width("in")) == "m_LH12"
    assert BottleneckPlace("LH", 0, 1).width("out") == BottleneckPlace("HH", 1, 1).width("out")


def test_sizes_widths_classes_and_batches_may_be_symbols() -> None:
    h, w, c, classes, batch = sp.symbols("h w c K b", positive=True, integer=True)
    form = closed_form(["LH"], form="whole", size=(h, w), width=c, classes=classes, batch=batch)
    form = numbers(form, {n: 3, alpha: "1/2", beta: "2", h: 24, w: 40, c: 8, classes: 7, batch: 5})
    options: dict[str, Any] = {"size": (24, 40), "width": 8, "classes": 7}
    assert form == summed(3, batch=5, alpha="1/2", paths=["LH"], **options)


def test_one_symbol_may_be_height_and_width() -> None:
    side = sp.Symbol("s", positive=True, integer=True)
    form = closed_form(branches="H", size=side)
    assert form.subs({n: 2, side: 16}) == summed(2, size=16)


def test_the_plain_network_by_hand() -> None:
    """2n convolutions a stage, one of them from half the channels; two 1x1; stem, head, normalisation."""
    form = closed_form(form="whole", branches="H")
    convs = 2 * n * 9 * (16**2 + 32**2 + 64**2) - 9 * (16 * 32 + 32 * 64) + (16 * 32 + 32 * 64)
    bn = 2 * (2 * n * (16 + 32 + 64) + 16)
    assert sp.expand(form.params - (convs + bn + 9 * 3 * 16 + 64 * 10 + 10)) == 0


def test_a_block_of_octave_convolutions_costs_the_known_share() -> None:
    """1 - (3/4) alpha (2 - alpha) of a plain block: Chen et al. (2019), table 1."""
    octave, plain = (closed_form(form="whole", branches=branches).macs for branches in ("HL", "H"))
    share = 1 - sp.Rational(3, 4) * alpha * (2 - alpha)
    assert sp.expand(octave.coeff(n) - share * plain.coeff(n)) == 0


@pytest.mark.parametrize("paths", SUBSETS, ids=str)
def test_without_floors_it_is_a_polynomial_and_linear_in_n(paths: Any) -> None:
    inverse = sp.Symbol("b")
    for quantity in ("params", "macs", "activations"):
        formula = getattr(form_of(paths, form="whole"), quantity).subs({beta: 1 / inverse})
        assert sp.Poly(formula, n, alpha, inverse).degree(n) == 1


def test_stages_and_ends_are_the_whole() -> None:
    stages = [closed_form(PATHS, stage=stage) for stage in (0, 1, 2)]
    ends = closed_form(PATHS) - stages[0] - stages[1] - stages[2]
    assert sp.expand(ends.macs) == 9 * 3 * 16 * 32 * 32 + 64 * 10
    assert sp.expand(ends.params) == 9 * 3 * 16 + 2 * 16 + 64 * 10 + 10


def test_all_quantities_of_a_cost_are_there() -> None:
    form = closed_form(PATHS, between="bn_relu")
    absent = ["softmax_ops", "reduction_ops", "elementwise_ops"]  # these networks have no such operators
    assert [name for name in QUANTITIES if getattr(form, name) == 0] == absent
    assert closed_form().formula("calls") == str(sp.factor(closed_form().calls))


@pytest.mark.parametrize("depth", [8, 14, 56])
def test_numbers_pass_through_the_same_door(depth: int) -> None:
    net = resnet(depth, alpha="1/4", paths=["LH"])
    assert network_cost(net.backbone, net, net.backbone.n) == cost_of(net.operators())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "exact"}, r"form must be one of channels, floors, whole, got exact"),
        ({"branches": "LH"}, r"branches must be one of HL, H, L, got LH"),
        ({"branches": ["H", "L"]}, r"branches must be one value or 3, one per stage; got 2"),
        ({"width_rule": "max"}, r"width rule must be one of out, in, min, mean, got max"),
        ({"paths": ["XX"]}, r"path must be one of HH, HL, LH, LL, got XX"),
        ({"stage": 3}, r"stage must be one of 0, 1, 2, got 3"),
        ({"stride_rule": "D"}, r"stride rule must be one of A, B, C, got D"),
        ({"between": "gelu"}, r"between must be one of none, bn, bn_relu, got gelu"),
    ],
)
def test_bad_choices_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        closed_form(**options)


def test_counting_networks_does_not_load_it() -> None:
    """The calculator starts without the symbolic builder and without NumPy."""
    check = (
        "import sys, cli, costmodel.tables.layer, costmodel.tables.network; "
        "print({'numpy', 'torch', 'costmodel.networks.closed_form', 'costmodel.grids.compiled'}"
        " & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
