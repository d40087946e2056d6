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


CHAIN = """
from torch import nn

def chain(middle=None):
    return nn.Sequential(nn.Conv2d(3, 8, 1), middle or nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 2, 1))

def separable():
    return chain(nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 8, 1)))

def deep(layers):
    return chain(nn.Sequential(*(nn.Sequential(nn.Conv2d(8, 8, 1)) for _ in range(layers))))
"""


def test_a_layer_stands_beside_the_layers_that_replace_it(tmp_path: Path, pwoct_cost: Run) -> None:
    (tmp_path / "chains.py").write_text(CHAIN)
    asked = ("--input", "1,3,4,5", "--format", "json")

    def differing(a: str, b: str) -> list[Any]:
        keys = ("layer", "params_a", "params_b", "work_difference", "what")
        rows = pwoct_cost("diff", f"chains.py:{a}", f"chains.py:{b}", *asked).json["diff"]
        return [tuple(row[key] for key in keys) for row in rows]

    whole, parts = 9 * 64 + 8, (9 * 8 + 8) + (64 + 8)
    saved = (9 * 64 - 9 * 8 - 64) * 20
    assert differing("chain", "separable") == [("1", whole, parts, -saved, "Conv2d → 0, 1")]
    assert differing("separable", "chain") == [("1", parts, whole, saved, "0, 1 → Conv2d")]
    assert differing("chain", "deep(4)") == [
        ("1", whole, 4 * 72, -5 * 64 * 20, "Conv2d → 0.0, 1.0, 2.0, 3.0")
    ]
    assert differing("chain", "deep(5)") == [("1", whole, 5 * 72, -4 * 64 * 20, "Conv2d → 5 layers")]


def test_layers_inside_of_one_that_both_networks_divide_stand_alone(tmp_path: Path, pwoct_cost: Run) -> None:
    (tmp_path / "chains.py").write_text(CHAIN)
    result = pwoct_cost(
        "diff", "chains.py:separable", "chains.py:deep(3)", "--input", "1,3,4,5", "--format", "json"
    )
    rows = {row["layer"]: row["what"] for row in result.json["diff"]}
    assert rows == {"1.0": "Conv2d → 0", "1.1": "Conv2d → 0", "1.2.0": "only in B"}


def test_the_layers_of_a_converted_network_stand_beside_the_original(pwoct_cost: Run) -> None:
    converted = "convert(resnet8, alpha=1/4, paths='LL')"
    result = pwoct_cost("diff", "resnet8", converted, "--input", "1,3,32,32", "--format", "json").json
    what = {row["layer"]: row["what"] for row in result["diff"]}
    assert what["stages.0.0.conv1"] == "Conv2d → hh, hl"
    assert what["stages.1.0.conv1"].startswith("Conv2d → ")
    assert not [layer for layer, text in what.items() if text.startswith("only in")]


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
