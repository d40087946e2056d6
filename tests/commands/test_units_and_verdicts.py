"""Units and choices of parts in sweep and diff, totals of both networks, the paper's tables one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

SWEEP = ("sweep", "resnet20", "--alpha", "0,1/4", "--paths", "HL,LH", "--format", "json")
A, B = "resnet20 --alpha 1/4", "resnet20 --alpha 1/4 --paths LL"


def test_a_sweep_in_flops_is_twice_that_in_macs(pwoct_cost: Run) -> None:
    quantities = ("--quantity", "macs,training-macs,params")
    macs, flops = (pwoct_cost(*SWEEP, *quantities, "--unit", unit).json for unit in ("mac", "flop"))
    assert flops["quantities"] == ["flops", "training-flops", "params"]
    for before, after in zip(macs["sweep"], flops["sweep"], strict=True):
        assert after["flops"] == 2 * before["macs"]
        assert after["training-flops"] == 2 * before["training-macs"]
        assert (after["params"], after["flops_vs_plain"]) == (before["params"], before["macs_vs_plain"])


def test_a_sweep_of_chosen_parts_is_that_of_the_calculator(pwoct_cost: Run) -> None:
    count = ("--count", "conv,bn,pool", "--unit", "flop")
    for row in pwoct_cost(*SWEEP, *count).json["sweep"]:
        options = ("--model", "resnet20", "--alpha", row["alpha"], "--paths", "HL,LH", *count)
        found = pwoct_cost(*options, "--format", "json").json["network"]
        assert (row["params"], row["flops"]) == (found[-1]["params"], found[-1]["flops"])
        assert row["flops_vs_plain"] == pytest.approx(row["flops"] / found[0]["flops"] - 1)


def test_a_sweep_says_its_unit(pwoct_cost: Run) -> None:
    shown = pwoct_cost(*SWEEP[:-2], "--unit", "Gflop", "--count", "conv,bn").out
    assert "GFLOPs + bn" in shown
    assert pwoct_cost(*SWEEP[:-2], "--unit", "kmac").out.count("kMACs") == 1


def test_a_difference_shows_both_totals(pwoct_cost: Run) -> None:
    run = pwoct_cost("diff", A, B, "--quantity", "params,macs,calls", "--format", "json")
    totals = {row["quantity"]: row for row in run.json["totals"]}
    octave, pwise = (
        pwoct_cost(*("--model", *options.split()), "--format", "json").json["network"][-1]
        for options in (A, B)
    )
    for name in ("params", "macs"):
        assert (totals[name]["a"], totals[name]["b"]) == (octave[name], pwise[name])
        assert totals[name]["difference"] == pwise[name] - octave[name]
        assert totals[name]["change"] == pytest.approx(pwise[name] / octave[name] - 1)
    assert totals["calls"]["difference"] == run.json["diff_total"]["calls_difference"]
    shown = pwoct_cost("diff", A, B)
    assert f"MACs     {octave['macs']:,}   {pwise['macs']:,}" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80


def test_a_difference_in_another_unit_and_of_chosen_parts(pwoct_cost: Run) -> None:
    words = ("diff", A, B, "--unit", "Mflop", "--count", "conv,bn", "--quantity", "macs")
    shown = pwoct_cost(*words).out
    assert "MFLOPs + bn" in shown
    total = pwoct_cost(*words, "--format", "json").json["totals"][0]
    expected = pwoct_cost("--model", *A.split(), "--count", "conv,bn", "--unit", "flop", "--format", "json")
    assert (total["quantity"], total["a"]) == ("flops", expected.json["network"][-1]["flops"])


@pytest.fixture
def elsewhere(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without runs or records."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("number", "counts", "most"),
    [
        (1, "parameters 5 of 5, MACs 5 of 5", "Pwise-56 0.25 all has 413,562 parameters, not 310,874."),
        (2, "parameters 8 of 8", "Pwise-56 0.25 HH has 572,990 parameters, not 521,726."),
        (3, "parameters 4 of 4, MACs 4 of 4", "has 445,414 parameters, not 348,422."),
        (4, "parameters 7 of 7, MACs 7 of 7", "Pwise-110 0.25 all has 802,650 parameters, not 591,098."),
    ],
)
def test_one_table_of_the_paper_begins_with_a_verdict(
    pwoct_cost: Run, number: int, counts: str, most: str
) -> None:
    run = pwoct_cost("paper", "--table", str(number))
    first = " ".join(run.out.partition("\n\n")[0].split())
    assert (run.code, run.err) == (0, "")
    assert first.startswith(f"Table {number}: all printed counts follow from the reading ({counts}).")
    assert "leave out the 1x1 convolutions of the bottlenecks, which the MACs count" in first
    assert first.endswith(most)
    document = pwoct_cost("paper", "--table", str(number), "--format", "json").json
    assert document["verdict"] == first
    assert {cell["table"] for cell in document["cells"]} == {number}


@pytest.mark.usefixtures("elsewhere")
def test_the_report_says_what_the_printed_parameters_leave_out(pwoct_cost: Run) -> None:
    first = " ".join(pwoct_cost("paper").out.partition("\n\n")[0].split())
    assert first.startswith("Tables 1 to 4: all printed counts follow from the reading (parameters 24 of 24,")
    assert "The printed parameters leave out the 1x1 convolutions of the bottlenecks" in first


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("option", ["--readings", "--choices", "--verify"])
def test_one_table_goes_with_nothing_else(pwoct_cost: Run, option: str) -> None:
    run = pwoct_cost("paper", "--table", "1", option)
    assert (run.code, run.out) == (2, "")
    assert len(run.err.splitlines()) == 1


def test_a_verdict_can_be_bad() -> None:
    from dataclasses import replace

    from costmodel.paper.cells import cells, verdict
    from costmodel.paper.printed import read_paper

    first, *rest = (cell for cell in cells(read_paper()) if cell.row.table == 1)
    text = verdict([replace(first, matches=False), *rest], "Table 1")
    assert text.startswith("Table 1: not all printed counts follow from the reading (parameters 4 of 5,")


def test_a_choice_of_parts_adds_no_quantity(pwoct_cost: Run) -> None:
    words = (*SWEEP, "--quantity", "calls,bytes")
    chosen = pwoct_cost(*words, "--count", "conv,bn").json["sweep"]
    assert chosen == pwoct_cost(*words).json["sweep"]
