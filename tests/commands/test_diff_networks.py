"""`pwoct-cost diff` of networks of one's own: layers of one path beside each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

NETS = """
from torch import nn

def small():
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1))

def wide():
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 16, 1), nn.Conv2d(16, 2, 1))
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)


DIFF = ("diff", "nets.py:small", "nets.py:wide", "--input", "1,3,4,5")


def test_layers_that_changed_or_stand_on_one_side(pwoct_cost: Run) -> None:
    result = pwoct_cost(*DIFF, "--format", "json").json
    rows = {row["layer"]: row for row in result["diff"]}
    assert list(rows) == ["2", "3"]
    assert (rows["2"]["params_a"], rows["2"]["params_b"]) == (72, 144)
    assert rows["2"]["work_difference"] == 64 * 20
    assert rows["2"]["what"] == "1x8x4x5 → 1x16x4x5"
    assert (rows["3"]["work_a"], rows["3"]["work_b"], rows["3"]["what"]) == (None, 32 * 20, "only in B")
    assert result["diff_total"]["work_difference"] == (64 + 32) * 20
    totals = {row["quantity"]: (row["a"], row["b"]) for row in result["totals"]}
    assert totals == {"parameters": (32 + 72, 32 + 144 + 34), "MACs": (88 * 20, 184 * 20)}


def test_all_layers_in_another_unit(pwoct_cost: Run) -> None:
    rows = pwoct_cost(*DIFF, "--all", "--unit", "flop", "--format", "json").json["diff"]
    assert [(row["layer"], row["work_a"]) for row in rows[:2]] == [("0", 2 * 24 * 20), ("2", 2 * 64 * 20)]


def test_a_prefix_stands_where_numbers_are_in_that_unit(pwoct_cost: Run) -> None:
    lines = pwoct_cost(*DIFF, "--unit", "kmac").out.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("MACs")] == [["MACs", "1,760"]]
    assert any("kMACs B-A" in line for line in lines)
    assert any(line.split()[:3] == ["sum", "106", "1.920"] for line in lines)


def test_a_built_in_network_stands_beside_its_own_module(pwoct_cost: Run) -> None:
    ran = pwoct_cost("diff", "resnet8", "resnet8(alpha=0)", "--input", "1,3,32,32")
    assert (ran.code, max(map(len, ran.out.splitlines())) <= 80) == (0, True)
    assert "0 layers" in ran.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("diff", "nets.py:small", "nets.py:wide"), "nets.py:small needs an input"),
        ((*DIFF, "--quantity", "calls"), "--quantity cannot be used with networks of your own"),
        (("diff", "resnet8", "resnet20", "--input", "1,3,8,8"), "--input needs networks of your own"),
    ],
)
def test_what_does_not_go_together_is_refused(pwoct_cost: Run, arguments: Any, message: str) -> None:
    ran = pwoct_cost(*arguments)
    assert ran.code == 2
    assert message in ran.err
