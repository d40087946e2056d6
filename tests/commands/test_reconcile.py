from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from costmodel.reconcile import asking, installed, rules
from costmodel.reconcile.exporting import as_file

Run = Callable[..., Any]


def test_counters_that_are_run_agree_with_their_rules(pwoct_cost: Run) -> None:
    ran = pwoct_cost("reconcile", "resnet8", "--counter", "torch", "--run", "--format", "json")
    (row,) = json.loads(ran.out)["counters"]
    assert ran.code == 0
    assert row["actual"] == row["total"] == 2 * json.loads(ran.out)["macs"]


def test_terms_are_shown_by_module(pwoct_cost: Run) -> None:
    ran = pwoct_cost("reconcile", "resnet8", "--counter", "fvcore", "--per-layer", "--format", "json")
    rows = json.loads(ran.out)["layers"]
    (total,) = json.loads(ran.out)["counters"]
    assert sum(row["amount"] for row in rows) == total["difference"] > 0


def test_an_unknown_counter_is_named(pwoct_cost: Run) -> None:
    ran = pwoct_cost("reconcile", "resnet8", "--counter", "abacus")
    assert ran.code == 2
    assert "got abacus" in ran.err


def test_one_reading_gives_a_count_and_the_parameters_beside_it(pwoct_cost: Run) -> None:
    ran = pwoct_cost("reconcile", "resnet20", "--claim", "40.81M", "--claim-params", "0.27M")
    assert "the simplest reading is our MACs: MACs. Of" in " ".join(ran.out.split())


@pytest.mark.parametrize(
    "claim", [("--claim", "4.09"), ("--claim", "0.0004k"), ("--claim", "40.81M", "--claim-params", "0.27")]
)
def test_a_count_with_decimals_has_a_prefix(pwoct_cost: Run, claim: tuple[str, ...]) -> None:
    ran = pwoct_cost("reconcile", "resnet20", *claim)
    assert ran.code == 2
    assert f"needs a prefix, as in 4.12G or 300.5M, got {claim[-1]}\n" in ran.err


def test_what_all_readings_share_is_no_column(pwoct_cost: Run) -> None:
    """The claim and the input, unless there are several; whether digits agree, unless they do not."""
    header = pwoct_cost("reconcile", "resnet20", "--claim", "41.3M").out.splitlines()[2]
    assert header.split() == ["count", "steps", "reading"]
    header = pwoct_cost("reconcile", "resnet20", "--claim", "41.3M", "--claim", "40.81M").out.splitlines()[2]
    assert header.split() == ["claim", "count", "steps", "reading"]
    ran = pwoct_cost("reconcile", "resnet20", "--claim", "40.0001M")
    assert "digits" in ran.out.splitlines()[2] or "digits" in ran.out.splitlines()[3]


def test_parameters_of_a_hundred_classes_decide_for_them(pwoct_cost: Run) -> None:
    """65 weights and biases per class: 90 classes more are 5,760 MACs and 5,850 parameters more."""
    asks = ("--claim", "40.82M", "--claim-params", "0.2781M", "--format", "json")
    first = json.loads(pwoct_cost("reconcile", "resnet20", *asks).out)["readings"][0]
    assert (first["value"], first["params"]) == (40_813_184 + 64 * 90, 272_282 + 65 * 90)
    assert first["reading"] == "our MACs, 100 classes: MACs"


def test_a_file_of_claims(pwoct_cost: Run, tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text("model,claim,unit,source\nresnet20,81.63M,FLOPs,a table\nnosuch:net,1G,,\n")
    ran = pwoct_cost("reconcile", "--claims", str(path), "--format", "json")
    found = json.loads(ran.out)
    assert (found["rows"], found["explained"]) == (2, 1)
    assert [row["value"] for row in found["claims"]] == [81_626_368, None]
    assert "can't import nosuch" in ran.err


def test_a_file_says_how_many_claims_of_a_source_a_convention_gives(pwoct_cost: Run, tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text("model,claim,source\nresnet20,41M,a table\nresnet20,41.2M,a table\nresnet20,41M,\n")
    rows = json.loads(pwoct_cost("reconcile", "--claims", str(path), "--format", "json").out)["claims"]
    assert [row["agreeing"] for row in rows] == [2, 2, None]
    assert rows[0]["reading"] == rows[1]["reading"] != rows[2]["reading"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("model\nresnet20\n", "lacks claim"), ("model,claim\nresnet20,four\n", "line 2: a claim is a number")],
)
def test_a_file_that_holds_no_claims_is_refused(
    pwoct_cost: Run, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(text)
    ran = pwoct_cost("reconcile", "--claims", str(path))
    assert ran.code == 2
    assert said in ran.err


def test_a_sentence_says_what_is_counted(pwoct_cost: Run) -> None:
    ran = pwoct_cost("cost", "resnet20", "--cite")
    assert "40,813,184 multiply-accumulates (MACs) and has 272,282 parameters" in ran.out
    assert "Not counted: bn" in ran.out


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run counters in this process, where a test can plant something."""

    def ask(counter: str, networks: Sequence[Any], expected: Sequence[int], *_: Any) -> list[asking.Said]:
        return [asking._said(counter, *pair) for pair in zip(networks, expected, strict=True)]

    monkeypatch.setattr(asking, "ask", ask)


@pytest.mark.usefixtures("in_process")
def test_a_wrong_rule_is_exit_code_1_and_names_module_and_operator(
    pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = rules.counters()["torch"]
    key = ("aten", "convolution")
    wrong = {**right.by_name, key: tuple(replace(one, price="n(y)") for one in right.by_name[key])}
    monkeypatch.setattr(rules, "counters", lambda: {"torch": replace(right, by_name=wrong)})
    ran = pwoct_cost("reconcile", "resnet8", "--counter", "torch", "--run")
    assert ran.code == 1
    assert f"in stem, Conv2d, it reports {2 * 16 * 3 * 9 * 32 * 32:,}, the rules {16 * 32 * 32:,}" in ran.err
    assert "operators: convolution" in ran.err


CONVOLUTIONS = (
    ("aten", "convolution"), ("call", "conv2d"), ("function", "conv2d"), ("module", "Conv2d"),
    ("module", "_ConvNd"), ("module", "leaf"), ("node", "Conv"),
)  # fmt: skip
PLAIN = f"{Path(__file__).parents[1] / 'costmodel/reconcile/networks.py'}:build('plain')"


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("name", [name for name in rules.ORDER if "calflops" not in name])  # it patches torch
def test_a_planted_rule_of_any_counter_names_module_and_operator(
    pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    right = rules.counters()[name]
    if installed.installed_version(name, right.package) is None:
        pytest.skip(f"{name} is not installed")
    planted = {key for key in CONVOLUTIONS if key in right.by_name}
    wrong = {
        key: tuple(replace(one, price=f"({one.price}) + 100") if key in planted else one for one in found)
        for key, found in right.by_name.items()
    }
    monkeypatch.setattr(rules, "counters", lambda: {name: replace(right, by_name=wrong)})
    ran = pwoct_cost("reconcile", PLAIN, "--input", "2,3,12,12", "--counter", name, "--run")
    assert planted
    assert ran.code == 1
    assert f"{name} reports " in ran.err
    assert "in conv1, Conv2d, it reports" in ran.err
    assert "operators: convolution" in ran.err


@pytest.mark.usefixtures("in_process")
def test_a_counter_that_raises_is_named_and_exit_code_1(pwoct_cost: Run, tmp_path: Path) -> None:
    net = tmp_path / "net.py"
    net.write_text(
        "import torch\n"
        "class Net(torch.nn.Linear):\n"
        "    def forward(self, x):\n"
        "        if torch.jit.is_tracing(): raise RuntimeError('not to be traced')\n"
        "        return super().forward(x)\n"
    )
    ran = pwoct_cost("reconcile", f"{net}:Net(4, 4)", "--input", "1,4", "--counter", "fvcore", "--run")
    assert ran.code == 1
    assert "fvcore failed" in ran.err
    assert "not to be traced" in ran.err


@pytest.mark.usefixtures("in_process")
def test_a_counter_that_is_not_predicted_is_run_and_exit_code_1(
    pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = rules.counters()
    none = {
        **known["torch"].by_name,
        ("aten", "convolution"): (rules.PriceRule("aten", frozenset(), "fails('of old')", ""),),
    }
    monkeypatch.setattr(rules, "counters", lambda: {**known, "torch": replace(known["torch"], by_name=none)})
    why = "torch is not predicted for what this network does: of old"
    asked = ("reconcile", PLAIN, "--input", "2,3,12,12", "--counter", "torch,fvcore")
    ran = pwoct_cost(*asked, "--run", "--format", "json")
    assert ran.code == 1
    assert f"pwoct-cost: {why}; it reports " in ran.err
    assert [(row["counter"], row["actual"]) for row in json.loads(ran.out)["counters"]] == [
        ("fvcore", json.loads(ran.out)["counters"][0]["total"])
    ]
    ran = pwoct_cost(*asked)
    assert (ran.code, why in ran.err) == (0, True)  # nothing was run


def test_run_without_an_installed_counter_is_exit_code_3(
    pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed, "installed_version", lambda *_: None)
    ran = pwoct_cost("reconcile", "resnet8", "--counter", "torchinfo", "--run")
    assert ran.code == 3
    assert "got torchinfo: install the extra counters (pip install '.[counters]')" in ran.err


def test_run_and_claim_are_two_questions(pwoct_cost: Run) -> None:
    ran = pwoct_cost("reconcile", "resnet8", "--run", "--claim", "12M")
    assert ran.code == 2
    assert "give one of them, got --run and --claim" in ran.err


def test_usual_sizes_are_tried_where_no_input_is_given(pwoct_cost: Run) -> None:
    ran = pwoct_cost("reconcile", "torch.nn:Conv2d(3,8,3)", "--claim", "13.935456M", "--format", "json")
    first = json.loads(ran.out)["readings"][0]
    assert (first["input"], first["value"]) == ("1x3x256x256", 8 * 27 * 254 * 254)


@pytest.mark.usefixtures("in_process")
def test_a_counter_that_follows_a_trace_counts_an_onnx_file(pwoct_cost: Run, tmp_path: Path) -> None:
    """Nodes are called "/0/Conv": a trace splits its scopes at "/", and sizes must be tuples for patches."""
    pytest.importorskip("onnx")
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2))
    path = tmp_path / "net.onnx"
    as_file(model, [torch.zeros(1, 3, 10, 10)], {}, path)
    ran = pwoct_cost("reconcile", str(path), "--counter", "fvcore", "--run", "--format", "json")
    assert ran.code == 0, ran.err
    (row,) = json.loads(ran.out)["counters"]
    assert row["actual"] == row["total"] == 4 * 27 * 64
