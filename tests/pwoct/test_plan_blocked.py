"""The plan "blocked" makes the reference's training step: outputs, gradients, running statistics."""

import copy
import re

import pytest
import torch

import pwoct.plan.native.blocked as plan_blocked
from pwoct.plan import with_plan
from tests.pwoct.networks import cases, images, needs_compiler, network, relative_error, skip_without, step

pytestmark = [needs_compiler, pytest.mark.usefixtures("one_thread")]

SIZE = (16, 16)


@cases
@pytest.mark.parametrize("size", [(16, 16), (8, 24)], ids=str)  # what `plan_for` chooses it for
def test_blocked_is_the_reference(options, size):
    model = network(options).double().train()
    blocked = with_plan(copy.deepcopy(model), "blocked")
    for got, expected in zip(step(blocked, images(size, 24)), step(model, images(size, 24)), strict=True):
        torch.testing.assert_close(
            got, expected, rtol=1e-10, atol=1e-10 * expected.abs().max().item() + 1e-11
        )


@cases
@pytest.mark.parametrize("size", [(12, 12), (28, 20), (15, 16)], ids=str)
def test_odd_maps_are_right_or_refused(options, size):
    """At 12 x 12 the last high maps are odd, and nothing may pool them."""
    model = network(options).double().train()
    reason = plan_blocked.why_not_blocked(model, 8, size)
    blocked = with_plan(copy.deepcopy(model), "blocked")
    if reason is not None:
        assert "even sizes pooled by 2" in reason or "can be added" in reason
        with pytest.raises(ValueError, match=re.escape(reason)):
            blocked(images(size, 8))
        return
    for one, expected in zip(step(blocked, images(size, 8)), step(model, images(size, 8)), strict=True):
        torch.testing.assert_close(
            one, expected, rtol=1e-10, atol=1e-10 * expected.abs().max().item() + 1e-11
        )


def test_a_high_branch_that_is_odd_at_the_end():
    """The last block has no HL, so nothing is pooled there: gradients of LH reach its edge all the same."""
    model = network({"alpha": "1/2"}, depth=8).double()
    blocked = with_plan(copy.deepcopy(model), "blocked")
    for got, expected in zip(
        step(blocked, images((12, 12), 8)), step(model, images((12, 12), 8)), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-9)


@cases
def test_blocked_in_float32(options):
    """Beside float64, as far from it as the reference is: a ReLU near zero may go either way in both."""
    model = network({"width": 16, **options}).train()
    exact = step(copy.deepcopy(model).double(), images(SIZE, 32))
    reference = step(copy.deepcopy(model), images(SIZE, 32).float())
    blocked = step(with_plan(model, "blocked"), images(SIZE, 32).float())
    assert relative_error(blocked[0], exact[0]) < 1e-4

    def error(results):
        norms = [
            ((a.double() - b).norm(), b.double().norm()) for a, b in zip(results[1:], exact[1:], strict=True)
        ]
        return float(sum(off for off, _ in norms) / sum(norm for _, norm in norms))

    assert error(blocked) < 3 * error(reference) + 1e-4


@cases
def test_blocked_under_autocast(options):
    """Beside float64, no further from it than "lean" is under autocast."""
    skip_without(torch.bfloat16)
    model = network({"width": 16, **options}).train()
    exact = step(copy.deepcopy(model).double(), images(SIZE, 32))
    errors = []
    for plan in ("lean", "blocked"):
        with torch.autocast("cpu", torch.bfloat16):
            results = step(with_plan(copy.deepcopy(model), plan), images(SIZE, 32).float())
        assert relative_error(results[0], exact[0]) < 2e-1
        off = [(a.double() - b).norm() for a, b in zip(results[1:], exact[1:], strict=True)]
        errors.append(float(sum(off) / sum(b.double().norm() for b in exact[1:])))
    assert 1e-4 < errors[1] < 1.2 * errors[0]  # rounded, and no more than that


def test_autocast_in_another_type_changes_nothing():
    model = network({"alpha": "1/2"})
    results = []
    for enabled in (True, False):
        blocked = with_plan(copy.deepcopy(model), "blocked")
        with torch.autocast("cpu", torch.float16, enabled=enabled):
            results.append(blocked._features(images(SIZE, 32).float()))
    assert torch.equal(*results)
    assert results[0].dtype == torch.float32
