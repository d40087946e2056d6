"""`pwoct-cost search` as a user meets it."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def test_what_it_prints_can_be_pasted(pwoct_cost: Run) -> None:
    """Options of each row, given to the calculator, cost exactly what the row says."""
    found = pwoct_cost(
        *("search", "--model", "resnet20", "--model", "resnet14", "--alpha", "0,1/4,3/4", "--beta", "2,8/3"),
        *("--paths", "HL,LH", "--paths", "all", "--per-stage", "--width-rule", "in", "--max-macs", "20M"),
        *("--size", "24x32", "--width", "12", "--classes", "100", "--maximise", "params", "--format", "json"),
    )
    front = found.json["front"]
    assert (found.code, len(found.err.splitlines()), len(front)) == (0, 1, 53)
    assert "warning: sizes were rounded in 52 of 53 networks" in found.err
    for row in front[:: len(front) // 5]:
        pasted = pwoct_cost(*shlex.split(row["options"]), "--format", "json")
        counted = pasted.json["network"][-1]
        assert (counted["params"], counted["macs"]) == (row["params"], row["macs"])


def test_an_option_given_twice_is_a_list(pwoct_cost: Run) -> None:
    space = ("search", "--alpha", "1/4", "--beta", "2", "--format", "json")
    options = {
        "--model": ("resnet14", "resnet20"),
        "--width-rule": ("in", "min"),
        "--constraint": ("keep-hh", "keep-ll"),
        "--minimise": ("calls", "bytes"),
        "--maximise": ("params", "activations"),
    }
    twice = [word for name, values in options.items() for value in values for word in (name, value)]
    joined = [word for name, values in options.items() for word in (name, ",".join(values))]
    found = pwoct_cost(*space, *joined)
    assert found.json == pwoct_cost(*space, *twice).json
    assert found.json["quantities"] == ["params", "macs", "calls", "bytes", "activations"]
    assert found.json["configurations"] == 2 * 2 * 4


def test_the_table_and_lines_to_paste(pwoct_cost: Run) -> None:
    run = pwoct_cost("search", "--alpha", "1/4", "--beta", "2", "--max-params", "0.41M")
    assert "Pareto front: 1 point of 16 configurations" in run.out
    assert "1   409,482   36,473,472       1   1/4     2      all" in run.out
    assert "\nequal: how many configurations cost exactly the same, this one included\n" in run.out
    assert "\n     1  pwoct-cost --model resnet56 --alpha 1/4 --beta 2 --paths all\n" in run.out
    assert (run.code, run.err) == (0, "")


def test_tables_are_cut_and_say_so(pwoct_cost: Run) -> None:
    arguments = ("search", "--maximise", "params", "--rows", "3")
    table = pwoct_cost(*arguments)
    points = pwoct_cost(*arguments, "--format", "json").json["points"]
    message = f"3 of {points} points, spread over the front; --format json or csv has them all"
    assert table.err.strip() == message
    assert table.out.count("pwoct-cost --model") == 3
    everything = list(csv.DictReader(io.StringIO(pwoct_cost(*arguments, "--format", "csv").out)))
    assert len(everything) == points > 3
    assert everything[0]["options"].startswith("--model resnet56")


def test_json_says_what_was_asked(pwoct_cost: Run) -> None:
    document = pwoct_cost(
        *(
            "search",
            "--alpha",
            "0,1/4",
            "--per-stage",
            "--constraint",
            "keep-hh",
            "--constraint",
            "same-paths",
        ),
        *("--max-bytes", "0.05G", "--max-macs", "100.5M", "--maximise", "calls", "--format", "json"),
    ).json
    assert document["command"] == "search"
    assert document["quantities"] == ["params", "macs", "bytes", "calls"]
    assert document["budgets"] == {"macs": 100_500_000, "bytes": 50_000_000}
    assert document["maximise"] == ["calls"]
    assert document["configurations"] == 2**3 * 2**3 * 8
    assert document["space"]["same_in_all_stages"] == ["paths"]
    assert "HH" not in " ".join(document["space"]["paths"])
    assert document["points"] == len(document["front"])


def test_a_space_of_billions(pwoct_cost: Run) -> None:
    run = pwoct_cost(
        *("search", "--per-stage", "--alpha", "0:15/16:1/16", "--beta", "2,3,4,6,8", "--format", "json"),
        *("--max-params", "0.4M", "--max-macs", "60M", "--max-activations", "0.6M"),
    )
    assert run.json["configurations"] == (16 * 5 * 16) ** 3 > 2 * 10**9
    for row in run.json["front"]:
        assert row["params"] <= 400_000
        assert row["macs"] <= 60_000_000
        assert row["activations"] <= 600_000


def test_a_latency_budget(pwoct_cost: Run) -> None:
    arguments = ("search", "--model", "resnet20", "--alpha", "0,1/2", "--machine", "25G,10G,5us")
    document = pwoct_cost(*arguments, "--max-latency", "2.5ms", "--format", "json").json
    assert document["budgets"] == {"latency": 2_500_000}
    assert document["quantities"] == ["params", "macs", "latency"]
    assert all(row["latency"] <= 2_500_000 for row in document["front"])
    run = pwoct_cost(*arguments, "--max-latency", "1us")
    assert run.code == 2
    assert "over the budget of 1,000 (" in run.err


def test_an_infeasible_budget_is_one_line(pwoct_cost: Run) -> None:
    run = pwoct_cost("search", "--alpha", "1/4", "--beta", "2", "--max-params", "0.4M")
    assert run.code == 2
    assert run.out == ""
    assert run.err == (
        "pwoct-cost: error: no configuration fits: the nearest is --model resnet56 --alpha 1/4 --beta 2 "
        "--paths all, with params 409,482: 9,482 over the budget of 400,000 (2.4 %)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-params", "much"], "an amount is a number such as 400000, 0.4M or 1.2G, got much"),
        (["--max-macs", "-3"], "an amount must be positive, got -3"),
        (["--alpha", "2"], "alpha must be in [0, 1], got 2"),
        (
            ["--alpha", "1e-20"],
            "numerator and denominator must fit into 64 bits, got 1/100000000000000000000",
        ),
        (["--beta", "20"], "beta must be at most the 16 output channels of stage 1, got 20"),
        (
            ["--beta", "2+3+4"],
            "--beta must agree in all stages here, got 2+3+4: only `pwoct-cost` takes one",
        ),
        (["--paths", "HX"], "paths must be some of HH,HL,LH,LL, all or none, got HX"),
        (["--model", "resnet55"], "unknown model resnet55"),
        (["--model", "resnet20,resnet"], "unknown model resnet"),
        (["--constraint", "keep-hh,small"], "constraint must be one of keep-hh, keep-hl"),
        (["--max-latency", "5ms"], "a latency is predicted for a machine: name one, such as 25G,10G,5us"),
        (["--max-latency", "5", "--machine", "25G,10G,5us"], "a time is a number with s, ms, us or ns"),
        (["--max-latency", "5ms", "--machine", "fast"], "a machine is MACs per second, bytes per second"),
        (["--minimise", "time"], "quantity must be one of params, macs"),
        (["--width-rule", "wide"], "width rule must be one of out, in, min, mean, got wide"),
        (["--stride-rule", "D"], "stride rule must be one of A, B, C, got D"),
        (["--between", "relu"], "between must be one of none, bn, bn_relu, got relu"),
        (["--dtype", "int7"], "dtype must be one of"),
        (["--size", "0"], "size must be a positive whole number"),
        (["--width", "0"], "width must be at least 1, got 0"),
        (["--classes", "-1"], "classes must be at least 1, got -1"),
        (["--rows", "0"], "at least 1 row must be shown, got 0"),
        (
            ["--per-stage", "--alpha", "0,1", "--size", "30"],
            "alpha 1 per stage or with a latency needs a size divisible by 8",
        ),
        (["--plot", "front.eps"], "a figure is a file .svg, .png or .pdf, got front.eps"),
    ],
)
def test_bad_input_is_one_line(pwoct_cost: Run, arguments: list[str], message: str) -> None:
    run = pwoct_cost("search", *arguments)
    assert (run.code, run.out) == (2, "")
    assert message in run.err
    assert len(run.err.splitlines()) == 1


def test_a_plot_beside_the_table(pwoct_cost: Run, tmp_path: Path) -> None:
    path = tmp_path / "front.svg"
    run = pwoct_cost("search", "--max-macs", "60M", "--plot", str(path))
    rounded, written = run.err.splitlines()
    assert "sizes were rounded in 1 of 3 networks" in rounded
    assert (run.code, written) == (0, f"{path} written")
    assert "budget: 60,000,000 MACs" in path.read_text()
