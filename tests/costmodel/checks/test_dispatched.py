"""The work of single ATen operators, by hand: calls, elements read and written, element operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad

from costmodel.checks.dispatched import Dispatched, Work, distinct_elements

B, C, H, W = 2, 3, 4, 6
MAPS = B * C * H * W
IMAGES = torch.zeros(B, C, H, W)


def work(run: Callable[[Tensor], Any], x: Tensor = IMAGES) -> Mapping[str, Work]:
    with torch.no_grad(), Dispatched() as seen:
        run(x)
    return dict(seen.work)


@pytest.mark.parametrize(
    ("run", "part", "expected"),
    [
        (nn.Conv2d(3, 5, 1, bias=False), "conv", Work(1, MAPS + 15, B * 5 * H * W, 0)),
        (nn.Conv2d(3, 5, 1), "conv", Work(1, MAPS + 15 + 5, B * 5 * H * W, B * 5 * H * W)),
        (nn.BatchNorm2d(3).eval(), "bn", Work(1, MAPS + 4 * C, MAPS, 2 * MAPS)),
        (nn.ReLU(), "activation", Work(1, MAPS, MAPS, MAPS)),
        (lambda x: avg_pool2d(x, 2), "pool", Work(1, MAPS, MAPS // 4, MAPS)),
        (lambda x: x.mean((2, 3)), "pool", Work(1, MAPS, B * C, MAPS)),
        (lambda x: torch.cat([x, x[:, :1]], 1), "concatenate", Work(1, MAPS * 4 // 3, MAPS * 4 // 3, 0)),
        (lambda x: x + x[:, :1], "add", Work(1, MAPS + MAPS // 3, MAPS, MAPS)),
        (lambda x: pad(x, (0, 0, 0, 0, 1, 2)), "zero_pad", Work(1, MAPS, MAPS * 2, 0)),
        (torch.exp, "exp", Work(1, MAPS, MAPS, MAPS)),  # without a part: under its own name
    ],
)
def test_one_operator(run: Callable[[Tensor], Any], part: str, expected: Work) -> None:
    assert work(run) == {part: expected}


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer(bias: bool) -> None:
    found = work(nn.Linear(3, 5, bias=bias), torch.zeros(2, 3))
    assert found == {"linear" if bias else "mm": Work(1, 6 + 15 + 5 * bias, 10, 10)}


def test_repeated_elements_are_read_once() -> None:
    def twice(x: Tensor) -> Tensor:
        return x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2).reshape(B, C, 2 * H, 2 * W)

    assert work(twice) == {"upsample": Work(1, MAPS, 4 * MAPS, 4 * MAPS)}
    assert distinct_elements(torch.zeros(5, 1, 1).expand(5, 4, 1)) == 5


def test_views_and_empty_statistics_are_free() -> None:
    assert work(lambda x: x.view(B, -1).t().unsqueeze(0)[:, 1:].permute(2, 0, 1).detach()) == {}


def test_calls_add_up() -> None:
    assert work(lambda x: x.relu() + x.relu()) == {
        "activation": Work(2, 2 * MAPS, 2 * MAPS, 2 * MAPS),
        "add": Work(1, 2 * MAPS, MAPS, MAPS),
    }
    assert Work(1, 2, 3, 4).plus((10, 20, 30, 40)) == (11, 22, 33, 44)


@pytest.mark.parametrize("amounts", [(1, 2), (0, 0, 3, 1), (1, 2, 3, 4, 5, 6), (0, 1, 2, 0, 0, 3, 4, 0)])
def test_a_padded_map_has_the_size_that_torch_gives_it(amounts: tuple[int, ...]) -> None:
    with Dispatched():
        padded = torch.constant_pad_nd(IMAGES, amounts)
    assert padded.shape == torch.constant_pad_nd(IMAGES, amounts).shape
