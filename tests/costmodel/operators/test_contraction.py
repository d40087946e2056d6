"""Products of tensors by their shapes: as torch's own counter has them, or by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from costmodel.operators import contraction
from costmodel.operators.rules import RULES


def counted(call: Any) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call()
    return counter.get_total_flops() // 2


def test_convolutions_forth_and_back() -> None:
    x, weight = torch.zeros(2, 4, 9), torch.zeros(6, 2, 3)
    y = nn.functional.conv1d(x, weight, groups=2, stride=2)
    macs = contraction.convolution_macs(x.shape, weight.shape, y.shape)
    assert macs == counted(lambda: nn.functional.conv1d(x, weight, groups=2, stride=2))
    back, weight = torch.zeros(2, 6, 4), torch.zeros(6, 2, 3)
    z = nn.functional.conv_transpose1d(back, weight, stride=2)
    forward, transposed = (
        contraction.convolution_macs(back.shape, weight.shape, z.shape, transposed=flag)
        for flag in (False, True)
    )
    assert transposed == counted(lambda: nn.functional.conv_transpose1d(back, weight, stride=2))
    assert forward != transposed


def test_matrix_products() -> None:
    a, b = torch.zeros(5, 2, 3), torch.zeros(5, 3, 4)
    assert contraction.matmul_macs(a.shape, b.shape, (a @ b).shape) == counted(lambda: a @ b) == 120


def test_three_tensors_are_multiplied_from_the_left() -> None:
    """A bilinear layer y_o = x1 W_o x2, whose first product is summed before the second."""
    shapes = [(2, 3), (5, 3, 4), (2, 4)]
    n, o, i, j = 2, 5, 3, 4
    macs = contraction.trilinear_macs(shapes, [(1, 3), (0,), (1, 2)], (2, 3))
    assert macs == n * o * i * j + n * o * j
    # Axes may be given in any order, and what is never summed stays.
    assert contraction.trilinear_macs(shapes, [(3, 1), (0,), (2, 1)], (2, 3)) == macs
    assert contraction.trilinear_macs(shapes, [(1, 3), (0,), (1, 2)], ()) == 2 * n * o * i * j
    assert contraction.trilinear_macs(shapes, [(1, 3), (0,), (1, 2)], (3,)) == 2 * n * o * i * j
    # An axis of the third alone multiplies the second product.
    assert contraction.trilinear_macs([(2,), (2,), (2, 7)], [(1,), (1,), ()], ()) == 2 + 2 * 7


def test_attention_counts_scores_and_values() -> None:
    query, key, value = (torch.zeros(1, 4, length, size) for length, size in ((5, 8), (7, 8), (7, 3)))
    macs = contraction.attention_macs(query.shape, key.shape, value.shape)
    assert macs == counted(lambda: (query @ key.mT) @ value) == 4 * 5 * 7 * (8 + 3)
    assert contraction.attention_macs((5, 8), (7, 8), (7, 3)) == 5 * 7 * (8 + 3)


def test_rules_look_at_the_first_tensor() -> None:
    x: Tensor = torch.zeros(4, 6)
    outputs = [(2, 3), (9,)]
    assert RULES["softmax"].ops([x.shape], outputs) == 3 * 6
    assert RULES["pooling"].ops([x.shape, (1,)], outputs) == 24
    assert RULES["pooling"].ops([], outputs) == RULES["softmax"].ops([x.shape], []) == 0
