from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest

from costmodel.operators.recorder import cost_of
from costmodel.paper.counting import BUILT, Counting, Reading
from costmodel.paper.inventory import KINDS, Build, NetworkVariant, inventory
from costmodel.paper.printed import Paper

ALL = frozenset(("HH", "HL", "LH", "LL"))
QUARTER = Fraction(1, 4)


def regular_layers(n: int) -> int:
    """The sum of c² over the convolutions inside stages that may be compressed: 2n a stage, but for three."""
    return (2 * n - 1) * 16**2 + (2 * n - 1) * 32**2 + (2 * n - 2) * 64**2


def test_a_plain_network_by_hand() -> None:
    there = inventory(NetworkVariant(9, Fraction(0), frozenset()), Build()).params
    kernels = 9 * (16 * 16 + regular_layers(9) + 16 * 32 + 32 * 64 + 64 * 64)
    outputs = 18 * (16 + 32 + 64)
    assert {kind: there[kind] for kind in KINDS if there.get(kind)} == {
        "stem": 9 * 3 * 16,
        "stem_bias": 16,
        "plain": kernels,
        "bias_plain": outputs,
        "shortcut_plain": 16 * 32 + 32 * 64,
        "shortcut_bias_plain": 32 + 64,
        "head": 640,
        "head_bias": 10,
        "bn": 16 + outputs,
    }


def test_bottlenecks_on_all_paths_by_hand() -> None:
    # alpha 1/4, beta 2: m is 3c/8 into the high branch and c/8 into the low one, on two paths each.
    there = inventory(NetworkVariant(9, QUARTER, ALL), Build()).params
    at_changes = 32**2 + 64**2
    assert there["spatial"] * 64 == 9 * 2 * (3**2 + 1) * (regular_layers(9) + at_changes)
    assert there["expand"] * 32 == 2 * (3 * 3 + 1) * (regular_layers(9) + at_changes)
    # The first 1x1 convolutions read c_H + c_L = c_in for either branch: c_in (3c/8 + c/8).
    assert there["reduce"] * 2 == regular_layers(9) + 16 * 32 + 32 * 64
    assert there["plain"] == 9 * (16 * 16 + 64 * 64)  # the first and the last


def test_biases_of_octave_layers_by_hand() -> None:
    there = inventory(NetworkVariant(9, QUARTER, ALL), Build()).params
    outputs, regular = 18 * (16 + 32 + 64), 18 * (16 + 32 + 64) - 16 - 64
    assert there["bias_branch"] == outputs
    assert there["bias_path"] == 2 * regular + 16 + 2 * 64  # one path into each branch of the first layer
    assert there["bias_inner"] == 2 * regular  # two widths m a path, which add up to c on all four
    assert "bias_plain" not in there


@pytest.mark.parametrize("key", ["1.1", "1.2", "1.3", "2.3", "3.4", "4.4"])
def test_the_default_build_is_the_network_of_the_cost_model(paper: Paper, key: str) -> None:
    row = paper.by_key[key]
    cost = cost_of(row.network().operators())
    assert BUILT.count(row, "params") == cost.params
    assert BUILT.count(row, "macs") == cost.macs


def test_the_stride_on_the_kxk_kernel_by_hand() -> None:
    late, early = (
        inventory(NetworkVariant(9, QUARTER, ALL), Build(stride=stride)).macs for stride in ("C-spatial", "C")
    )
    # At stage changes the first 1x1 then runs at the input's resolution, which has 4 times the positions.
    # High branch and low one (HL after its pooling): c_H m_H at h x w, the other three at a quarter of that.
    at_output = 0
    for c_in, c_out, size in ((16, 32, 16), (32, 64, 8)):
        high, low = 3 * c_in // 4, c_in // 4
        m_high, m_low = 3 * c_out // 8, c_out // 8
        at_output += (high * m_high + (high * m_low + low * m_high + low * m_low) // 4) * size**2
    assert late["reduce"] - early["reduce"] == 3 * at_output
    assert {**late, "reduce": 0} == {**early, "reduce": 0}


def test_a_plain_shortcut_costs_its_kernels_at_full_resolution() -> None:
    there = inventory(NetworkVariant(9, QUARTER, ALL), Build(shortcut="plain"))
    assert there.params["shortcut_plain"] == 16 * 32 + 32 * 64
    assert there.macs["shortcut_plain"] == 16 * 32 * 16**2 + 32 * 64 * 8**2
    octave = inventory(NetworkVariant(9, QUARTER, ALL), Build())
    ratio = 1 - Fraction(3, 4) * QUARTER * (2 - QUARTER)
    assert octave.macs["shortcut_plain"] == ratio * there.macs["shortcut_plain"]


def test_compressing_a_layer_changes_that_layer_alone() -> None:
    subject, kinds = NetworkVariant(9, QUARTER, ALL), ("plain", "reduce", "spatial", "expand")
    base = inventory(subject, Build()).params
    first = inventory(subject, Build(compress_first=True)).params
    # 16 high channels to 12 high and 4 low: widths 6 and 2.
    change = {kind: first[kind] - base[kind] for kind in kinds}
    assert change == {
        "plain": -9 * 16 * 16,
        "reduce": 16 * 8,
        "spatial": 9 * (36 + 4),
        "expand": 6 * 12 + 2 * 4,
    }


def test_end_shortcuts_add_two_1x1_layers() -> None:
    subject = NetworkVariant(9, QUARTER, ALL)
    base, more = (inventory(subject, Build(end_shortcut=kind)).params for kind in ("free", "octave"))
    assert more["shortcut_plain"] - base["shortcut_plain"] == 16 * 16 + 64 * 64


def test_alike_networks_count_alike_under_every_build() -> None:
    """HH at 1/4 and LL at 3/4 mirror each other in parameters, whatever else is built."""
    counting = Counting(bn=4, octave_bias="path", head_bias=True)
    for rule, shortcut, first in product(
        ("out", "in", "min", "mean"), ("octave", "bottleneck"), (True, False)
    ):
        reading = Reading(Build(width_rule=rule, shortcut=shortcut), counting, Counting())
        one = reading.params.of(
            inventory(NetworkVariant(9, QUARTER, frozenset({"HH"})), reading.build).params
        )
        other = reading.params.of(
            inventory(NetworkVariant(9, 3 * QUARTER, frozenset({"LL"})), reading.build).params
        )
        assert one == other, (rule, shortcut, first)


def test_inventories_that_were_handed_out_do_not_change() -> None:
    subject = NetworkVariant(3, QUARTER, ALL)
    first = inventory(subject, Build())
    inventory(subject, replace(Build(), compress_last=True))
    assert inventory(subject, Build()) == first
