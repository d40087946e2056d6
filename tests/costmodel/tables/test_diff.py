"""Differences layer by layer, counted by hand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from costmodel.networks.resnet import resnet
from costmodel.operators.recorder import cost_of
from costmodel.report import Table
from costmodel.tables.diff import diff_table, marked, narrow
from costmodel.tables.measured import Measured


def by_layer(table: Table) -> dict[str, Any]:
    return {row["layer"]: row for row in table.lines}


def test_equal_networks_have_nothing_but_a_sum() -> None:
    table = diff_table(resnet(20, alpha="1/4"), resnet(20, alpha="0.25"))
    assert not table.rows
    total = table.total
    assert (total["layer"], total["params_a"], total["params_difference"], total["what"]) == (
        "sum",
        272_282,
        0,
        "0 layers",
    )


def test_a_path_that_becomes_a_bottleneck() -> None:
    """Base width 16, alpha 1/4: HH is 12 -> 12, at beta 2 a bottleneck of width 6."""
    a, b = resnet(14, alpha="1/4"), resnet(14, alpha="1/4", paths=["HH"])
    row = by_layer(diff_table(a, b))["stages.0.0.conv2"]
    plain, bottleneck = 9 * 12 * 12, 12 * 6 + 9 * 6 * 6 + 6 * 12
    assert row["what"] == "compressed HH"
    assert row["params_difference"] == bottleneck - plain
    assert row["macs_difference"] == (bottleneck - plain) * 32 * 32
    assert row["params_a"] == 9 * 16 * 16
    assert row["params_b"] == 9 * 16 * 16 - plain + bottleneck
    assert row["params_change"] == Fraction(bottleneck - plain, 9 * 16 * 16)
    back = by_layer(diff_table(b, a))["stages.0.0.conv2"]
    assert (back["what"], back["params_difference"]) == ("uncompressed HH", plain - bottleneck)


def test_only_what_differs_is_shown() -> None:
    """First, last, stem, head, shortcuts and BN are the same; so is the alpha-0 stage, which has no LL."""
    net = {"alpha": ["0", "1/4", "1/4"]}
    rows = by_layer(diff_table(resnet(14, **net), resnet(14, **net, paths=["LL"])))
    assert list(rows) == [
        *("stages.1.0.conv2", "stages.1.1.conv1", "stages.1.1.conv2"),
        *("stages.2.0.conv1", "stages.2.0.conv2", "stages.2.1.conv1"),
        "sum",
    ]
    assert rows["sum"]["what"] == "6 layers"


def test_branches_that_come_and_go() -> None:
    rows = by_layer(diff_table(resnet(14), resnet(14, alpha="1/4")))
    assert rows["stages.0.0.conv1"]["what"] == "added HL; resized HH"
    assert rows["stages.0.1.conv1"]["what"] == "added HL,LH,LL; resized HH"
    assert rows["stages.2.1.conv2"]["what"] == "added LH; resized HH"
    back = by_layer(diff_table(resnet(14, alpha="1/4"), resnet(14)))
    assert back["stages.0.1.conv1"]["what"] == "gone HL,LH,LL; resized HH"


def test_other_quantities_show_other_layers() -> None:
    """Two branches at alpha 1/2: BN normalises 8 channels at 32x32 and 8 at 16x16 instead of 16 at 32x32."""
    rows = by_layer(diff_table(resnet(14), resnet(14, alpha="1/2"), Measured(("element-ops",))))
    assert rows["stages.0.0.bn1"]["what"] == "branches"
    assert rows["stages.0.0.bn1"]["element-ops_a"] == 2 * 16 * 32 * 32
    assert rows["stages.0.0.bn1"]["element-ops_b"] == 2 * (8 * 32 * 32 + 8 * 16 * 16)


def test_layers_of_one_network_alone() -> None:
    """The third block of a stage exists in ResNet-20 alone; layers stay in the order in which they run."""
    small, large = resnet(14), resnet(20)
    table = diff_table(small, large)
    rows = by_layer(table)
    assert [layer for layer in rows if "conv1" in layer] == [f"stages.{s}.2.conv1" for s in range(3)]
    assert rows["stages.1.2.conv1"]["what"] == "only in B"
    assert rows["stages.1.2.conv1"]["params_a"] is None
    assert rows["stages.1.2.conv1"]["params_difference"] == 9 * 32 * 32
    # A block of c channels: two 3x3 convolutions, two BNs of scale and shift.
    assert table.total["params_difference"] == sum(2 * 9 * c * c + 2 * 2 * c for c in (16, 32, 64))
    assert by_layer(diff_table(large, small))["stages.1.2.conv1"]["what"] == "only in A"


def test_all_layers_on_request() -> None:
    a, b = resnet(14, alpha="1/4"), resnet(14, alpha="1/4", paths=["LL"])
    everything = by_layer(diff_table(a, b, unchanged=True))
    assert everything["stem"]["what"] == ""
    assert everything["stem"]["macs_difference"] == 0
    assert next(iter(everything)) == "stem"
    assert list(everything)[-2:] == ["fc", "sum"]


@pytest.mark.parametrize("quantity", ["params", "macs", "bytes", "calls"])
def test_rows_add_up_to_the_sum(quantity: str) -> None:
    a, b = resnet(14, alpha="1/3", paths=["HL"]), resnet(26, alpha=["1/4", "1/2", 1], width=20)
    table = diff_table(a, b, Measured((quantity,)))
    total = table.total
    assert sum(row[f"{quantity}_difference"] for row in table.rows) == total[f"{quantity}_difference"]
    if quantity == "params":
        assert total["params_difference"] == cost_of(b.operators()).params - cost_of(a.operators()).params


def test_marks_for_narrow_tables() -> None:
    assert marked("added HL,LH; gone LL; compressed HH") == "+HL,LH -LL *HH"
    assert marked("uncompressed HH; resized LL") == "/HH ~LL"
    table = narrow(diff_table(resnet(14), resnet(14, alpha="1/4")))
    assert [column.heading for column in table.columns] == [
        *("layer", "params", "change", "MACs", "change", "what changed"),
    ]
    assert (table.rows[0]["layer"], table.rows[0]["what"]) == ("0.0.conv1", "+HL ~HH")


def test_an_unknown_quantity_is_refused() -> None:
    with pytest.raises(ValueError, match="quantity must be one of params"):
        diff_table(resnet(14), resnet(14), Measured(("speed",)))
