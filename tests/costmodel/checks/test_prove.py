"""Claims that are true, and claims that are false; the whole of `prove` runs as a command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costmodel.checks import SUBJECTS
from costmodel.checks.claims import CLAIMS, claims_of
from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.prove import Case, Claim, Identity, Theorem, failures, prove
from costmodel.checks.theorems import h, n, residue_sizes, w
from costmodel.operators.pointwise import linear
from costmodel.operators.recorder import Operator
from tests.costmodel.checks.bad_modules import (
    AnotherShape,
    Aside,
    Branching,
    Changes,
    DataAsIndex,
    Exits,
    ExitsAtNumbers,
    Fails,
    Fixed,
    Grows,
    HidesALayer,
    KeepsAside,
    LooksAtData,
    LoopsOverSizes,
    MoreForSevens,
    NamedByDigits,
    Net,
    Raises,
    ReadsDigits,
    ReturnsNothing,
    Swaps,
    Twice,
    TwiceAtTimes,
    Unregistered,
    a,
    b,
    case_of,
)

EVERY = list(claims_of())
# Each network takes seconds: these are proved by the command, and by the first of their cases here.
FEW = [c for c in EVERY if c.kind == "proved" and not c.name.startswith(("ResNet", "folded", "PwiseOctConv"))]


@pytest.mark.parametrize("claim", FEW, ids=lambda claim: claim.name)
def test_the_first_case_of_each_claim_is_proved(claim: Claim) -> None:
    case = next(iter(claim.cases()))
    assert isinstance(case, Case)
    assert failures(case) == []


@pytest.mark.parametrize("name", ["ResNet plain, image 8h x 8w", "ResNet-8, image 8h+r x 8w+s"])
def test_networks_are_proved(name: str) -> None:
    (claim,) = (claim for claim in EVERY if claim.name == name)
    case = next(iter(claim.cases()))
    assert isinstance(case, Case)
    assert failures(case) == []


@pytest.mark.parametrize(
    "name",
    [
        *("random layers", "random layers in groups", "random networks", "random convolutions"),
        *("formulas of paths = operators()", "closed forms = operators()"),
    ],
)
def test_what_is_checked_at_points_agrees(name: str) -> None:
    (theorem,) = prove(claim for claim in EVERY if claim.name == name)
    assert theorem.failures == ()
    assert theorem.claim.kind == "checked"


def test_every_claim_has_a_name_of_its_own() -> None:
    assert len({claim.name for claim in EVERY}) == len(EVERY)
    assert sum(claim.name.startswith("PwiseOctConv ") for claim in EVERY) == 15 + len(("bn", "bn_relu")) + 3


def test_residues_are_met_along_both_axes_or_in_all_pairs() -> None:
    assert residue_sizes(2, pairs=False) == [(2 * h, 2 * w + 1), (2 * h + 1, 2 * w)]
    assert len(set(residue_sizes(4, pairs=True))) == 16


def test_a_true_claim_about_the_model_is_proved() -> None:
    claim = Claim("true", lambda: [case_of(Net, instances=[{a: 240, b: 77, n: 3}])])
    (theorem,) = prove([claim])
    assert theorem.holds
    assert theorem.runs[0].instances == [({a: 240, b: 77, n: 3}, 240 * 77 * 3)]
    assert [run.case.domain.text() for run in theorem.runs] == ["a, b, n >= 2"]


@pytest.mark.parametrize(
    ("model", "failure"),
    [
        (Twice, "fc: MACs: code 2*a*b*n, formula a*b*n"),
        (Twice, "fc: activation elements: code 2*b*n, formula b*n"),
        (Aside, "all layers: MACs: code 2*a*b*n, formula a*b*n"),
        (Branching, "holds only if n <= 64"),
        (TwiceAtTimes, "holds only if Ne(n - 3*floor(n/3), 0)"),
        (MoreForSevens, "holds only if Ne(a - 7*floor(a/7), 0)"),
        (Fixed, "holds only if Eq(b - 17, 0)"),
        (Raises, "(model): the code fails on symbolic sizes: 'no'"),
        (Changes, "(model): the code changes itself: calls"),
        (Unregistered, "(model): scale is a tensor, but neither a parameter nor a buffer"),
        (
            KeepsAside,
            "(model): extra holds a tensor, but neither a parameter nor a buffer",
        ),
        (HidesALayer, "(model): layers holds a module, but not a registered one"),
        (ReadsDigits, "holds only if Eq(n, 5)"),
        (NamedByDigits, "holds only if Eq(a - 11, 0)"),
        (LoopsOverSizes, "holds only if Eq(n, 5)"),
        (DataAsIndex, "(model): the code fails on symbolic sizes: "),
        (AnotherShape, "(model): the code fails on symbolic sizes: "),
        (Grows, "(model): the code changes itself: _parameters"),
        (Swaps, "(model): the code changes itself: _modules"),
        (Exits, "(model): the code fails on symbolic sizes: AssertionError"),
        (ReturnsNothing, "fc: the formulas have a layer that the code lacks"),
        (Fails, "(model): the constructor fails on symbolic sizes: no"),
    ],
)
def test_a_false_claim_is_refused_by_name(model: Any, failure: str) -> None:
    assert any(found.startswith(failure) for found in failures(case_of(model)))


def test_code_that_fails_at_numbers_alone_is_named_without_a_message_too() -> None:
    case = case_of(ExitsAtNumbers, instances=[{a: 3, b: 4, n: 2}])
    assert failures(case) == ["at a = 3, b = 4, n = 2 the code fails: AssertionError"]


def test_a_branch_on_data_is_refused() -> None:
    (failure,) = failures(case_of(LooksAtData))
    assert failure.startswith("(model): the code fails on symbolic sizes: ")


def test_parameters_outside_the_layers() -> None:
    class Unknown(Net):
        def __init__(self, v: Any) -> None:
            super().__init__(v)
            self.norm, self.scale = nn.BatchNorm1d(v(b)), nn.Parameter(torch.ones(v(b)))

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.fc(x)) * self.scale  # type: ignore[no-any-return]

    assert failures(case_of(Unknown)) == [
        "(model): the code has parameters that the formulas lack",
        "norm: the code has parameters that the formulas lack",
        "all layers: parameters: code b*(a + 3), formula a*b",
    ]


def test_a_missing_formula_and_a_missing_layer() -> None:
    assert failures(case_of(Net, lambda v: []))[0] == "fc: the code has a layer that the formulas lack"
    extra = [Operator("fc2", "linear", linear(3, 4))]
    assert "fc2: the formulas have a layer that the code lacks" in failures(case_of(Net, lambda v: extra))


@pytest.mark.parametrize(
    ("branch", "failure"),
    [
        (lambda v: v(n) == 4, "holds only if Ne(n - 4, 0)"),
        (lambda v: isinstance(v(n), int) and v(n) % 5 == 0, "holds only if Eq(n - 5*floor(n/5), 0)"),
        (lambda v: {5: True}.get(v(n), False), "holds only if Eq(n - 5, 0)"),
        (lambda v: v(n) in (1, 6), "holds only if Ne(n - 6, 0)"),
    ],
)
def test_a_branch_in_a_formula_is_recorded(branch: Any, failure: str) -> None:
    """On a sympy symbol, `==` would be False without a word."""

    def formulas(v: Any) -> list[Operator]:
        cost = linear(v(a), v(b), bias=False, batch=v(n))
        return [Operator("fc", "linear", cost * 1 if branch(v) else cost)]

    assert failures(case_of(Net, formulas)) == [failure]


def test_a_traced_count_that_no_plain_run_confirms() -> None:
    class Sly(Net):
        def __init__(self, v: Any) -> None:
            super().__init__(v)
            if type(v(a)) is int:  # only what stands for all numbers is something else
                self.fc = nn.Linear(v(a), v(b))

    (failure,) = failures(case_of(Sly, instances=[{a: 2, b: 3, n: 4}]))
    assert failure == "at a = 2, b = 3, n = 4: 9 parameters, but traced 6"


def test_instances_outside_the_domain_confirm_nothing() -> None:
    assert failures(case_of(Net, instances=[{a: 1, b: 1, n: 1}])) == [
        "(instances): none of them lies in the domain"
    ]


def test_no_runs_prove_nothing() -> None:
    def nothing() -> Iterator[Case]:
        yield from ()

    (theorem,) = prove([Claim("empty", nothing)])
    assert not theorem.holds
    assert isinstance(theorem, Theorem)


def test_an_identity_of_no_pairs_proves_nothing() -> None:
    (theorem,) = prove([Claim("vacuous", lambda: [Identity("pairs", SizeDomain({}), tuple)])])
    assert theorem.failures == ("pairs: nothing was compared",)


def test_every_subject_has_claims_in_the_order_of_the_subjects() -> None:
    assert tuple(CLAIMS) == SUBJECTS
