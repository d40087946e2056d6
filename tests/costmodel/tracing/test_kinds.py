"""Operators without products: reductions, copies, views, look-ups, and what is added to a product."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costmodel.tracing import trace
from costmodel.tracing.classify import kind_of
from costmodel.tracing.raw import Raw, Spec
from tests.costmodel.tracing.functions import Function, run


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x > 0).sum(1),
        lambda x: (x > 0).sum(),
        lambda x: (x > 0).any(1),
        lambda x: (x > 0).all(),
        lambda x: (x > 0).long().argmax(1),
        lambda x: (x > 0).long().cumsum(1),
        lambda x: (x > 0).float().sum(),
    ],
)
def test_reductions_take_one_operation_per_input_of_any_dtype(function: Callable[[Tensor], Any]) -> None:
    total = run(Function(function), (2, 6)).total()
    assert (total.elementwise_ops, total.reduction_ops) == (2 * 6, 2 * 6)  # the comparison, and the reduction


ADDED: dict[str, Callable[[Tensor, float], Tensor]] = {
    "addmm": lambda x, beta: torch.addmm(torch.ones(5), x[0], torch.zeros(6, 5), beta=beta),
    "addmv": lambda x, beta: torch.addmv(torch.ones(1), x[0], torch.zeros(6), beta=beta),
    "baddbmm": lambda x, beta: torch.baddbmm(torch.ones(1, 1, 5), x, torch.zeros(2, 6, 5), beta=beta),
    "addbmm": lambda x, beta: torch.addbmm(torch.ones(3, 5), x, torch.zeros(2, 6, 5), beta=beta),
}


@pytest.mark.parametrize(("name", "outputs"), [("addmm", 15), ("addmv", 3), ("baddbmm", 30), ("addbmm", 15)])
def test_what_is_added_with_a_factor_of_0_is_no_bias_and_not_read(name: str, outputs: int) -> None:
    without, halved = (run(Function(partial(ADDED[name], beta=beta)), (2, 3, 6)).total() for beta in (0, 0.5))
    assert (without.bias_ops, halved.bias_ops) == (0, outputs)
    assert without.macs == halved.macs > 0
    assert without.elements_read < halved.elements_read


def test_an_operator_of_one_tensor_without_a_rule_is_not_taken_for_a_reduction() -> None:
    operand, result = (Spec((size,), torch.float32, size) for size in (7, 21))
    raw = Raw(torch.ops.aten._pdist_forward.default, {"self": operand, "p": 2.0}, (operand,), (result,))
    assert kind_of(raw) == "unknown"


def test_copies_to_sparse_tensors_and_back_are_no_activations() -> None:
    traced = run(Function(lambda x: x.to_sparse().to_dense()), (6, 4))
    assert [call.kind for call in traced.calls] == ["move", "move"]
    assert traced.total().activation_ops == 0


class Listed(nn.Module):
    """Its layers are in a plain list, so that their weights keep their data."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(4, 4, bias=False) for _ in range(3)]

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def test_views_of_weights_with_data_are_views() -> None:
    total = run(Listed(), (3, 4)).total()
    assert (total.macs, total.activation_ops) == (3 * 3 * 16, 0)


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_an_embedding_bag_reads_a_row_for_each_index(mode: str) -> None:
    ids = torch.zeros(8, 50, dtype=torch.long)
    (call,) = (
        call for call in trace(nn.EmbeddingBag(1000, 64, mode=mode), [ids]).calls if call.kind == "embedding"
    )
    rows, indices, starts = 8 * 50 * 64, 8 * 50, 8
    assert call.cost.elements_read == rows + indices + starts
    assert call.bytes_read == 4 * rows + 8 * (indices + starts)


@pytest.mark.parametrize(
    ("layer", "gradient", "others"),
    [
        # Indices and the bag of each; starts, sizes and maxima of the bags.
        (nn.EmbeddingBag(1000, 64), 8 * 64, 2 * 8 * 50 + 3 * 8),
        (nn.Embedding(1000, 64), 8 * 50 * 64, 8 * 50),
    ],
    ids=["bag", "rows"],
)
def test_the_gradient_of_a_look_up_reads_its_inputs_once(
    layer: nn.Module, gradient: int, others: int
) -> None:
    step = trace(layer, [torch.zeros(8, 50, dtype=torch.long)], training=True).training
    assert step is not None
    (call,) = (call for call in step.backward if call.kind == "embedding")
    assert call.cost.elements_read == gradient + others
    assert call.bytes_read == 4 * gradient + 8 * others
