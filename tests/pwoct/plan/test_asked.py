"""Sizes, types and networks that are none are refused in one line by every function of plans."""

import numpy as np
import pytest
import torch
from torch import nn

from pwoct.plan import (
    PLANS,
    BlockedGraph,
    BlockedNetwork,
    FoldedNetwork,
    LeanConverted,
    LeanNetwork,
    NativeNetwork,
    optimize_for_inference,
    plan_for,
    why_not,
    with_plan,
)
from pwoct.resnet import resnet
from tests.pwoct.networks import images, needs_compiler

SIZE = (16, 16)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return resnet(8, alpha="1/2", width=4).eval()


def askers(model):
    """Every function, of a size and a type."""
    for plan in PLANS:
        yield lambda size, dtype, plan=plan: why_not(plan, model, size=size, dtype=dtype)
        yield lambda size, dtype, plan=plan: with_plan(model, plan, size=size, dtype=dtype)
    yield lambda size, dtype: optimize_for_inference(model, size, dtype)
    yield lambda size, dtype: FoldedNetwork(model, size, dtype)
    yield lambda size, dtype: NativeNetwork(model, size, dtype)


@pytest.mark.parametrize(
    "dtype", ["float32", None, torch.int64, torch.complex64, float, np.float32], ids=repr
)
def test_what_is_no_type(model, dtype):
    needed = r"^dtype must be a floating type of PyTorch such as torch.float32, got "
    for ask in askers(model):
        with pytest.raises(ValueError, match=needed):
            ask(SIZE, dtype)
    for training in (False, True):
        with pytest.raises(ValueError, match=needed):
            plan_for(model, (1, 3, *SIZE), dtype, training)


@pytest.mark.parametrize(
    "size", [32, None, (16,), (16, 16, 16), (0, 16), (16.0, 16), (True, 16), "ab"], ids=repr
)
def test_what_is_no_size(model, size):
    for ask in askers(model):
        with pytest.raises(ValueError, match=r"^size must be \(h, w\), two integers of at least 1, got "):
            ask(size, torch.float32)


@pytest.mark.parametrize("shape", [5, None, (3, 16, 16), (1, 3, "a", 16), (1, 3, 16.5, 16), (0, 3, 16, 16)])
def test_what_is_no_shape(model, shape):
    with pytest.raises(ValueError, match=r"^input_shape must be \(n, channels, h, w\), four integers of at "):
        plan_for(model, shape, torch.float32, False)


@pytest.mark.parametrize("wrong", [None, "resnet8", nn.Conv2d])
def test_what_is_no_network(wrong):
    needed = r"^a network must be a torch.nn.Module, got "
    with pytest.raises(ValueError, match=needed):
        plan_for(wrong, (1, 3, *SIZE), torch.float32, False)
    for plan in PLANS:
        with pytest.raises(ValueError, match=needed):
            why_not(plan, wrong)
        with pytest.raises(ValueError, match=needed):
            with_plan(wrong, plan)
    with pytest.raises(ValueError, match=needed):
        optimize_for_inference(wrong)
    for make in (LeanNetwork, BlockedNetwork, LeanConverted, BlockedGraph):
        with pytest.raises(ValueError, match=needed):
            make(wrong)
    for make in (FoldedNetwork, NativeNetwork):
        with pytest.raises(ValueError, match=needed):
            make(wrong, SIZE)


@pytest.mark.parametrize("other", [nn.Linear(2, 2), nn.Sequential()], ids=repr)
def test_what_is_no_resnet(other):
    told = f"it needs a ResNet of this package, got {type(other).__name__}; use the plan"
    for make, plan in ((FoldedNetwork, "folded"), (LeanNetwork, "lean"), (BlockedNetwork, "blocked")):
        given = (other, SIZE) if make is FoldedNetwork else (other,)
        with pytest.raises(ValueError, match=f'^the plan "{plan}" does not .*: {told} "reference"$'):
            make(*given)


def test_lists_and_numbers_of_numpy_are_sizes(model):
    expected = with_plan(model, "folded", size=SIZE)(images(SIZE))
    for size in ([16, 16], torch.Size(SIZE), (np.int64(16), np.uint8(16))):
        folded = with_plan(model, "folded", size=size)
        assert folded.size == SIZE
        assert torch.equal(folded(images(SIZE)), expected)
    shape = (2, 3, *SIZE)
    assert plan_for(model, [*map(np.int64, shape)], torch.float64, False) == "lean"
    with pytest.raises(ValueError, match=r"must be a batch .*, got shape \(3, 16, 16\): x\[None\]"):
        folded(images(SIZE)[0])


def test_a_snapshot_tells_what_it_was_made_for(model):
    told = "FoldedNetwork(ResNet, size=(16, 16), dtype=torch.bfloat16, width=4)"
    assert repr(FoldedNetwork(model, SIZE, torch.bfloat16)) == told


@needs_compiler
def test_a_native_snapshot_tells_it_too(model):
    told = "NativeNetwork(ResNet, size=(16, 16), dtype=torch.float32, width=4)"
    assert repr(NativeNetwork(model, [16, 16])) == told
    other = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    assert repr(NativeNetwork(other, SIZE)) == "NativeNetwork(Sequential, size=(16, 16), dtype=torch.float32)"
