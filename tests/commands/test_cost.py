"""`pwoct-cost cost`: the cost of any network; every number is a written product."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

NETS = """
import torch
from torch import nn
from torch.nn import functional as F

print("a greeting of the module")

class Net(nn.Module):
    '''Two convolutions, the second run twice, a frozen linear layer, one that never runs.'''
    def __init__(self, width=8):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.twice = nn.Conv2d(width, width, 1, bias=False)
        self.fc = nn.Linear(width, 5).requires_grad_(False)
        self.idle = nn.Linear(4, 4)

    def forward(self, x):
        x = self.stem(x)
        x = self.twice(self.twice(x))
        return self.fc(x.mean((2, 3)))

class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(11, 4), nn.Linear(4, 11, bias=False)
        self.head.weight = self.table.weight

    def forward(self, ids, *, mask):
        return self.head(self.table(ids) * mask[..., None])

class Spectral(nn.Module):
    def forward(self, x):
        return torch.fft.fft(x).real

def words(n=2):
    return {"ids": torch.zeros(n, 3, dtype=torch.long), "mask": torch.ones(n, 3)}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("nets")
    (path / "nets.py").write_text(NETS)
    return path


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.path", list(sys.path))


STEM, TWICE, FC = 9 * 3 * 8 * (6 * 5), 8 * 8 * (6 * 5), 8 * 5  # MACs of one image of 6x5
NET = ("cost", "nets.py:Net", "--input", "2,3,6,5")


def test_totals_are_exact_and_parameters_told_apart(pwoct_cost: Run) -> None:
    ran = pwoct_cost(*NET, "--format", "json")
    total = ran.json["total"]
    assert ran.code == 0
    assert total["macs"] == total["work"] == 2 * (STEM + 2 * TWICE + FC)
    assert total["params"] == (3 * 8 * 9 + 8) + 16 + 64 + 45 + 20
    assert (total["params_frozen"], total["params_trainable"]) == (45, total["params"] - 45)
    assert total["buffers"] == 8 + 8 + 1
    assert total["activations"] == 2 * (3 * 8 * 30 + 5)
    assert ran.json["covered"]
    assert ran.json["uncovered"] == []
    assert ran.json["inputs"] == ["2x3x6x5"]


def test_what_the_users_module_prints_goes_to_stderr(pwoct_cost: Run, tmp_path: Path) -> None:
    (tmp_path / "talks.py").write_text(NETS)
    ran = pwoct_cost("cost", f"{tmp_path}/talks.py:Net", "--input", "1,3,6,5", "--format", "json")
    assert ran.json["schema"] == 3
    assert "a greeting of the module" in ran.err


def test_the_terminal_shows_totals_and_the_most_expensive_layers_in_80_columns(pwoct_cost: Run) -> None:
    ran = pwoct_cost(*NET)
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "nets.py:Net, input 2x3x6x5"
    assert "The 3 layers of 7 with the most work" in lines
    (row,) = [line.split() for line in lines if line.startswith("stem.0 ")]
    share = 100 * STEM / (STEM + 2 * TWICE + FC)
    assert row == ["stem.0", "2x8x6x5", "224", f"{2 * STEM:,}", f"{share:.1f}", "%"]
    assert lines[-2] == "Run more than once, counted each time, parameters once: twice (2 times)."
    assert lines[-1] == "Not run by this input, parameters counted: idle."


def test_layers_stand_in_the_order_of_execution(pwoct_cost: Run) -> None:
    rows = pwoct_cost(*NET, "--per-layer", "--format", "json").json["layers"]
    assert [row["name"] for row in rows] == ["stem.0", "stem.1", "stem.2", "twice", "(model)", "fc", "idle"]
    assert [row["work"] for row in rows] == [2 * STEM, 0, 0, 4 * TWICE, 0, 2 * FC, 0]
    assert [row["params"] for row in rows] == [224, 16, 0, 64, 0, 45, 20]
    assert {row["name"]: row["executions"] for row in rows}["twice"] == 2


def test_modules_are_summed_up_to_a_depth(pwoct_cost: Run) -> None:
    rows = pwoct_cost(*NET, "--depth", "1", "--format", "json").json["layers"]
    assert {row["name"]: (row["params"], row["work"]) for row in rows} == {
        "stem": (240, 2 * STEM),
        "twice": (64, 4 * TWICE),
        "(model)": (0, 0),
        "fc": (45, 2 * FC),
        "idle": (20, 0),
    }
    (whole,) = pwoct_cost(*NET, "--depth", "0", "--format", "json").json["layers"]
    assert (whole["name"], whole["work"]) == ("(model)", 2 * (STEM + 2 * TWICE + FC))


def test_sums_by_kind_and_by_operator(pwoct_cost: Run) -> None:
    by_kind = pwoct_cost(*NET, "--by", "kind", "--format", "json").json["layers"]
    found = {row["name"]: (row["calls"], row["work"]) for row in by_kind}
    assert found["convolution"] == (3, 2 * (STEM + 2 * TWICE))
    assert found["linear"] == (1, 2 * FC)
    by_operator = pwoct_cost(*NET, "--by", "operator", "--sort", "macs", "--format", "json").json["layers"]
    assert [row["name"] for row in by_operator][:2] == ["aten.convolution", "aten.addmm"]


def test_a_total_counts_what_is_named_in_the_unit_asked_for(pwoct_cost: Run) -> None:
    def work(*options: str) -> int:
        return int(pwoct_cost(*NET, *options, "--format", "json").json["total"]["work"])

    assert work("--unit", "flop") == 4 * (STEM + 2 * TWICE + FC)
    assert work("--count", "linear") == 2 * FC
    assert work("--count", "linear,bias") == 2 * FC + 2 * (8 * 30 + 5)
    assert work("--count", "conv,linear,bn", "--unit", "flop") == 4 * (STEM + 2 * TWICE + FC) + 2 * 2 * 8 * 30
    assert "MMACs" in pwoct_cost(*NET, "--unit", "Mmac").out


def test_a_training_step_leaves_out_what_is_frozen_and_the_first_input(pwoct_cost: Run) -> None:
    total = pwoct_cost(*NET, "--training", "--format", "json").json["total"]
    gradients = STEM + 2 * 2 * TWICE + FC  # by weights: stem, twice, twice; by inputs: twice, twice, fc
    assert total["macs_training"] == 2 * (STEM + 2 * TWICE + FC + gradients)
    assert total["saved_bytes"] > 0


def test_integer_and_keyword_inputs_and_tied_weights(pwoct_cost: Run) -> None:
    words = ("cost", "nets.py:Words", "--input", "ids=2,3:int64<11", "--input", "mask=2,3")
    ran = pwoct_cost(*words, "--format", "json")
    assert (ran.json["total"]["macs"], ran.json["total"]["params"]) == (2 * 3 * 4 * 11, 44)
    assert pwoct_cost(*words).out.splitlines()[-1] == "Tied: head.weight = table.weight."
    made = pwoct_cost("cost", "nets.py:Words", "--inputs", "nets.py:words(5)", "--format", "json").json
    assert made["total"]["macs"] == 5 * 3 * 4 * 11


def test_what_no_formula_covers_is_listed_and_fails_only_when_strict(pwoct_cost: Run) -> None:
    ran = pwoct_cost("cost", "nets.py:Spectral", "--input", "2,8", "--format", "json")
    assert (ran.code, ran.json["covered"]) == (0, False)
    (row,) = ran.json["uncovered"]
    assert (row["name"], row["operator"][:9]) == ("(model)", "aten._fft")
    assert row["reason"]
    strict = pwoct_cost("cost", "nets.py:Spectral", "--input", "2,8", "--strict")
    assert strict.code == 1
    assert "Not covered" in strict.out
    assert strict.err.endswith("pwoct-cost: not covered: 1 call of operators\n")


def test_a_result_can_be_asked_for_again(pwoct_cost: Run) -> None:
    import shlex

    first = pwoct_cost(*NET, "--depth", "1", "--sort", "params", "--count", "conv", "--format", "json")
    again = shlex.split(first.json["command_line"])[1:]
    assert pwoct_cost(*again).out == first.out


def test_a_built_in_network_and_its_module_cost_the_same(pwoct_cost: Run) -> None:
    total = pwoct_cost("cost", "resnet8(alpha='1/4')", "--training", "--format", "json").json["total"]
    report = pwoct_cost("verify", "resnet8", "--alpha", "1/4", "--format", "json").json["layers_total"]
    assert {key: total[key] for key in ("macs", "macs_training", "params", "activations")} == {
        key: report[key] for key in ("macs", "macs_training", "params", "activations")
    }


def test_a_library_that_is_not_installed_is_exit_code_3(
    pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("costmodel.models.libraries.find_spec", lambda _name: None)
    ran = pwoct_cost("cost", "timm:resnet50")
    assert (ran.code, ran.err) == (3, "pwoct-cost: error: timm is not installed: pip install timm\n")


FORM = ("cost", "nets.py:Net", "--input", "2,3,6,5", "--symbols", "n,h,w")


def test_the_closed_form_is_that_of_the_written_product(pwoct_cost: Run) -> None:
    result = pwoct_cost(*FORM, "--format", "json").json
    found = {row["quantity"]: row["formula"] for row in result["formulas"]}
    # 216 taps and twice 64 a pixel, 40 for the linear layer.
    assert found["MACs"] == "8*n*(43*h*w + 5)"
    assert found["parameters"] == str(224 + 16 + 64 + 45 + 20)
    assert (result["status"], result["domain"]) == ("exact for the domain", "for n, h, w >= 1")
    assert all(row["srepr"] and row["latex"] for row in result["formulas"])


def test_the_closed_form_layer_by_layer(pwoct_cost: Run) -> None:
    rows = pwoct_cost(*FORM, "--per-layer", "--format", "json").json["layers"]
    assert {row["name"]: row["macs"] for row in rows} == {
        "stem.0": "216*h*n*w",
        "twice": "128*h*n*w",
        "fc": "40*n",
    }


def test_the_closed_form_as_code(pwoct_cost: Run) -> None:
    names: dict[str, Any] = {}
    exec(pwoct_cost(*FORM, "--as", "python").out, names)
    assert names["macs"](2, 6, 5) == 2 * (STEM + 2 * TWICE + FC)
    assert pwoct_cost(*FORM, "--as", "latex").out.startswith("\\mathrm{params} = 369\n")
    assert "function macs(n, h, w) {" in pwoct_cost(*FORM, "--as", "javascript").out
    assert pwoct_cost(*FORM, "--as", "json").json["formulas"][0]["formula"] == "369"
    assert pwoct_cost(*FORM, "--as", "text").out.splitlines()[0] == "params = 369"


def test_the_closed_form_fits_80_columns(pwoct_cost: Run) -> None:
    lines = pwoct_cost(*FORM, "--per-layer").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1] == "Closed form, exact for the domain: for n, h, w >= 1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--symbols", "n"], "needs 4 symbols, one name or _ for each axis, such as n,_,h,w; got n"),
        (["--symbols", "n,h,1"], "symbols are names of axes such as n,h,w or ids=b,s; got n,h,1"),
        (["--symbols", "y=n,h,w"], "there is no input for the symbols y=n,h,w"),
        (["--symbols", "n,_,s,s"], "s is one size, but the inputs have 6 and 5"),
        (["--symbols", "_,_,_,_"], "at least one axis must be a symbol"),
        (["--symbols", "n,h,w", "--depth", "1"], "--depth cannot be used with --symbols"),
        (["--symbols", "n,h,w", "--by", "kind", "--top", "1"], "--by, --top cannot be used with --symbols"),
        (["--as", "python"], "--as needs --symbols"),
        (
            ["--symbols", "n,h,w", "--as", "fortran"],
            "as must be one of text, latex, json, python,",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_symbols_that_fit_no_input_are_refused(pwoct_cost: Run, arguments: list[str], message: str) -> None:
    ran = pwoct_cost("cost", "nets.py:Net", "--input", "2,3,6,5", *arguments)
    assert ran.code == 2
    assert message in ran.err
