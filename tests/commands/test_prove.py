from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sympy as sp

from costmodel.checks import claims
from costmodel.checks.proof import check_certificate
from costmodel.checks.prove import Claim

Run = Callable[..., Any]
OPERATORS = claims.CLAIMS["operators"]


@pytest.fixture
def linear_only(monkeypatch: pytest.MonkeyPatch) -> Claim:
    """Let the linear layer be all that there is to prove of operators."""
    (linear,) = (claim for claim in OPERATORS[0]() if claim.name == "linear layer")
    monkeypatch.setitem(claims.CLAIMS, "operators", [lambda *, every: [linear]])
    return linear


def test_operators_are_proved(pwoct_cost: Run) -> None:
    result = pwoct_cost("prove", "operators", "--format", "json")
    assert result.code == 0
    assert result.json["proved"] is True
    names = [row["theorem"] for row in result.json["theorems"]]
    assert len(names) == 11
    assert {"pointwise convolution", "separable convolution", "linear layer"} <= set(names)
    assert {row["verdict"] for row in result.json["theorems"]} == {"proved"}
    domains = {(row["theorem"], row["domain"]) for row in result.json["domains"]}
    assert ("linear layer", "c_in, c_out, n >= 2") in domains
    assert ("linear layer", "c_in, c_out >= 2") in domains  # and a batch of 1


def test_a_table_fits_the_terminal(pwoct_cost: Run, linear_only: Claim) -> None:
    ran = pwoct_cost("prove", "operators")
    assert ran.code == 0
    assert linear_only.name in ran.out
    assert "1 of 1 theorems proved" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_a_claim_that_fails_is_exit_code_1(pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Claim("a claim without runs", list)
    monkeypatch.setitem(claims.CLAIMS, "operators", [lambda *, every: [nothing]])
    ran = pwoct_cost("prove", "operators")
    assert ran.code == 1
    assert "pwoct-cost: not proved: a claim without runs: nothing was run" in ran.err
    assert "0 of 1 theorems proved" in ran.out


def test_an_unknown_subject_is_refused(pwoct_cost: Run) -> None:
    ran = pwoct_cost("prove", "everything")
    assert ran.code == 2
    assert ran.err.count("\n") == 1


@pytest.fixture
def certificate(pwoct_cost: Run, linear_only: Claim, tmp_path: Path) -> Path:
    path = tmp_path / "certificate.json"
    assert pwoct_cost("prove", "operators", "--certificate", str(path)).code == 0
    return path


def test_a_certificate_is_checked_by_the_command_and_by_a_script_alone(
    pwoct_cost: Run, certificate: Path
) -> None:
    ran = pwoct_cost("prove", "--check", str(certificate))
    assert (ran.code, ran.out) == (0, "every step holds: 1 claims, 5 runs\n")
    script = str(Path(check_certificate.__file__))
    alone = subprocess.run([sys.executable, "-I", script, str(certificate)], capture_output=True, text=True)
    assert (alone.returncode, alone.stderr) == (0, "")


def test_the_script_imports_nothing_of_the_project_and_is_short() -> None:
    text = Path(check_certificate.__file__).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert "costmodel" not in text
    assert "import torch" not in text


def test_a_condition_that_was_left_out_shows_in_the_digest(pwoct_cost: Run, certificate: Path) -> None:
    content = json.loads(certificate.read_text(encoding="utf-8"))
    content["theorems"][0]["runs"][0]["conditions"].pop()
    certificate.write_text(json.dumps(content), encoding="utf-8")
    ran = pwoct_cost("prove", "--check", str(certificate))
    assert ran.code == 1
    assert ran.err == ("pwoct-cost: the theorems are not those that were written: their SHA-256 differs\n")


@pytest.mark.parametrize("place", ["code", "instance", "sample", "least", "fact"])
def test_nothing_in_a_certificate_is_executed(
    place: str, pwoct_cost: Run, certificate: Path, tmp_path: Path
) -> None:
    text = f"__import__('pathlib').Path({str(tmp_path / 'run')!r}).touch()"
    content = json.loads(certificate.read_text(encoding="utf-8"))
    run = content["theorems"][0]["runs"][0]
    if place == "code":
        run["compared"][0][2] = text
    elif place == "fact":
        run["domain"]["facts"].append(text)
    else:
        numbers = {
            "instance": run["instances"][0][0],
            "sample": run["sample"],
            "least": run["domain"]["least"],
        }
        numbers[place]["n"] = text
    certificate.write_text(json.dumps(content), encoding="utf-8")
    assert pwoct_cost("prove", "--check", str(certificate)).code == 2
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["{}", "no", '{"theorems": [{}]}', 10**5 * "["])
def test_what_is_no_certificate_is_bad_input(text: str, pwoct_cost: Run, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text(text, encoding="utf-8")
    ran = pwoct_cost("prove", "--check", str(path))
    assert ran.code == 2
    assert "is not a certificate of prove" in ran.err


def test_a_network_of_ones_own_is_proved(pwoct_cost: Run) -> None:
    result = pwoct_cost("prove", "torch.nn:Conv2d(3, 8, 3)", "--input", "1,3,16,16", "--format", "json")
    assert result.code == 0
    assert result.json["proved"] is True
    (row,) = result.json["network"]
    assert (row["domain"], row["verdict"]) == ("for n >= 1; h, w >= 3", "proved")
    n, h, w = sp.symbols("n h w", positive=True, integer=True)
    (layer,) = result.json["layers"]
    assert sp.expand(sp.sympify(layer["srepr"]) - 216 * n * (h - 2) * (w - 2)) == 0
    assert (result.json["domain"], result.json["conditions"]) == (row["domain"], [])


REFUSED = """
from torch import nn

class Raises(nn.Linear):
    def forward(self, x):
        raise RuntimeError("broken")

class Branches(nn.Linear):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else x

class Grows(nn.Linear):
    calls = 0
    def forward(self, x):
        self.calls += 1
        for _ in range(self.calls):
            x = super().forward(x)
        return x

class Appends(nn.Linear):
    def forward(self, x):
        self.register_parameter(f"more{len(self._parameters)}", nn.Parameter(x.new_zeros(3)))
        return super().forward(x)

class Leaves(nn.Linear):
    def forward(self, x):
        raise SystemExit(0)
"""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Raises", "(model) fails: RuntimeError: broken (refused.py, line 6)"),
        ("Branches", "(model) fails in __bool__: "),
        ("Grows", "(model).calls is new while the network runs: "),
        (
            "Appends",
            "(model).more2 is new while the network runs: it has 23 parameters after its first and 26 ",
        ),
        ("Leaves", "it ends the program: sys.exit(0)"),
    ],
)
def test_a_network_that_no_run_stands_for_is_refused_by_name(
    name: str, why: str, pwoct_cost: Run, tmp_path: Path
) -> None:
    (tmp_path / "refused.py").write_text(REFUSED, encoding="utf-8")
    network = f"{tmp_path / 'refused.py'}:{name}(4, 4)"
    ran = pwoct_cost("prove", network, "--input", "2,4", "--symbols", "n,_")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"pwoct-cost: error: not proved: {network}: {why}")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("operatrs",), "operatrs is not a subject (points, operators, octave, networks, calculator)"),
        (("operators", "timm:resnet50"), "one network is proved at a time"),
    ],
)
def test_what_can_be_proved_is_said(pwoct_cost: Run, arguments: tuple[str, ...], message: str) -> None:
    result = pwoct_cost("prove", *arguments)
    assert result.code == 2
    assert message in result.err


@pytest.mark.parametrize(
    "given", [["--input", "1,3,2,2"], ["octave", "--symbols", "n,h,w"], ["--timeout", "5"]]
)
def test_options_of_a_network_need_one(given: list[str], pwoct_cost: Any) -> None:
    ran = pwoct_cost("prove", *given)
    flag = next(word for word in given if word.startswith("--"))
    assert (ran.code, ran.out, ran.err) == (2, "", f"pwoct-cost: error: {flag} needs a MODEL\n")
