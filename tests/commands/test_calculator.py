"""The calculator as a user meets it. Expected numbers are products written out by hand."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import sympy as sp

Run = Callable[..., Any]

HW = 32 * 32
LOW = 16 * 16  # positions of the low branch


def rows(run: Any, table: str, key: str) -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in run.json[table]}


def test_the_main_command(pwoct_cost: Run) -> None:
    run = pwoct_cost("--alpha", "0.25", "--beta", "2", "--paths", "HL,LH,LL", "--format", "json")
    paths = rows(run, "layer", "path")
    assert run.code == 0
    assert run.err == ""
    assert paths["HH"]["params"] == 9 * 12 * 12
    assert paths["HL"]["params"] == 12 * 2 + 9 * 2 * 2 + 2 * 4
    assert paths["LH"]["params"] == 4 * 6 + 9 * 6 * 6 + 6 * 12
    assert paths["LL"]["params"] == 4 * 2 + 9 * 2 * 2 + 2 * 4
    assert paths["HH"]["macs"] == 9 * 12 * 12 * HW
    assert paths["LH"]["macs"] == (4 * 6 + 9 * 6 * 6 + 6 * 12) * LOW
    assert paths["LH"]["macs_vs_octave"] == pytest.approx(8.75 / 9 - 1)
    networks = rows(run, "network", "network")
    assert (networks["plain"]["params"], networks["plain"]["macs"]) == (855_578, 125_747_840)
    assert (networks["octave"]["params"], networks["octave"]["macs"]) == (855_578, 85_295_744)
    assert (networks["pwise"]["params"], networks["pwise"]["macs"]) == (696_150, 79_309_440)


def test_the_table_says_the_same_in_80_columns(pwoct_cost: Run) -> None:
    run = pwoct_cost("--alpha", "1/4", "--paths", "lh,HL,Ll")
    assert "LH          4→6→6→12      420    -2.8 %     107,520    -2.8 %" in run.out
    assert "pwise     696,150    -18.6 %   -18.6 %    79,309,440    -36.9 %    -7.0 %" in run.out
    assert max(map(len, run.out.splitlines())) <= 80


@pytest.mark.parametrize("rule", ["A", "B", "C"])
def test_the_standard_layer_has_no_stride_rule(pwoct_cost: Run, rule: str) -> None:
    options = ("--alpha", "1/4", "--stride", "2", "--stride-rule", rule, "--count", "conv,pool,shortcut")
    run = pwoct_cost(*options, "--format", "json")
    assert rows(run, "layer", "path")["standard"]["macs"] == 9 * 16 * 16 * LOW


def test_without_options_the_network_is_plain(pwoct_cost: Run) -> None:
    run = pwoct_cost("--format", "json")
    assert [row["network"] for row in run.json["network"]] == ["plain"]
    assert rows(run, "layer", "path")["all paths"]["macs"] == 9 * 16 * 16 * HW


def test_alpha_without_paths_is_octave(pwoct_cost: Run) -> None:
    run = pwoct_cost("--alpha", "1/2", "--format", "json")
    assert [row["network"] for row in run.json["network"]] == ["plain", "octave"]
    assert run.json["paths"] == [[], [], []]


def test_all_and_none(pwoct_cost: Run) -> None:
    every = pwoct_cost("--alpha", "1/4", "--paths", "all", "--format", "json")
    assert rows(every, "network", "network")["pwise"]["params"] == 409_482
    none = pwoct_cost("--alpha", "1/4", "--paths", "NONE", "--format", "json")
    assert none.json["network"] == pwoct_cost("--alpha", "1/4", "--format", "json").json["network"]


def test_a_range_gives_a_row_a_configuration_the_end_included(pwoct_cost: Run) -> None:
    run = pwoct_cost("--alpha", "0:0.75:0.25", "--beta", "2,4", "--paths", "all", "--format", "csv")
    found = [(row["alpha"], row["beta"]) for row in csv.DictReader(io.StringIO(run.out))]
    assert found == [(alpha, beta) for alpha in ("0", "1/4", "1/2", "3/4") for beta in ("2", "4")]


def test_a_list_agrees_with_single_runs_also_where_the_grid_does_not_count(pwoct_cost: Run) -> None:
    for count in ((), ("--count", "conv,bn,pool"), ("--unit", "flop")):
        options = ("--paths", "HL,LL", "--format", "json", *count)
        many = pwoct_cost("--alpha", "1/4,1/3", *options).json["configurations"]
        for alpha, row in zip(("1/4", "1/3"), many, strict=True):
            one = rows(pwoct_cost("--alpha", alpha, *options), "network", "network")["pwise"]
            assert one == {"network": "pwise", **{key: row[key] for key in one if key != "network"}}


def test_values_per_stage(pwoct_cost: Run) -> None:
    run = pwoct_cost(
        "--alpha", "1/8+1/4+1/2", "--beta", "2+2+4", "--paths", "HL+none+all", "--format", "json"
    )
    assert run.json["alpha"] == ["1/8", "1/4", "1/2"]
    assert run.json["beta"] == ["2", "2", "4"]
    assert run.json["paths"] == [["HL"], [], ["HH", "HL", "LH", "LL"]]
    assert "layer" not in run.json  # a layer has one set of choices


def test_rounding_is_said(pwoct_cost: Run) -> None:
    run = pwoct_cost("--alpha", "1/3", "--paths", "LL", "--c-in", "4", "--c-out", "4")
    assert run.code == 0
    assert "warning: layer: alpha 1/3 of 4 channels is 1.33333: c_L = 1" in run.err
    assert "warning: layer: LL 1 → 1 at beta 2: 0.5 hidden channels: m = 1 (raised to 1)" in run.err
    assert "warning: alpha 1/3 of 16 channels is 5.33333: c_L = 5" in run.err


def test_exact_fractions_are_not_rounded(pwoct_cost: Run) -> None:
    # In binary floats (1 - 0.8) * 10 is 1.9999..., so that 1 channel would be left.
    run = pwoct_cost(
        "--alpha", "0.8", "--c-in", "10", "--c-out", "10", "--model", "resnet8", "--format", "json"
    )
    assert rows(run, "layer", "path")["HH"]["channels"] == "2→2"
    assert "layer" not in run.err


def test_paths_that_do_not_exist_are_said(pwoct_cost: Run) -> None:
    run = pwoct_cost("--paths", "HH,LL")
    assert run.code == 0
    assert "warning: alpha 0 leaves no path LL to compress" in run.err
    run = pwoct_cost("--alpha", "0,1/4,1", "--paths", "HL")
    assert [line for line in run.err.splitlines() if "leaves no path" in line] == [
        "pwoct-cost: warning: alpha 0 leaves no path HL to compress",
        "pwoct-cost: warning: alpha 1 leaves no path HL to compress",
    ]


@pytest.mark.parametrize("unit", ["mac", "flop"])
@pytest.mark.parametrize("size", [31, 32])
def test_the_formula_gives_the_number_beside_it(pwoct_cost: Run, size: int, unit: str) -> None:
    options = ("--alpha", "1/4", "--paths", "LL", "--size", str(size), "--unit", unit)
    assert f"   {unit.upper()}s (h, w: the output's high size)" in pwoct_cost(*options).out
    run = pwoct_cost(*options, "--format", "json")
    numbers = {"c_H": 12, "c_L": 4, "m": 2, "k": 3, "h": size, "w": size}
    counts = rows(run, "layer", "path")
    for row in run.json["formulas"]:
        formula = sp.sympify(row[f"{unit}s_formula"], locals={name: sp.Symbol(name) for name in numbers})
        assert formula.subs(numbers) == counts[row["path"]][f"{unit}s"]
        assert "macs_formula" in row  # a key of the JSON stays, whatever the unit


def test_a_pwise_layer_without_bottlenecks_is_said(pwoct_cost: Run) -> None:
    run = pwoct_cost("--op", "pwise", "--alpha", "1/4")
    assert run.code == 0
    assert "warning: no path is compressed" in run.err


def test_kinds_side_by_side(pwoct_cost: Run) -> None:
    run = pwoct_cost("--op", "separable", "--c-out", "32", "--alpha", "0", "--format", "json")
    assert run.code == 2  # alpha means nothing here
    run = pwoct_cost("--op", "separable", "--c-out", "32", "--bias", "--format", "json")
    kinds = rows(run, "kinds", "op")
    assert kinds["standard"]["params"] == 9 * 16 * 32 + 32
    assert kinds["pointwise"]["params"] == 16 * 32 + 32
    assert kinds["depthwise"]["params"] == 9 * 32 + 32
    assert kinds["separable"]["params"] == 9 * 16 + 16 * 32 + 32
    assert [op for op, row in kinds.items() if row["chosen"]] == ["separable"]
    assert run.json["cost"]["macs_training"] == 3 * (9 * 16 + 16 * 32) * HW
    assert run.json["cost"]["bias_ops"] == 32 * HW


def test_kinds_that_cannot_have_the_sizes_are_left_out(pwoct_cost: Run) -> None:
    run = pwoct_cost("--op", "standard", "--c-out", "24", "--format", "json")
    assert "depthwise" not in rows(run, "kinds", "op")
    assert pwoct_cost("--op", "depthwise", "--c-out", "24").code == 2


def test_bytes_follow_the_dtype(pwoct_cost: Run) -> None:
    read = {
        dtype: pwoct_cost("--op", "standard", "--dtype", dtype, "--format", "json").json["cost"]["bytes_read"]
        for dtype in ("float32", "bfloat16")
    }
    assert read["float32"] == 4 * (16 * HW + 9 * 16 * 16)
    assert read["bfloat16"] == 2 * (16 * HW + 9 * 16 * 16)


def test_count_and_unit(pwoct_cost: Run) -> None:
    run = pwoct_cost("--model", "resnet20", "--count", "linear,bias", "--unit", "flop", "--format", "json")
    network = rows(run, "network", "network")["plain"]
    assert (network["params"], network["flops"]) == (640 + 10, 2 * 640 + 10)


def test_per_layer_rows_add_up(pwoct_cost: Run) -> None:
    run = pwoct_cost(
        "--model", "resnet20", "--alpha", "1/4", "--paths", "all", "--per-layer", "--format", "json"
    )
    layers, total = run.json["layers"], run.json["layers_total"]
    assert total["layer"] == "sum"
    for key in ("params", "macs", "activations", "calls"):
        assert sum(row[key] for row in layers) == total[key]
    assert "stages.1.0.shortcut" in {row["layer"] for row in layers}


@pytest.mark.parametrize("form", ["table", "json", "csv", "md", "latex"])
@pytest.mark.parametrize("columns", ["20", "40", "200"])
def test_every_format_at_every_width(
    pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch, form: str, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    run = pwoct_cost("--alpha", "1/4", "--format", form)
    assert run.code == 0
    assert "\x1b" not in run.out  # no colour into a pipe


def test_version(pwoct_cost: Run) -> None:
    run = pwoct_cost("--version")
    assert run.code == 0
    assert run.out.startswith("pwoct-cost 0.")


def test_help(pwoct_cost: Run) -> None:
    assert "--alpha" in pwoct_cost("--help").out


def test_the_shell_completes_commands(pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_PWOCT_COST_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "pwoct-cost ver")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert pwoct_cost().out.split() == ["verify"]


def test_the_calculator_loads_no_torch() -> None:
    script = (
        "import sys, cli\n"
        "try:\n    cli.main(['--alpha', '1/4', '--paths', 'LL'])\n"
        "except SystemExit:\n    pass\n"
        "print(sorted({'torch', 'fvcore', 'numpy', 'matplotlib', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("options", "channels"),
    [
        (["--width", "32"], (32, 32)),
        (["--width", "5", "--c-out", "7"], (5, 7)),
        (["--width", "32", "--c-in", "16"], (16, 32)),
        ([], (16, 16)),
    ],
)
def test_the_layer_above_a_network_is_of_its_first_stage(
    pwoct_cost: Run, options: list[str], channels: tuple[int, int]
) -> None:
    ran = pwoct_cost("--model", "resnet8", *options, "--format", "json")
    (standard,) = [row for row in ran.json["layer"] if row["path"] == "standard"]
    assert standard["params"] == 9 * channels[0] * channels[1]
    assert standard["channels"] == "→".join(map(str, channels))


def test_a_beta_that_fits_the_network_fits_the_layer_above_it(pwoct_cost: Run) -> None:
    ran = pwoct_cost("--width", "32", "--beta", "32", "--paths", "HH", "--format", "json")
    assert ran.code == 0
    assert ran.json["layer"][0]["channels"] == "32→1→1→32"
    assert pwoct_cost("--width", "32", "--beta", "33", "--paths", "HH").err == (
        "pwoct-cost: error: beta must be at most the 32 output channels of stage 1, got 33\n"
    )
