from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

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


def test_a_claim_with_parameters(pwoct_cost: Run) -> None:
    ran = pwoct_cost("reconcile", "resnet20", "--claim", "40.81M", "--claim-params", "0.27M")
    assert "our MACs" in ran.out
    assert "parameters are printed so" in ran.out + ran.err


def test_a_sentence_says_what_is_counted(pwoct_cost: Run) -> None:
    ran = pwoct_cost("cost", "resnet20", "--cite")
    assert "40,813,184 multiply-accumulates (MACs) and has 272,282 parameters" in ran.out
    assert "Not counted: bn" in ran.out
