"""Products that a forward method computes itself: ultralytics-thop counts them, and its rules predict it.

The expected numbers are those of ultralytics-thop 2.2.3. Where it is installed, it is asked again.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from costmodel.reconcile.bridge import predict
from costmodel.reconcile.installed import installed_version, run
from costmodel.reconcile.observe import observe
from costmodel.reconcile.rules import counters

COUNTER = "ultralytics-thop"
Shape = tuple[int, ...]


class Code(nn.Module):
    """A function of the input and of parameters of given shapes."""

    def __init__(self, function: Callable[..., Tensor], *shapes: Shape) -> None:
        super().__init__()
        self.function = function
        self.others = nn.ParameterList([nn.Parameter(torch.ones(shape)) for shape in shapes])

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.others)


def einsum(equation: str, function: Callable[..., Tensor] = torch.einsum) -> Callable[..., Tensor]:
    """Return an einsum of an equation; `function` is what a module has that imported it by name."""
    return lambda *operands: function(equation, *operands)


def einsum_of_torch(equation: str) -> Callable[..., Tensor]:
    return lambda *operands: torch.einsum(equation, *operands)


def attention(x: Tensor, projections: Tensor, out: Tensor) -> Tensor:
    given: list[Any] = [x, x, x, 4, 2, projections, None, None, None, False, 0.0, out, None]
    return F.multi_head_attention_forward(*given, training=False)[0]


# A function, its count, and the shapes of its operands.
CODE: dict[str, tuple[Callable[..., Tensor], int, Shape, *tuple[Shape, ...]]] = {
    "@": (lambda x, w: x @ w, 120, (2, 3, 4), (4, 5)),
    "the operator's function": (operator.matmul, 120, (2, 3, 4), (4, 5)),
    "matmul": (torch.matmul, 120, (2, 3, 4), (4, 5)),
    "two vectors": (lambda x, w: x @ w, 4, (4,), (4,)),
    "a matrix and a vector": (lambda x, w: x @ w, 12, (3, 4), (4,)),
    "a vector and a matrix": (lambda x, w: x @ w, 20, (4,), (4, 5)),
    "broadcast": (lambda x, w: x @ w, 720, (2, 1, 3, 4), (6, 4, 5)),
    "@ in @": (lambda x, w: x @ w @ w, 96, (3, 4), (4, 4)),
    "bmm": (torch.bmm, 120, (2, 3, 4), (2, 4, 5)),
    "linear": (F.linear, 60, (3, 4), (5, 4)),
    "attention of one operator": (
        lambda x, w: F.scaled_dot_product_attention(x, w, value=w),
        2 * 3 * 5 * 8,
        (2, 3, 4),
        (2, 5, 4),
    ),
    "mm, which it does not count": (torch.mm, 0, (3, 4), (4, 5)),
    "einsum": (einsum("nij,jk->nik"), 120, (2, 3, 4), (4, 5)),
    "einsum of torch": (einsum_of_torch("nij,jk->nik"), 120, (2, 3, 4), (4, 5)),
    "einsum of a list": (lambda *o: torch.einsum("nij,jk->nik", list(o)), 120, (2, 3, 4), (4, 5)),
    "einsum without an output": (einsum("nij, jk"), 120, (2, 3, 4), (4, 5)),
    "einsum with an ellipsis": (einsum("...j,jk->...k"), 120, (2, 3, 4), (4, 5)),
    "einsum with two": (einsum("...ij,...jk->...ik"), 720, (2, 6, 3, 4), (6, 4, 5)),
    "einsum that broadcasts": (einsum("...ij,...jk"), 720, (2, 6, 3, 4), (1, 4, 5)),
    "einsum that sums an ellipsis": (einsum("...ij,jk->ik"), 60, (2, 3, 4), (4, 5)),
    "einsum that sums an axis": (einsum("nij,jk->nk"), 40, (2, 3, 4), (4, 5)),
    "einsum with an axis of 1": (einsum("nij,ik->njk"), 40, (2, 1, 4), (1, 5)),
    "einsum of a diagonal": (einsum("nii,ik->nk"), 30, (2, 3, 3), (3, 5)),
    "einsum of one": (einsum("nij->nji"), 0, (2, 3, 4)),
    "einsum of three": (einsum("nij,jk,kl->nil"), 0, (2, 3, 4), (4, 5), (5, 6)),
    "einsum of axes": (
        lambda x, w: torch.einsum(x, [0, 1, 2], w, [2, 3], [0, 1, 3]),
        120,
        (2, 3, 4),
        (4, 5),
    ),
    "einsum of axes alone": (lambda x, w: torch.einsum(x, [0, 1, 2], w, [2, 3]), 120, (2, 3, 4), (4, 5)),
    "einsum of other axes": (
        lambda x, w: torch.einsum(x, [..., 2], w, [2, 3], [..., 3]),
        120,
        (2, 3, 4),
        (4, 5),
    ),
    "attention by a function": (attention, 624, (3, 2, 4), (12, 4), (4, 4)),
}


class Attended(nn.Module):
    def __init__(self, *, weights: bool = True, **options: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, **options)
        self.weights = weights

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=self.weights)[0]  # type: ignore[no-any-return]


# Options, the count, and the shape of the input.
ATTENTION: dict[str, tuple[dict[str, Any], int, Shape]] = {
    "batch first": ({"batch_first": True}, 624, (2, 3, 4)),
    "steps first": ({}, 624, (3, 2, 4)),
    "without weights": ({"weights": False}, 624, (3, 2, 4)),
    "without a batch": ({}, 312, (3, 4)),
    "without a batch, batch first": ({"batch_first": True, "weights": False}, 312, (3, 4)),
    "with a key that is added": ({"add_bias_kv": True}, 708, (3, 2, 4)),
    "with two": ({"add_bias_kv": True, "add_zero_attn": True, "weights": False}, 792, (3, 2, 4)),
}


def agrees(make: Callable[[], nn.Module], shape: Shape, count: int) -> None:
    x = torch.ones(shape)
    assert predict(observe(make(), [x]), counters()[COUNTER]).total == count
    if installed_version(COUNTER, counters()[COUNTER].package) is not None:
        assert run(COUNTER, make().eval(), (x,), {}) == count


@pytest.mark.parametrize("case", CODE)
def test_products_in_code_are_predicted(case: str) -> None:
    function, count, shape, *others = CODE[case]
    agrees(lambda: Code(function, *others), shape, count)


@pytest.mark.parametrize("case", ATTENTION)
def test_attention_is_predicted(case: str) -> None:
    options, count, shape = ATTENTION[case]
    agrees(lambda: Attended(**options), shape, count)


def test_what_it_does_not_count_is_a_term() -> None:
    net = Code(einsum("nij,jk,kl->nil"), (4, 5), (5, 6))
    (term,) = predict(observe(net, [torch.ones(2, 3, 4)]), counters()[COUNTER]).terms
    assert term.what == "linear, which it does not count"
    assert term.amount == -(2 * 3 * 4 * 5 + 2 * 3 * 5 * 6)
