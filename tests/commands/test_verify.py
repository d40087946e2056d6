from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costmodel.checks import verify_sweep
from costmodel.checks.verify_sweep import Configuration, Outcome, configurations, summary_table
from pwoct.resnet import ResNet

Run = Callable[..., Any]

MODELS = """
import torch
from torch import nn

class Wrong(nn.Conv2d):
    def forward(self, x):
        return nn.functional.conv2d(x, self.weight[:, :, :1, :1])

def good():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=2, padding="same"))

class Spectral(nn.Conv2d):
    def forward(self, x):
        return torch.fft.fft(super().forward(x)).real

def partly():
    return Spectral(3, 4, 3)

def reshaped():
    return nn.Sequential(Wrong(3, 4, 3))

class Product(nn.Conv2d):
    def forward(self, x):
        torch.mv(x[0, 0], x[0, 0, 0])
        return super().forward(x)

def unused():
    return Product(3, 4, 3)

def raises():
    raise RuntimeError("no such weights")

def number():
    return 3
"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.mark.parametrize("options", [[], ["--alpha", "1/4", "--paths", "HL,LL", "--size", "35x33"]])
def test_shortcuts_without_parameters_agree(pwoct_cost: Run, options: list[str]) -> None:
    ran = pwoct_cost("verify", "resnet14", "--shortcut", "a", *options)
    assert ran.code == 0, ran
    assert "no difference" in ran.out


def test_a_network_is_shown_layer_by_layer(pwoct_cost: Run) -> None:
    ran = pwoct_cost("verify", "resnet8")
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= 80
    forward, training = (
        line.split()[1:] for line in ran.out.splitlines() if line.startswith("stages.1.0.conv1")
    )
    macs = 9 * 16 * 32 * 256
    assert forward == [f"{macs:,}", "=", "=", "4,608", "8,192", "ok"]
    assert training == [f"{3 * macs:,}", "=", "0", "ok"]
    assert "no difference" in ran.out


def test_options_describe_both_sides(pwoct_cost: Run) -> None:
    ran = pwoct_cost(
        *("verify", "resnet8", "--alpha", "1/4+1/2+1/8", "--beta", "2+4+2", "--paths", "LH+all+none"),
        *("--size", "33x31", "--batch", "2", "--width", "8", "--classes", "3", "--stride-rule", "B"),
        *("--width-rule", "min", "--between", "bn_relu", "--format", "json"),
    )
    assert (ran.code, ran.json["verdict"], ran.json["differences"]) == (0, "agrees", [])


def test_json_has_every_number(pwoct_cost: Run) -> None:
    result = pwoct_cost("verify", "resnet20", "--format", "json").json
    total = result["layers_total"]
    assert total["name"] == "total"
    assert {total["macs"], total["macs_fvcore"], total["macs_flop_counter"]} == {40_813_184}
    assert {total["params"], total["params_counted"]} == {272_282}
    assert total["saved_bytes"] == total["saved_bytes_hooks"]
    assert {row["verdict"] for row in result["layers"]} == {"ok"}
    assert [row["count"] for row in result["totals"]][:2] == [40_813_184] * 2
    assert result["known_defects"] == result["uncovered"] == []


def test_layers_are_summed_from_their_modules(pwoct_cost: Run) -> None:
    arguments = ("verify", "resnet8", "--alpha", "1/4", "--format", "json")
    by_layer, by_module = (
        {row["name"]: row["macs"] for row in pwoct_cost(*arguments, *more).json["layers"]}
        for more in ((), ("--per-module",))
    )
    paths = [by_module[f"stages.0.0.conv2.{path}"] for path in ("hh", "hl", "lh", "ll")]
    assert by_layer["stages.0.0.conv2"] == sum(paths)


def test_a_difference_is_exit_code_1_and_names_the_layer(
    pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch import nn

    from pwoct import resnet as code

    def unlike(*arguments: Any, **options: Any) -> ResNet:
        model = original(*arguments, **options)
        model.stages[1][0].conv2 = nn.Conv2d(32, 32, 1, bias=False)
        return model

    original = code.resnet
    monkeypatch.setattr(code, "resnet", unlike)
    monkeypatch.setenv("COLUMNS", "100")
    ran = pwoct_cost("verify", "resnet8")
    assert ran.code == 1
    assert "pwoct-cost: stages.1.0.conv2: MACs: formula 2,359,296, fvcore 262,144" in ran.err
    row = next(line for line in ran.out.splitlines() if line.startswith("stages.1.0.conv2"))
    assert row.split()[1:4] == ["2,359,296", "262,144", "262,144"]
    assert row.split()[-1] == "differs"
    assert "9,216 but 1,024" in row
    result = pwoct_cost("verify", "resnet8", "--format", "json").json
    assert result["verdict"] == "differs"
    assert {line.split(":")[0] for line in result["differences"]} == {"stages.1.0.conv2", "total"}


@pytest.mark.usefixtures("models", "counters_here")
def test_any_module_is_verified(pwoct_cost: Run) -> None:
    result = pwoct_cost("verify", "my_models:good", "--input", "2,3,8,8", "--format", "json").json
    assert result["verdict"] == "agrees"
    assert {row["defect"] for row in result["known_defects"]} == {"text padding", "grouped weight gradient"}
    assert [row["verdict"] for row in result["layers"]] == ["ok", "known defect"]
    sizes = {
        row["quantity"]: row["formula"] for row in result["totals"] if row["quantity"].startswith("MACs at")
    }
    assert sizes == {
        f"MACs at {n}x3x{h}x{w}": n * (108 + 72) * (h - 2) * (w - 2)
        for n, h, w in ((3, 40, 40), (2, 72, 8), (4, 8, 40))
    }


@pytest.mark.usefixtures("models", "counters_here")
def test_what_torch_has_no_rule_for_is_left_out_at_other_sizes_too(pwoct_cost: Run) -> None:
    result = pwoct_cost("verify", "my_models:unused", "--input", "1,3,8,8", "--format", "json").json
    assert (result["verdict"], result["differences"]) == ("partly compared", [])
    told = {row["quantity"]: row for row in result["totals"]}
    for n, size in ((2, (40, 40)), (1, (72, 8)), (3, (8, 40))):
        h, w = size
        row = told[f"MACs at {n}x3x{h}x{w}"]
        convolution = n * 108 * (h - 2) * (w - 2)
        assert (row["formula"], row["count"]) == (convolution + h * w, convolution)
        assert row["verdict"].startswith("known defect")


@pytest.mark.usefixtures("models", "counters_here")
def test_what_is_not_covered_is_listed_and_fails_when_strict(pwoct_cost: Run) -> None:
    ran = pwoct_cost("verify", "my_models:partly", "--input", "1,3,8,8")
    assert ran.code == 0
    assert "Not covered, and not counted as agreed" in ran.out
    assert ran.out.splitlines()[-1].startswith("partly compared: ")
    strict = pwoct_cost("verify", "my_models:partly", "--input", "1,3,8,8", "--strict")
    assert strict.code == 1
    assert "pwoct-cost: not covered: (model): no formula for aten._fft_r2c" in strict.err


@pytest.mark.usefixtures("models", "counters_here")
def test_the_formula_comes_from_the_call_that_ran(pwoct_cost: Run) -> None:
    ran = pwoct_cost("verify", "my_models:reshaped", "--input", "1,3,8,8", "--format", "json")
    assert (ran.code, ran.json["verdict"]) == (0, "agrees")
    assert ran.json["layers"][0]["macs"] == 3 * 4 * 64


@pytest.mark.usefixtures("models", "counters_here")
def test_a_wrong_formula_differs(pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from costmodel.operators import contraction

    right = contraction.convolution_macs
    monkeypatch.setattr(contraction, "convolution_macs", lambda *a, **k: right(*a, **k) + 1)
    ran = pwoct_cost("verify", "my_models:reshaped", "--input", "1,3,8,8")
    assert ran.code == 1
    assert "pwoct-cost: 0: MACs: formula 769, fvcore 768" in ran.err
    assert ran.out.splitlines()[-1].startswith("differs: ")


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which model? Give resnet20, resnet56, ..., package.module:factory, or --all"),
        (["resnet57"], "did you mean resnet56?"),
        (["resnet56", "--alpha", "2"], "alpha must be in [0, 1], got 2"),
        (["resnet56", "--beta", "0"], "beta must be at least 1, got 0"),
        (["resnet56", "--paths", "XX"], "paths must be some of HH,HL,LH,LL, all or none, got XX"),
        (["resnet56", "--size", "0"], "size must be a positive whole number"),
        (["resnet56", "--stride-rule", "D"], "must be one of A, B, C, got"),
        (["resnet56", "--size", "4"], "batch normalisation needs more than one value per channel"),
        (["resnet56", "--input", "1,3,8,8"], "--input cannot be used with a built-in network"),
        (["resnet8", "--strict"], "--strict cannot be used with a built-in network, whose formulas cover"),
        (["resnet56", "--jobs", "2"], "--jobs cannot be used with one model"),
        (["resnet56", "--all"], "model cannot be used with --all"),
        (["--all", "--alpha", "1/4"], "--alpha cannot be used with --all"),
        (["my_models:good"], "my_models:good needs an input: --input 1,3,224,224"),
        (
            ["my_models:good", "--input", "1,3,8,8", "--alpha", "0"],
            "--alpha cannot be used with your own model",
        ),
        (["my_models:good", "--input", "1,3"], "0 fails in conv2d: RuntimeError: Expected 3D (unbatched)"),
        (["my_models:good", "--input", "x"], "an input is a shape such as 1,3,224,224, "),
        (["my_models:raises", "--input", "1"], "my_models:raises() failed: RuntimeError: no such weights"),
        (["my_models:number", "--input", "1"], "my_models:number() must return an nn.Module, got int"),
        (["my_models:none", "--input", "1"], "my_models has no none"),
        (["no_such_package:f"], "can't import no_such_package: ModuleNotFoundError"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_exit_code_2(pwoct_cost: Run, arguments: list[str], message: str) -> None:
    ran = pwoct_cost("verify", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("pwoct-cost: error: ")
    assert message in ran.err
    assert ran.err.count("\n") == 1


def test_all_networks_are_665(pwoct_cost: Run) -> None:
    every = list(configurations())
    assert len(every) == 5 * (1 + 4 + 16 * 4 * 2) == len(set(every))
    assert str(every[-1]) == "resnet110 PwiseOct alpha 3/4 beta 4 paths HH,HL,LH,LL"


def test_all_verifies_and_summarises(pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [c for c in configurations((8,)) if c.alpha in ("0", "1/2") and c.beta == "2"][:4]
    monkeypatch.setattr(verify_sweep, "configurations", lambda: chosen)
    ran = pwoct_cost("verify", "--all", "--jobs", "1", "--format", "json")
    assert ran.code == 0
    assert [(row["kind"], row["networks"], row["differing"]) for row in ran.json["summary"]] == [
        ("plain", 1, 0),
        ("Oct", 1, 0),
        ("PwiseOct", 2, 0),
        ("", 4, 0),
    ]


def test_all_fails_where_one_network_differs(pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Outcome(Configuration(20, "Oct", "1/4"), 10, 60, ("stem: MACs: formula 1, fvcore 2",))
    monkeypatch.setattr(verify_sweep, "sweep", lambda *_: iter([wrong]))
    ran = pwoct_cost("verify", "--all", "--format", "json")
    assert ran.code == 1
    assert ran.json["differences"] == [
        "resnet20 Oct alpha 1/4 beta 2 paths none: stem: MACs: formula 1, fvcore 2"
    ]
    assert "stem: MACs: formula 1, fvcore 2" in ran.err
    assert summary_table([wrong]).rows[0]["differing"] == 1


@pytest.mark.parametrize("command", ["verify", "prove"])
def test_help_loads_no_torch(command: str) -> None:
    code = f"""
import sys, cli
try:
    cli.main(["{command}", "--help"])
except SystemExit as left:
    assert not left.code
assert "torch" not in sys.modules
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
