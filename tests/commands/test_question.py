"""Every machine-readable result says what was asked: run again as it says, it is the same result."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cli
from tests.commands.test_vocabulary import commands

Run = Callable[..., Any]

QUESTIONS = [
    ("--alpha", "0.25", "--beta", "2", "--paths", "lh,HL", "--model", "ResNet-20", "--size", "31x33"),
    ("--alpha", "1/8+1/4+0", "--paths", "HL+none+all", "--width", "24", "--classes", "7"),
    ("--alpha", "0:1/2:1/4", "--beta", "2,4", "--paths", "LL", "--stride-rule", "b", "--between", "BN"),
    ("--unit", "GFLOPs", "--count", "CONV,bn", "--batch", "4", "--in-channels", "1", "--per-layer"),
    ("--op", "depthwise", "--c-in", "96", "--kernel", "7", "--bias", "--dtype", "bf16"),
    ("--op", "pwise", "--alpha-in", "0", "--alpha-out", "1/2", "--paths", "HL", "--width-rule", "min"),
    ("--op", "standard", "--c-in", "3", "--c-out", "9", "--kernel", "16", "--stride", "16", "--padding", "0"),
]


OF_COMMANDS = [
    (
        "search",
        "resnet8,resnet14",
        "--alpha",
        "0,1/2",
        "--paths",
        "HL",
        "--paths",
        "LL,HL",
        "--width",
        "8,12",
    ),
    ("search", "--model", "resnet8", "--alpha", "1/4", "--per-stage", "--constraint", "keep-hh,same-beta"),
    ("search", "resnet8", "--max-latency", "5ms", "--machine", "25G,10G,5us", "--maximise", "params"),
    (
        "sweep",
        "resnet8",
        "--alpha",
        "0:1:1/2",
        "--unit",
        "flop",
        "--quantity",
        "macs,bytes",
        "--dtype",
        "FP16",
    ),
    (
        "sweep",
        "--model",
        "resnet8",
        "--alpha",
        "1/2",
        "--count",
        "conv,bn",
        "--size",
        "31",
        "--width-rule",
        "min",
    ),
    ("diff", "resnet8 --size 16", "--alpha 1/4 --model resnet8", "--all", "--quantity", "calls"),
    ("verify", "resnet8", "--alpha", "1/2", "--width", "4", "--size", "16", "--batch", "2"),
    ("verify", "--model", "torch.nn:ReLU", "--input", "1,3"),
    ("equations", "--alpha", "0.3", "--beta", "2,4", "--kernel", "5", "--width-rule", "MEAN"),
    ("explain", "PWISE"),
    ("paper",),
    ("paper", "--table", "2"),
    ("cost", "torch.nn:Conv2d(3, 8, 3)", "--input", "1,3,9,9", "--unit", "FLOP"),
    ("cost", "torch.nn:Conv2d(3, 8, 3)", "--input", "1,3,9,9", "--symbols", "n,h,w", "--per-layer"),
    ("reconcile", "torch.nn:Conv2d(3, 8, 3)", "--input", "1,3,9,9", "--counter", "torch"),
    ("convert", "resnet8", "--alpha", "1/2", "--paths", "HL", "--layers", "stages.1.*=alpha:1/4"),
]


@pytest.mark.usefixtures("counters_here")
@pytest.mark.parametrize("words", [*QUESTIONS, *OF_COMMANDS], ids=" ".join)
def test_a_result_can_be_asked_for_again(pwoct_cost: Run, words: tuple[str, ...]) -> None:
    first = pwoct_cost(*words, "--format", "json")
    program, *again = shlex.split(first.json["command_line"])
    assert program == "pwoct-cost"
    assert again[-2:] == ["--format", "json"]
    assert pwoct_cost(*again).out == first.out


@pytest.mark.parametrize("words", [*QUESTIONS[:3], *OF_COMMANDS[::3]], ids=" ".join)
def test_each_row_of_the_csv_says_how_it_was_asked_for(pwoct_cost: Run, words: tuple[str, ...]) -> None:
    found = list(csv.DictReader(io.StringIO(pwoct_cost(*words, "--format", "csv").out)))
    as_json = pwoct_cost(*words, "--format", "json").json["command_line"]
    assert {row["command_line"] for row in found} == {as_json.replace("--format json", "--format csv")}


def test_the_question_has_what_was_typed_and_the_defaults(pwoct_cost: Run) -> None:
    question = pwoct_cost("--alpha", "1/4", "--width", "24", "--format", "json").json["question"]
    assert question == {
        "alpha": "1/4",
        "beta": "2",
        "paths": "none",
        "model": "resnet56",
        "c_in": 16,
        "size": "32",
        "kernel": "3",
        "stride": 1,
        "dilation": 1,
        "groups": 1,
        "width_rule": "out",
        "stride_rule": "C",
        "between": "none",
        "shortcut": "B",
        "width": 24,
        "classes": 10,
        "in_channels": 3,
        "batch": 1,
        "unit": "mac",
    }


def test_the_question_has_nothing_without_effect(pwoct_cost: Run) -> None:
    layer = pwoct_cost("--op", "pointwise", "--format", "json").json["question"]
    sizes = {"c_in": 16, "size": "32", "stride": 1, "dim": 2, "batch": 1}
    assert layer == {"op": "pointwise", "dtype": "float32", **sizes}
    networks = pwoct_cost("--alpha", "0,1/4", "--format", "json").json["question"]
    assert not {"c_in", "kernel", "stride", "groups", "dtype", "op", "version"} & set(networks)


TRAINED = (
    *("resnet8", "--dataset", "synthetic", "--epochs", "1", "--batch", "64", "--threads", "1"),
    *("--set", "model.width=4", "--set", "data.train_images=64", "--name", "mine", "--quiet"),
)
OF_RUNS = [
    ("train", *TRAINED),
    ("train", *TRAINED, "--dry-run"),
    ("runs",),
    ("runs", "mine"),
    ("evaluate", "mine", "--plan", "reference"),
    ("export", "mine", "--safetensors", "{folder}/mine.safetensors"),
    ("study", "table2", "--depth", "8", "--dataset", "synthetic", "--dry-run"),
]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("runs")
    with pytest.raises(SystemExit, match=r"^0$"):
        cli.main(["train", *TRAINED, "--runs", str(folder)])
    return folder


@pytest.mark.parametrize("words", OF_RUNS, ids=lambda words: " ".join(words[:2]))
def test_results_of_runs_can_be_asked_for_again(
    pwoct_cost: Run, run_folder: Path, words: tuple[str, ...]
) -> None:
    typed = [word.format(folder=run_folder) for word in words]
    first = pwoct_cost(*typed, "--runs", str(run_folder), "--format", "json")
    assert first.json["question"]["runs"] == str(run_folder)
    program, *again = shlex.split(first.json["command_line"])
    assert program == "pwoct-cost"
    second = pwoct_cost(*again).json
    # How long a step takes differs from time to time, and safetensors writes its metadata in any order.
    varying = {"plan", "files"} & first.json.keys()
    assert {**second, **dict.fromkeys(varying)} == {**first.json, **dict.fromkeys(varying)}


def test_checked_records_say_what_was_asked(pwoct_cost: Run, run_folder: Path, tmp_path: Path) -> None:
    pwoct_cost("runs", "--runs", str(run_folder), "--record", str(tmp_path))
    found = pwoct_cost("runs", "--check", str(tmp_path), "--format", "json")
    assert found.json["question"] == {"check": str(tmp_path)}


def test_every_command_with_a_machine_readable_result_is_tried() -> None:
    elsewhere = {"bench", "prove", ""}  # their times and theorems take long: in their own tests
    has_format = {
        name for name, command in commands() if any(param.name == "format" for param in command.params)
    }
    assert has_format - elsewhere == {words[0] for words in (*OF_COMMANDS, *OF_RUNS)}


def test_a_value_that_begins_with_a_dash_stays_a_value() -> None:
    from costmodel.commands.shared.question import GivenOption

    assert GivenOption("name", "--name", "-x", True).words() == ["--name=-x"]
    assert GivenOption("bias", "--bias", False, False).words() == []
    assert GivenOption("paths", "--paths", ["HL", "LL"], True).words() == ["--paths", "HL", "--paths", "LL"]
    assert GivenOption("threads", "--threads", 0, True).words() == ["--threads", "0"]
