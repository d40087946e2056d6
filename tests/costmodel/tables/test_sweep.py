"""The sweep: rows, their order, and numbers known by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from costmodel.search.space import space
from costmodel.tables.measured import Measured
from costmodel.tables.sweep import sweep_table


def test_rows_are_path_sets_then_betas_then_alphas() -> None:
    table = sweep_table(space(alphas=["1/4", 0], betas=[4, 2], path_sets=[("LL",), ()]))
    order = [(row["paths"], row["beta"], row["alpha"]) for row in table.rows]
    quarter, nothing = Fraction(1, 4), Fraction(0)
    assert order == [
        ("none", None, quarter),
        ("none", None, nothing),
        ("LL", 4, quarter),
        ("LL", 4, nothing),
        ("LL", 2, quarter),
        ("LL", 2, nothing),
    ]


def test_known_counts_and_changes() -> None:
    """ResNet-56: plain 855,578 / 125,747,840; alpha 1/4 with all paths but HH 696,150 / 79,309,440."""
    table = sweep_table(space(alphas=[0, "1/4"], path_sets=[("HL", "LH", "LL")]))
    plain, compressed = table.rows
    assert (plain["params"], plain["macs"]) == (855_578, 125_747_840)
    assert plain["params_vs_plain"] == 0
    assert (compressed["params"], compressed["macs"]) == (696_150, 79_309_440)
    assert compressed["macs_vs_plain"] == Fraction(79_309_440, 125_747_840) - 1


@pytest.mark.parametrize("rule", ["A", "B"])
def test_alpha_0_is_the_plain_network_under_every_stride_rule(rule: str) -> None:
    """Octave convolutions would pool before strides; the plain network has one pool, the global one."""
    row = sweep_table(space([20], [0], path_sets=[()], stride_rule=rule), Measured(("calls",))).rows[0]
    blocks = 9 * 7 + 2  # conv, BN, ReLU, conv, BN, add, ReLU; two shortcut convolutions
    assert row["calls"] == 3 + blocks + 2


def test_refuses_spaces_that_are_no_sweep() -> None:
    for several in (space([20, 56]), space(per_stage=True), space(width_rules=["out", "in"])):
        with pytest.raises(ValueError, match="one depth, one width rule, and stages that agree"):
            sweep_table(several)
    with pytest.raises(ValueError, match="quantity must be one of"):
        sweep_table(space(), Measured(("speed",)))
