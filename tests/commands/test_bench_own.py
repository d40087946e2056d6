"""`pwoct-cost bench` of a network of one's own: its work is a written product; no time is tested."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costmodel.speed.any_network import CallWork, roofline
from costmodel.speed.roofline import Machine

Run = Callable[..., Any]

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 5)
    def forward(self, x, scale=None):
        return {"scores": self.fc(self.conv(x).mean((2, 3)))}

class Frozen(nn.Module):
    def forward(self, x):
        return x + 1

class Distances(nn.Linear):
    def __init__(self):
        super().__init__(4, 4)
    def forward(self, x):
        return torch.cdist(super().forward(x), x)

class Double(nn.Linear):
    def __init__(self):
        super().__init__(3, 3, dtype=torch.float64)

class Scores:
    def __init__(self, scores):
        self.scores = scores

class Object(nn.Linear):
    def __init__(self):
        super().__init__(4, 3)
    def forward(self, x):
        return Scores(super().forward(x))

def huge():
    return nn.Linear(10**6, 10**6)
"""
CONV, FC = 27 * 8 * 36, 8 * 5  # MACs of one image of 6x6
QUICK = ("--threads", "1", "--quick", "--format", "json")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)


def test_time_stands_beside_the_work_of_each_mode(pwoct_cost: Run) -> None:
    result = pwoct_cost("bench", "net.py:Net", "--input", "1,3,6,6", "--batch", "2", *QUICK).json
    assert result["inputs"] == ["2x3x6x6"]
    inference, training = result["network"]
    assert (inference["mode"], inference["macs"]) == ("inference", 2 * (CONV + FC))
    # The first layer needs no gradient of its input.
    assert (training["mode"], training["macs"]) == ("training", 2 * (2 * CONV + 3 * FC))
    assert training["bytes"] > inference["bytes"]
    for row in result["network"]:
        assert row["share"] == pytest.approx(row["roofline_milliseconds"] / row["milliseconds"])
        assert row["rate"] == pytest.approx(row["macs"] / row["milliseconds"] / 1e6)


def test_one_mode_alone_is_timed(pwoct_cost: Run) -> None:
    ran = pwoct_cost("bench", "net.py:Frozen", "--input", "4", "--mode", "inference", *QUICK)
    assert [row["mode"] for row in ran.json["network"]] == ["inference"]


def test_outputs_may_be_held_by_an_object(pwoct_cost: Run) -> None:
    ran = pwoct_cost("bench", "net.py:Object", "--input", "2,4", "--mode", "training", *QUICK)
    assert [row["macs"] for row in ran.json["network"]] == [2 * 2 * 12]  # forward, and of the weights


@pytest.mark.parametrize(("mode", "lacking"), [("inference", 0), ("training", 1), ("both", 1)])
def test_a_gradient_without_a_formula_is_remarked(pwoct_cost: Run, mode: str, lacking: int) -> None:
    ran = pwoct_cost("bench", "net.py:Distances", "--input", "3,4", "--mode", mode, *QUICK[:-2])
    assert ran.code == 0, ran.err
    assert ran.out.count("Not covered, so their MACs are not included: 1 call.") == lacking


def test_each_operator_is_bound_by_what_takes_longer() -> None:
    found = roofline(
        [CallWork(300, 10), CallWork(100, 50), CallWork(0, 5)],
        Machine({"float32": 100.0}, 10.0, 1.0),
        "float32",
    )
    assert (found.arithmetic, found.traffic, found.seconds) == (3.0, 5.5, 8.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["net.py:Net"], "net.py:Net needs an input: --input 1,3,224,224"),
        (["net.py:Net", "--input", "1,3,6,6", "--alpha", "1/4"], "--alpha applies to built-in networks"),
        (["resnet8", "--input", "1,3,6,6"], "--input needs a network of your own; got resnet8"),
        (["net.py:Double", "--input", "1,3:float64"], "ceilings are measured in float32 and bfloat16;"),
        (["net.py:huge", "--input", "1,1000000"], "timing net.py:huge, which needs its weights, would need"),
        (["net.py:Net", "--input", "1,3,6,6", "--input", "scale=2", "--batch", "3"], "--batch replaces"),
        (["net.py:Frozen", "--input", "4", "--mode", "training"], "a training step needs an output"),
        (["net.py:Net", "--mode", "sleep"], "mode must be one of inference, training, both, got sleep"),
        (["net.py:Net", "--input", "1,4,6,6"], "conv fails in aten.convolution: Runtime"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_what_cannot_be_timed_is_one_line(pwoct_cost: Run, arguments: list[str], message: str) -> None:
    ran = pwoct_cost("bench", *arguments, "--quick", "--threads", "1")
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err.splitlines()[-1]
