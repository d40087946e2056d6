"""Every claim that `prove` makes without `--all`, one by one; and claims that are false."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costmodel.checks.network_theorems import network_case, network_claims
from costmodel.checks.octave_theorems import octave_claims
from costmodel.checks.prove import Case, Claim, Theorem, failures, prove
from costmodel.checks.symbolic import Dimensions, size
from costmodel.checks.theorems import IMAGE, h, n, operator_claims, residue_sizes, w
from costmodel.operators.pointwise import linear
from costmodel.operators.recorder import Operator, cost_of

CLAIMS = [*operator_claims(), *octave_claims(), *network_claims()]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_the_claim_is_proved(claim: Claim) -> None:
    (theorem,) = prove([claim])
    assert theorem.failures == ()
    assert theorem.holds


def test_the_claims_are_about_everything() -> None:
    names = {claim.name for claim in CLAIMS}
    assert len(names) == len(CLAIMS)
    assert {
        f"path {path}{kind}" for path in ("HH", "HL", "LH", "LL") for kind in ("", ", bottleneck")
    } <= names
    assert sum(name.startswith("PwiseOctConv ") for name in names) == 15 + len(("bn", "bn_relu"))
    assert {claim.method for claim in CLAIMS} == {"symbolic", "grid"}


def test_residues_are_met_along_both_axes_or_in_all_pairs() -> None:
    assert residue_sizes(2, pairs=False) == [(2 * h, 2 * w + 1), (2 * h + 1, 2 * w)]
    assert len(set(residue_sizes(4, pairs=True))) == 16


def test_networks_are_affine_in_their_depth() -> None:
    """What the grid over the depth rests on: from 2 blocks a stage on, one more adds the same."""
    macs = [
        cost_of(network_case(blocks, ("LH",), "C", (8 * h, 8 * w)).operators).macs for blocks in (2, 3, 4)
    ]
    assert (macs[2] - 2 * macs[1] + macs[0]).expand() == 0


a, b = size("a"), size("b")


def claim_about(model: Any, **changes: Any) -> Claim:
    case = Case(
        model,
        Dimensions((a, b), ({a: 11, b: 17}, {a: 13, b: 23})),
        [(n, a)],
        [Operator("fc", "linear", linear(a, b, bias=False, batch=n))],
        IMAGE,
    )
    return Claim("about a model", "n, a, b", lambda: [replace(case, **changes)])


class Net(nn.Module):
    def __init__(self, v: Any) -> None:
        super().__init__()
        self.fc = nn.Linear(v[a], v[b], bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x)  # type: ignore[no-any-return]


class Twice(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) + self.fc(x)  # type: ignore[no-any-return]


class Aside(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) @ self.fc.weight  # type: ignore[no-any-return]


class Unknown(Net):
    def __init__(self, v: Any) -> None:
        super().__init__(v)
        self.norm, self.scale = nn.BatchNorm1d(v[b]), nn.Parameter(torch.ones(v[b]))

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.fc(x)) * self.scale  # type: ignore[no-any-return]


class Branching(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x[:1] if x.shape[0] > 64 else x)  # type: ignore[no-any-return]


def refuted(model: Any, **changes: Any) -> list[str]:
    (theorem,) = prove([claim_about(model, **changes)])
    assert not theorem.holds
    return list(theorem.failures)


def test_a_true_claim_about_the_model_is_proved() -> None:
    (theorem,) = prove([claim_about(Net)])
    assert theorem == Theorem(theorem.claim, 1, ())


def test_a_layer_that_runs_twice() -> None:
    assert refuted(Twice)[:2] == [
        "fc: MACs: code 2*a*b*n, formula a*b*n",
        "fc: activation elements: code 2*b*n, formula b*n",
    ]


def test_a_product_outside_the_layers() -> None:
    assert refuted(Aside) == ["all layers: MACs: code 2*a*b*n, formula a*b*n"]


def test_parameters_outside_the_layers() -> None:
    assert refuted(Unknown) == [
        "(model): the code has parameters that the formulas have not",
        "norm: the code has parameters that the formulas have not",
        "all layers: parameters: code b*(a + 3), formula a*b",
    ]


def test_a_branch_on_a_size() -> None:
    assert refuted(Branching) == ["holds only if n <= 64"]


def test_a_missing_formula_and_a_missing_layer() -> None:
    assert refuted(Net, operators=[])[0] == "fc: the code has a layer that the formulas have not"
    extra = Operator("fc2", "linear", linear(a, b, batch=n))
    assert "fc2: the formulas have a layer that the code has not" in failures(
        replace(next(iter(claim_about(Net).cases())), operators=[extra])
    )


def test_no_runs_prove_nothing() -> None:
    def nothing() -> Iterator[Case]:
        yield from ()

    (theorem,) = prove([Claim("empty", "", nothing)])
    assert not theorem.holds
