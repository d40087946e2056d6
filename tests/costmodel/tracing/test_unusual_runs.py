"""Networks that run unusually: branches left out, tied and packed inputs, other element types, errors."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from costmodel.tracing import Trace, TraceError, trace

IMAGE = torch.zeros(1, 2, 5, 5)


class Branches(nn.Module):
    """An auxiliary head that runs in training alone, with a normalisation of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.auxiliary = nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))

    def forward(self, x: Tensor) -> Any:
        return (self.main(x), self.auxiliary(x)) if self.training else self.main(x)


def test_branches_that_do_not_run_are_not_counted_and_said_to_be_unused() -> None:
    traced = trace(Branches(), [torch.zeros(2, 8)], training=True)
    assert (traced.total().macs, traced.total().bn_ops) == (128, 0)
    assert traced.parameters.unused == tuple(
        f"auxiliary.{n}" for n in ("0.weight", "0.bias", "1.weight", "1.bias")
    )
    assert {m.path: m.executions for m in traced.modules if m.path} == {
        "main": 1, "auxiliary": 0, "auxiliary.0": 0, "auxiliary.1": 0,
    }  # fmt: skip
    assert traced.training is not None
    assert sum(call.cost.macs for call in traced.training.forward) == 256


def test_attention_uses_its_output_projection() -> None:
    x = torch.zeros(5, 1, 8)
    traced = trace(nn.MultiheadAttention(8, 2), [x, x, x])
    assert traced.total().macs == 4 * 5 * 64 + 2 * 25 * 8
    assert traced.parameters.unused == ()


def test_tied_parameters_count_once_and_unregistered_ones_too() -> None:
    tied = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
    tied[1].weight = tied[0].weight
    assert trace(tied, [torch.zeros(1, 8)]).parameters.all == 64

    class ByHand(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.matrices = [nn.Parameter(torch.zeros(8, 8)) for _ in range(2)]

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.matrices[0] @ self.matrices[1]

    counts = trace(ByHand(), [torch.zeros(1, 8)]).parameters
    assert (counts.all, counts.unregistered) == (128, 128)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.float16])
def test_dtypes_give_the_bytes(dtype: torch.dtype) -> None:
    (call,) = trace(nn.Conv2d(2, 4, 3, bias=False).to(dtype), [IMAGE.to(dtype)]).calls
    assert call.bytes_read == (50 + 72) * dtype.itemsize


def test_a_look_up_reads_what_it_finds() -> None:
    (call,) = trace(nn.Embedding(30522, 16), [torch.zeros(1, 5, dtype=torch.int64)]).calls
    assert (call.kind, call.cost.elements_read, call.bytes_read) == ("embedding", 5 + 80, 5 * 8 + 80 * 4)


class Keywords(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)

    def forward(self, *, image: Tensor, skip: bool = False) -> dict[str, Any]:
        print("running")
        self.calls = getattr(self, "calls", 0) + 1
        return {"first": self.conv(image), "others": [self.conv(input=image)]}


def test_keyword_inputs_prints_and_changes_of_itself(capfd: pytest.CaptureFixture[str]) -> None:
    model = Keywords()
    traced = trace(model, kwargs={"image": IMAGE})
    assert [(call.module, call.execution) for call in traced.calls] == [("conv", 1), ("conv", 2)]
    assert not hasattr(model, "calls")
    assert capfd.readouterr().out == ""


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 4, batch_first=True)

    def forward(self, x: Tensor) -> Any:
        return self.lstm(pack_padded_sequence(x, [5, 3], batch_first=True))


def test_packed_sequences_count_the_steps_they_have() -> None:
    traced = trace(Packed(), [torch.zeros(2, 5, 8)])
    assert (traced.total().macs, traced.route) == (8 * 16 * 12, "real")


def test_kinds_of_recurrent_and_attention_products() -> None:
    assert kinds(trace(nn.LSTM(8, 4), [torch.zeros(5, 2, 8)])) == {"recurrent"}
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    assert kinds(trace(encoder, [torch.zeros(1, 5, 8)])) == {"attention", "linear"}


def kinds(traced: Trace) -> set[str]:
    return {call.kind for call in traced.calls if call.cost.macs}


class Cuda(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.cuda()


def test_errors_are_one_line() -> None:
    for model in (nn.Sequential(nn.ReLU(), Cuda()), nn.Sequential(nn.Flatten(), nn.Linear(3, 2))):
        with pytest.raises(TraceError) as error:
            trace(model, [IMAGE])
        assert str(error.value).startswith("1 fails")
        assert "\n" not in str(error.value)


def test_a_step_that_cannot_be_taken_is_a_note() -> None:
    traced = trace(nn.BatchNorm1d(4), [torch.zeros(1, 4)], training=True)
    assert traced.training is None
    assert traced.notes[0].startswith(
        "no training step: (model) fails in batch_norm: ValueError: Expected more than 1 value"
    )


class Tossed(nn.Module):
    """Runs its layer once or twice, as a coin falls."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.fc(x)) if random.random() < 0.5 else self.fc(x)


@pytest.mark.parametrize("seed", range(8))
def test_a_cost_that_changes_at_random_is_refused_whatever_the_draw(seed: int) -> None:
    random.seed(seed)
    with pytest.raises(TraceError, match=r"random numbers are drawn while .* in another run; the cost of"):
        trace(Tossed(), [torch.zeros(2, 3)])
