"""`pwoct-cost diff` as a user meets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costmodel.commands.shared.options import read_network
from costmodel.networks.resnet import resnet
from costmodel.networks.wording import options_of
from pwoct.training.config import compose
from pwoct.training.record import Result, RunFolder

Run = Callable[..., Any]


def test_two_networks(pwoct_cost: Run) -> None:
    run = pwoct_cost("diff", "resnet56", "resnet56 --alpha 1/4 --paths HL,LH,LL", "--format", "json")
    total = run.json["diff_total"]
    assert (run.code, run.err) == (0, "")
    assert (total["params_a"], total["params_b"]) == (855_578, 696_150)
    assert total["macs_difference"] == 79_309_440 - 125_747_840
    assert run.json["b"] == "--model resnet56 --alpha 1/4 --beta 2 --paths HL,LH,LL"
    assert run.json["diff"][0]["layer"] == "stages.0.0.conv1"


def test_a_list_of_quantities(pwoct_cost: Run) -> None:
    run = pwoct_cost("diff", "resnet20", "resnet56", "--quantity", "calls,bytes", "--format", "json")
    assert {"calls_a", "bytes_a"} < run.json["diff_total"].keys()


def test_the_table_in_80_columns(pwoct_cost: Run) -> None:
    run = pwoct_cost("diff", "resnet110 --alpha 1/4", "pwoct-cost --model resnet110 --alpha=1/4 --paths=all")
    assert "A: --model resnet110 --alpha 1/4\n" in run.out
    # HH 12 -> 12, HL 12 -> 4, LH 4 -> 12, LL 4 -> 4 with widths 6, 2, 6, 2, instead of 9 * 16 * 16.
    change = 144 + 324 + 32 + 36 + 96 + 324 + 16 + 36 - 9 * 16 * 16
    assert f"0.0.conv2    {change:,}" in run.out.replace("      ", "    ")
    assert "*HH,HL,LH,LL" in run.out
    assert "Paths: + added, - gone, * compressed, / uncompressed, ~ resized." in run.out
    assert max(map(len, run.out.splitlines())) <= 80


@pytest.mark.parametrize(
    "net",
    [
        resnet(20),
        resnet(20, alpha=["0", "1/8", "1/4"], beta=[2, "8/3", 2], paths=[[], ["LL", "HH"], ["HL"]]),
        resnet(8, alpha=1, paths=["LL"], width_rule="min", stride_rule="A", between="bn", width=20),
        resnet(1202, alpha="1/3", classes=7, size=(40, 48)),
    ],
)
def test_options_come_back_as_the_network(net: Any) -> None:
    again = read_network(options_of(net))
    assert again.operators() == net.operators()
    assert options_of(again) == options_of(net)


@pytest.mark.parametrize(
    ("a", "message"),
    [
        ("", "nothing is neither a network, such as 'resnet56 --alpha 1/4', nor a run"),
        ("somewhere/else", "somewhere/else is neither a network"),
        ("resnet57", "unknown model resnet57"),
        ("resnet56 --alpha", "a network is a model and options with a value each, got resnet56 --alpha"),
        ("resnet56 alpha 1/4", "a network is a model and options with a value each"),
        ("resnet56 --apha 1/4", "a network has the options alpha, beta, paths"),
        ("resnet56 --alpha 1/4 --alpha 1/2", "--alpha is given twice"),
        ("resnet56 --alpha 1.5", "alpha must be in [0, 1], got 1.5"),
        ("resnet56 --paths 'HL", "No closing quotation"),
        ("resnet56 --width 0", "width must be a positive whole number, got 0"),
        ("resnet56 --classes 10x3", "classes must be a positive whole number, got 10x3"),
    ],
)
def test_bad_input_is_one_line(pwoct_cost: Run, a: str, message: str) -> None:
    run = pwoct_cost("diff", a, "resnet56")
    assert run.code == 2
    assert message in run.err
    assert len(run.err.splitlines()) == 1


def stored_run(path: Path, finished: bool = True, **model: Any) -> None:
    run = RunFolder(path)
    config = compose("fast", values={f"model.{name}": value for name, value in model.items()} | {"epochs": 3})
    path.mkdir(parents=True)
    run.write_config(config)
    if finished:
        run.write_result(
            Result(
                name=path.name,
                accuracy=0.5,
                correct=5000,
                images=10_000,
                loss=1.2345678,
                epoch=3,
                epochs=3,
                chosen_by="last epoch",
                parameters=272_282,
                minutes=2.0,
                seed=0,
                config=config.model_dump(mode="json"),
                data="synthetic",
                changes=[],
                failures=0,
            )
        )


def test_two_runs_also_differ_in_settings_and_results(pwoct_cost: Run, tmp_path: Path) -> None:
    stored_run(tmp_path / "plain")
    stored_run(tmp_path / "octave", finished=False, alpha="1/4")
    run = pwoct_cost("diff", "plain", str(tmp_path / "octave"), "--runs", str(tmp_path), "--format", "json")
    settings = {row["what"]: (row["a"], row["b"]) for row in run.json["runs"]}
    assert run.code == 0
    assert settings == {
        "model.alpha": ("['0']", "['1/4']"),
        "accuracy": (50.0, "not finished"),
        "loss": (1.2345678, "not finished"),
        "epoch": (3, "not finished"),
        "minutes": (2.0, "not finished"),
    }
    assert run.json["diff_total"]["macs_a"] == 40_813_184
    shown = pwoct_cost("diff", "plain", str(tmp_path / "octave"), "--runs", str(tmp_path)).out
    assert "\nloss          1.2346   not finished\n" in shown


def test_a_run_and_a_network(pwoct_cost: Run, tmp_path: Path) -> None:
    stored_run(tmp_path / "plain")
    run = pwoct_cost("diff", "plain", "resnet20", "--runs", str(tmp_path), "--format", "json")
    assert run.json["diff_total"]["what"] == "0 layers"
    assert "runs" not in run.json
