from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from costmodel.convention import Cost
from costmodel.paper import inventory
from costmodel.paper.cells import (
    BOTTLENECK,
    PLAIN,
    Count,
    built_cost,
    cell_table,
    cells,
    counted_table,
    described,
    layer_table,
)
from costmodel.paper.counting import PRINTED
from costmodel.paper.printed import Paper


def matching(paper: Paper, reading: Any = PRINTED) -> dict[str, int]:
    found = cells(paper, reading)
    return {
        quantity: sum(cell.matches for cell in found if cell.quantity == quantity)
        for quantity in ("params", "macs")
    }


def test_all_printed_counts_follow(paper: Paper) -> None:
    assert matching(paper) == {"params": 24, "macs": 16}


def test_cells_say_all_four_values(paper: Paper) -> None:
    cell = next(cell for cell in cells(paper) if cell.row.key == "1.3")
    assert described(cell) == {
        "table": 1,
        "row": 3,
        "depth": 56,
        "kind": "Pwise",
        "alpha": "1/4",
        "paths": ["HH", "HL", "LH", "LL"],
        "quantity": "params",
        "unit": 1_000_000,
        "printed": "0.31",
        "reading": 310_874,
        "matches": True,
        "with_pointwise": 413_562,
        "built": 409_482,
    }


def test_with_all_kernels_no_network_with_bottlenecks_follows(paper: Paper) -> None:
    found = [cell for cell in cells(paper, PRINTED.with_pointwise()) if cell.quantity == "params"]
    assert [cell.row.key for cell in found if cell.matches] == ["1.1", "1.2", "1.4", "4.1", "4.2", "4.5"]


def test_the_table_counts_what_follows(paper: Paper) -> None:
    wrong = replace(PRINTED, params=replace(PRINTED.params, bn=0))
    table = cell_table(cells(paper, wrong), "params")
    followers = sum(row["matches"] for row in table.rows)
    assert followers < 24
    assert f"{followers} of 24 printed cells follow" in table.title


@pytest.fixture
def fresh_inventories() -> Iterator[None]:
    """Forget inventories of layers before and after a formula is broken."""
    inventory._inventory.cache_clear()
    yield
    inventory._inventory.cache_clear()


@pytest.mark.usefixtures("fresh_inventories")
def test_a_wrong_formula_is_noticed(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    from costmodel.operators import recorder

    right = recorder.convolution

    def forgets_the_kernel_height(c_in: Any, c_out: Any, kernel: Any, *rest: Any, **options: Any) -> Cost:
        return right(c_in, c_out, (1, kernel[1]), *rest, **options)

    monkeypatch.setattr(recorder, "convolution", forgets_the_kernel_height)
    followers = matching(paper)
    assert followers["params"] <= 2
    assert followers["macs"] <= 2


@pytest.mark.usefixtures("fresh_inventories")
def test_a_forgotten_stride_is_noticed(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    from costmodel.operators import recorder

    right = recorder.convolution

    def forgets_the_stride(*sizes: Any, stride: Any, **options: Any) -> Cost:
        return right(*sizes, stride=1, **options)

    monkeypatch.setattr(recorder, "convolution", forgets_the_stride)
    followers = matching(paper)
    assert followers["params"] == 24
    assert followers["macs"] <= 8


@pytest.mark.parametrize(
    ("wrong", "most"),
    [
        ({"compress_last": True}, 38),
        ({"compress_change": False}, 38),
        ({"compress_first": True}, 39),
        ({"width_rule": "in"}, 38),
        ({"stride": "A"}, 39),
        ({"shortcut": "bottleneck"}, 39),
    ],
)
def test_a_wrong_network_is_noticed(paper: Paper, wrong: dict[str, Any], most: int) -> None:
    reading = replace(PRINTED, build=replace(PRINTED.build, **wrong))
    assert sum(matching(paper, reading).values()) <= most


def test_a_network_that_counts_otherwise_is_noticed(paper: Paper) -> None:
    counts = {row.key: Count(built_cost(row).params, built_cost(row).macs) for row in paper.rows}
    right = counted_table(paper, counts)
    assert all(row["equal"] for row in right.rows)
    counts["3.1"] = counts["3.1"]._replace(macs=counts["3.1"].macs + 1)
    wrong = counted_table(paper, counts)
    assert [row["row"] for row in wrong.rows if not row["equal"]] == ["3.1"]


def test_a_layer_that_counts_otherwise_is_noticed() -> None:
    plain, bottleneck = 9 * 16 * 16, 16 * 8 + 9 * 8 * 8 + 8 * 16
    counts = {PLAIN: Count(plain, plain * 32 * 32), BOTTLENECK: Count(bottleneck, bottleneck * 32 * 32 - 1)}
    assert [row["equal"] for row in layer_table(counts).rows] == [True, False]
