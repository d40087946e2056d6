"""Modules on which counters and class-based formulas go wrong: each with its value by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from costmodel.tracing import trace
from tests.costmodel.tracing.test_trace import LowRank, Same

IMAGE = torch.zeros(1, 2, 5, 5)
ONE = 3 * 3 * 2 * 4 * 9  # MACs of Conv2d(2, 4, 3) on IMAGE


class Standardised(nn.Conv2d):
    """Weight standardisation, as in NFNets: the weight is normalised, scaled, and then convolved with."""

    def __init__(self) -> None:
        super().__init__(2, 4, 3)
        self.gain = nn.Parameter(torch.ones(4, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        flat = self.weight.reshape(1, 4, -1)
        weight = F.batch_norm(flat, None, None, weight=self.gain.view(-1), training=True)
        return F.conv2d(x, weight.reshape_as(self.weight), self.bias)


class Masked(nn.Conv2d):
    def __init__(self) -> None:
        super().__init__(2, 4, 3)
        self.strength = nn.Parameter(torch.ones(()))
        self.register_buffer("mask", torch.ones(4, 2, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask * self.strength, self.bias)


class Sliced(nn.Conv2d):
    """Uses half of its filters."""

    def forward(self, x: Tensor) -> Tensor:
        assert self.bias is not None
        return F.conv2d(x, self.weight[:2], self.bias[:2])


class WithVector(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.mv(torch.zeros(8, 16), torch.zeros(16)).sum()


class TwoArguments(nn.Conv2d):
    def forward(self, x: Tensor, scale: float = 1.0, *, shift: float = 0.0) -> tuple[Tensor, float]:
        return super().forward(x) * scale + shift, scale


class Convolves(nn.Module):
    """Calls its convolution in some way."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.conv, self.how = nn.Conv2d(2, 4, 3), how

    def forward(self, x: Tensor) -> Any:
        if self.how == "directly":
            return self.conv.forward(x)
        if self.how == "functionally":
            return functional_call(self.conv, dict(self.conv.named_parameters()), (x,))
        if self.how == "in a dataclass":
            return Result(self.conv(x))
        if self.how == "unused":
            self.conv(x)
            return x
        return self.conv(x) * (1 if torch.rand(()) > 2 else 2)


@dataclass
class Result:
    y: Tensor


CASES: dict[str, tuple[nn.Module, int, int]] = {  # MACs and parameters
    "pads by itself": (Same(2, 4, 3), 25 * 4 * 18, 76),
    "weight standardisation": (Standardised(), ONE, 80),
    "masked, with a scalar": (Masked(), ONE, 77),
    "slices its weight": (Sliced(2, 4, 3), ONE // 2, 76),
    "a product by hand besides": (WithVector(2, 4, 3), ONE + 128, 76),
    "returns a tuple, takes more arguments": (TwoArguments(2, 4, 3), ONE, 76),
    "direct forward": (Convolves("directly"), ONE, 76),
    "functional call": (Convolves("functionally"), ONE, 76),
    "dataclass": (Convolves("in a dataclass"), ONE, 76),
    "unused result": (Convolves("unused"), ONE, 76),
    "random in eval mode": (Convolves("at random"), ONE, 76),
    "weight_norm": (nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 4, 3)), ONE, 80),
    "spectral_norm": (nn.utils.parametrizations.spectral_norm(nn.Conv2d(2, 4, 3)), ONE + 4 * 18 + 4, 76),
}


@pytest.mark.parametrize("case", CASES)
def test_what_ran_is_counted(case: str) -> None:
    model, macs, parameters = CASES[case]
    traced = trace(model, [IMAGE], training=True)
    assert (traced.total().macs, traced.parameters.all) == (macs, parameters)
    assert traced.uncovered() == ()
    assert traced.training is not None


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Lazy modules:UserWarning")
@pytest.mark.parametrize("kind", ["scripted", "lazy"])
def test_scripted_and_lazy_modules(kind: str) -> None:
    plain = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU())
    model = torch.jit.script(plain) if kind == "scripted" else nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU())
    traced = trace(model, [IMAGE], training=True)
    assert (traced.total().macs, traced.parameters.all) == (ONE, 76)
    assert traced.training is not None
    assert all(parameter.grad is None for parameter in model.parameters())


def test_same_padding_has_the_activations_of_its_output() -> None:
    assert trace(Same(2, 4, 3), [torch.zeros(1, 2, 4, 4)]).total().activations == 64


def test_a_low_rank_update_is_counted_with_its_parameters() -> None:
    traced = trace(LowRank(), [torch.zeros(3, 8)])
    assert (traced.total().macs, traced.parameters.all) == (228, 76)
    assert traced.parameters.unused == ()


def test_work_on_weights_is_apart() -> None:
    work = trace(Standardised(), [IMAGE]).on_weights()
    assert (work.macs, work.bn_ops) == (0, 2 * 72)
    merged = trace(Merged(), [torch.zeros(3, 8)])
    assert (merged.total().macs, merged.on_weights().macs) == (144 + 96, 96)


class Merged(LowRank):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight + self.b @ self.a)


def test_gradients_disabled_at_import_change_nothing() -> None:
    model = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
    with disabled_gradients():
        training = trace(model, [torch.zeros(1, 8)], training=True).training
    assert training is not None
    assert training.macs == 2 * 64 + 3 * 64
    with disabled_gradients():
        encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        traced = trace(encoder, [torch.zeros(1, 5, 8)])
    assert traced.by_module()["linear1"].macs == traced.by_module()["linear2"].macs == 640


@contextmanager
def disabled_gradients() -> Iterator[None]:
    torch.set_grad_enabled(False)
    try:
        yield
    finally:
        torch.set_grad_enabled(True)


class Summed(nn.Module):
    def __init__(self, equation: str) -> None:
        super().__init__()
        self.conv, self.equation = nn.Conv2d(3, 4, 1), equation

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum(self.equation, self.conv(x))


@pytest.mark.parametrize("equation", ["bchw->bc", "bchw->bhwc", "bchw->"])
def test_sums_and_permutations_by_einsum_have_no_macs(equation: str) -> None:
    assert trace(Summed(equation), [torch.zeros(1, 3, 4, 4)]).total().macs == 192


class Detached(nn.Module):
    """A convolution without gradients, one whose gradient stops, and one that is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = self.a(x)
        self.c(y)
        return self.b(y.detach())


def test_training_is_one_real_step() -> None:
    training = trace(Detached(), [torch.zeros(1, 4, 6, 6)], training=True).training
    assert training is not None
    assert training.macs == 4 * (36 * 16 * 9)  # three forward, and the gradient of b's weight


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4, bias=False)
        self.b = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Tanh(), nn.Linear(4, 4, bias=False), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = checkpoint(self.b, self.a(x), use_reentrant=False)
        return y


def test_what_checkpointing_computes_again_counts_again() -> None:
    training = trace(Checkpointed(), [torch.zeros(2, 4)], training=True).training
    assert training is not None
    assert training.macs == 32 * (3 + 5 + 2)  # forward, gradients, again
    assert training.saved_by_module.keys() <= {"", "a", "b"}
