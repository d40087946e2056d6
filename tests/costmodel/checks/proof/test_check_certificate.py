"""Forged certificates are refused, though their digest is that of what they contain."""

from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from functools import partial
from typing import Any

import pytest

from costmodel.checks.proof.certificate import certificate
from costmodel.checks.proof.check_certificate import faults
from costmodel.checks.prove import prove
from costmodel.checks.theorems import operator_claims


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    """Return the certificate of the linear layer, as it is read from a file."""
    claims = [claim for claim in operator_claims() if claim.name == "linear layer"]
    content: dict[str, Any] = json.loads(json.dumps(certificate(prove(claims))))
    return content


def _formula(run: Any) -> None:
    run["compared"][0][3] += " + 1"


def _condition(run: Any) -> None:
    run["conditions"].append(["n > 2", {"rule": "polynomial"}])


def _instance(run: Any) -> None:
    run["instances"][0][1] += 1


def _floor(run: Any) -> None:
    run["conditions"].append(["Ne(Mod(n + 1, 2), 0)", {"rule": "polynomial"}])


def _skipped_residue(run: Any) -> None:
    case = {"rule": "polynomial"}
    step = {"rule": "residues", "modulus": {"n": 2}, "cases": [case, case]}
    run["conditions"].append(["Ne(Mod(n + 1, 2), 0)", step])


def _same_on_both_sides(run: Any) -> None:
    run["compared"][0][2] += " + c_in"
    run["compared"][0][3] += " + c_in"


def _other_domain(run: Any) -> None:
    run["domain"]["least"]["n"] = 1000


def _larger_domain(run: Any) -> None:
    run["domain"]["least"]["n"] = 0


def _false_fact(run: Any) -> None:
    run["domain"]["facts"].append("-n")


def _false_world(run: Any) -> None:
    run["domain"]["worlds"].append({"n": "1000"})


def _other_sample(run: Any) -> None:
    run["sample"]["n"] = 1


def _no_instances(run: Any) -> None:
    run["instances"] = []


def _no_residues(run: Any) -> None:
    step = {"rule": "residues", "modulus": {"n": 0}, "cases": []}
    run["conditions"].append(["n > 2", step])


def _known_quotient(run: Any) -> None:
    step = {
        "rule": "quotient",
        "of": "floor(n/c_in)",
        "above": "n",
        "below": "c_in",
        "step": {"rule": "equal"},
    }
    run["conditions"].append(["floor(n/c_in) <= quotient_0", step])


QUOTIENT = {
    "rule": "quotient",
    "of": "floor(n/c_in)",
    "above": "n",
    "below": "c_in",
    "step": {"rule": "polynomial"},
}


def _everywhere(run: Any, name: str, value: int) -> None:
    for numbers in (run["sample"], *(numbers for numbers, _ in run["instances"])):
        numbers[name] = value


def _fact_about_an_unknown_quotient(run: Any) -> None:
    run["domain"]["facts"].append("quotient_0 - 10")
    _everywhere(run, "quotient_0", 11)
    run["conditions"].append(["floor(n/c_in) >= 5", QUOTIENT])


def _value_of_an_unknown_quotient(run: Any) -> None:
    run["domain"]["worlds"].append({"quotient_0": "1000"})
    _everywhere(run, "quotient_0", 1000)
    run["conditions"].append(["floor(n/c_in) >= 5", QUOTIENT])


def _all_macs_are(name: str, run: Any) -> None:
    for row in run["compared"]:
        row[2:] = [name, name] if row[1] == "macs" else row[2:]
    for numbers, macs in run["instances"]:
        numbers[name] = macs


def _no_total(run: Any) -> None:
    run["compared"] = [row for row in run["compared"] if row[0] != "all layers"]
    _same_on_both_sides(run)


def _layers_by_another_name(run: Any) -> None:
    run["compared"][0][1] = "MACs"
    _same_on_both_sides(run)


def _negative_quotient(run: Any) -> None:
    step = {**QUOTIENT, "of": "floor((n - c_in)/c_in)", "above": "n - c_in"}
    run["conditions"].append(["floor((n - c_in)/c_in) >= 0", step])


def _smaller_of_two(run: Any) -> None:
    cases = [{"rule": "polynomial"}, {"rule": "polynomial"}]
    step = {"rule": "choice", "of": "Min(n, c_in)", "arguments": ["n", "c_in"], "cases": cases}
    run["conditions"].append(["Min(n, c_in) >= n", step])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (_fact_about_an_unknown_quotient, "quotient_0 is not a size of the domain"),
        (_value_of_an_unknown_quotient, "quotient_0 is not a size of the domain"),
        (partial(_all_macs_are, "unknown"), "unknown is not a size of the domain"),
        (partial(_all_macs_are, "Max"), "Max is not a size of the domain"),
        (_no_total, "were counted at no instance"),
        (_layers_by_another_name, "the totals are not the sums of the layers"),
        (_negative_quotient, "floor((n - c_in)/c_in) >= 0 does not follow"),
        (_smaller_of_two, "Min(n, c_in) >= n does not follow"),
        (_same_on_both_sides, "the totals are not the sums of the layers"),
        (_other_domain, "lies outside the domain"),
        (_larger_domain, "n - 1 >= 0 does not follow"),
        (_false_fact, "lies outside the domain"),
        (_false_world, "lies outside the domain"),
        (_other_sample, "lies outside the domain"),
        (_no_instances, "were counted at no instance"),
        (_no_residues, "n > 2 does not follow"),
        (_known_quotient, "floor(n/c_in) <= quotient_0 does not follow"),
        (_formula, "op: macs: c_in*c_out*n is not c_in*c_out*n + 1"),
        (_condition, "n > 2 does not follow"),
        (_instance, "MACs were counted at"),
        (_floor, "Ne(Mod(n + 1, 2), 0) does not follow"),
        (_skipped_residue, "Ne(Mod(n + 1, 2), 0) does not follow"),
    ],
)
def test_a_certificate_that_was_changed_is_refused(change: Any, fault: str, written: dict[str, Any]) -> None:
    content = deepcopy(written)
    change(content["theorems"][0]["runs"][0])
    theorems = json.dumps(content["theorems"], sort_keys=True)
    content["sha256"] = hashlib.sha256(theorems.encode()).hexdigest()
    assert any(fault in found for found in faults(content))


def test_one_that_was_not_changed_holds(written: dict[str, Any]) -> None:
    assert list(faults(written)) == []
