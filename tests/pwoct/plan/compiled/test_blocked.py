"""The plan "blocked" makes the reference's training step: outputs, gradients, running statistics."""

import copy
import re

import pytest
import torch
from torch import nn

import pwoct.plan.compiled.blocked as plan_blocked
from pwoct.plan import with_plan
from tests.pwoct.networks import (
    NETWORKS,
    assert_same,
    cases,
    images,
    needs_compiler,
    network,
    relative_error,
    skip_without,
    step,
)

pytestmark = [needs_compiler, pytest.mark.usefixtures("one_thread")]

SIZE = (16, 16)


@cases
@pytest.mark.parametrize("size", [(16, 16), (8, 24)], ids=str)  # what `plan_for` chooses it for
def test_blocked_is_the_reference(options, size):
    model = network(options).double().train()
    blocked = with_plan(copy.deepcopy(model), "blocked")
    assert_same(step(blocked, images(size, 24)), step(model, images(size, 24)))


@cases
@pytest.mark.parametrize("size", [(12, 12), (28, 20), (15, 16)], ids=str)
def test_odd_maps_are_right_or_refused(options, size):
    """At 12 x 12 the last high maps are odd, and nothing may pool them."""
    model = network(options).double().train()
    reason = plan_blocked.why_not_blocked(model, 8, size)
    blocked = with_plan(copy.deepcopy(model), "blocked")
    if reason is not None:
        assert "even sizes" in reason or "can be added" in reason
        with pytest.raises(ValueError, match=re.escape(reason)):
            blocked(images(size, 8))
        return
    assert_same(step(blocked, images(size, 8)), step(model, images(size, 8)))


def test_a_high_branch_that_is_odd_at_the_end():
    """The last block has no HL, so nothing is pooled there: gradients of LH reach its edge all the same."""
    model = network({"alpha": "1/2"}, depth=8).double()
    blocked = with_plan(copy.deepcopy(model), "blocked")
    for got, expected in zip(
        step(blocked, images((12, 12), 8)), step(model, images((12, 12), 8)), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize(
    ("stride", "dilation"), [(1, 2), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3), (4, 2)], ids=str
)
@pytest.mark.parametrize("size", [(16, 16), (17, 13)], ids=str)
def test_strides_and_dilations(stride, dilation, size):
    """Gradients are convolutions of the taps that reach every n-th pixel."""
    model = network({}, depth=8).double()
    block = model.stages[1][0]
    options = {"stride": stride, "padding": dilation, "dilation": dilation, "bias": False}
    block.conv1 = nn.Conv2d(8, 16, 3, **options).double()
    block.shortcut = nn.Conv2d(8, 16, 1, stride=stride, bias=False).double()
    blocked = with_plan(copy.deepcopy(model), "blocked")
    assert_same(step(blocked, images(size, 8)), step(model, images(size, 8)))


@pytest.mark.parametrize("width", [9, 10, 13, 14, 22])
@pytest.mark.parametrize("alpha", [0, "1/3"])
def test_channels_that_fill_nothing(width, alpha):
    """What is computed at once are 6, 4, 2 and 1 output channels, and 4 x 4 gradients of kernels."""
    model = network({"width": width, "alpha": alpha}, depth=8).double()
    blocked = with_plan(copy.deepcopy(model), "blocked")
    assert_same(step(blocked, images(SIZE, 8)), step(model, images(SIZE, 8)))


def error_of(results, exact):
    """How far gradients and statistics are off, beside their size."""
    off = [(a.double() - b).norm() for a, b in zip(results[1:], exact[1:], strict=True)]
    return float(sum(off) / sum(b.double().norm() for b in exact[1:]))


@pytest.fixture(scope="module")
def wide():
    """A network of twice the width, images and its step in float64; each once, for float32 and bfloat16."""
    made = {}

    def of(options):
        if repr(options) not in made:
            depth = 14 if options.get("shortcut") == "A" else 8
            model, x = network({"width": 16, **options}, depth).train(), images(SIZE, 32)
            made[repr(options)] = model, x, step(copy.deepcopy(model).double(), x)
        return made[repr(options)]

    return of


@cases
def test_blocked_in_float32(wide, options):
    """Beside float64, as far from it as the reference is; of two batches the better one, since a ReLU near
    zero may go either way."""
    model, first, expected = wide(options)
    excess = []
    for x, exact in ((first, expected), (-first, step(copy.deepcopy(model).double(), -first))):
        reference = step(copy.deepcopy(model), x.float())
        blocked = step(with_plan(copy.deepcopy(model), "blocked"), x.float())
        assert relative_error(blocked[0], exact[0]) < 1e-4
        excess.append(error_of(blocked, exact) - 3 * error_of(reference, exact))
    assert min(excess) < 1e-4


@pytest.mark.parametrize(
    "options", [*NETWORKS.values(), {"width": 9}, {"width": 13, "alpha": "1/3"}], ids=str
)
def test_blocked_under_autocast(wide, options):
    """Beside float64, hardly further from it than "lean" is under autocast: what Winograd's method multiplies
    is rounded after it was added up."""
    skip_without(torch.bfloat16)
    model, x, exact = wide(options)
    errors = []
    for plan in ("lean", "blocked"):
        with torch.autocast("cpu", torch.bfloat16):
            results = step(with_plan(copy.deepcopy(model), plan), x.float())
        assert relative_error(results[0], exact[0]) < 2e-1
        errors.append(error_of(results, exact))
    assert 1e-4 < errors[1] < 1.5 * errors[0]  # rounded, and no more than that


def test_autocast_in_another_type_changes_nothing():
    model = network({"alpha": "1/2"})
    results = []
    for enabled in (True, False):
        blocked = with_plan(copy.deepcopy(model), "blocked")
        with torch.autocast("cpu", torch.float16, enabled=enabled):
            results.append(blocked._features(images(SIZE, 32).float()))
    assert torch.equal(*results)
    assert results[0].dtype == torch.float32
