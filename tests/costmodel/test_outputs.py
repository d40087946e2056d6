"""Tensors are found in whatever a network returns."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from costmodel.outputs import tensors_in


def test_tensors_are_found_a_few_levels_deep() -> None:
    x = torch.zeros(1)
    for levels, found in ((0, 1), (7, 1), (8, 1), (9, 0)):
        value: Any = x
        for _ in range(levels):
            value = SimpleNamespace(inner=value)
        assert len(tensors_in(value)) == found
    endless = SimpleNamespace()
    endless.itself = endless
    assert tensors_in(endless) == []


@dataclass
class Pair:
    first: Tensor
    second: Any


@dataclass
class Slotted:
    __slots__ = ("only",)
    only: Tensor


def test_tensors_of_objects_of_all_kinds() -> None:
    x, y, z = (torch.zeros(n) for n in (1, 2, 3))
    found = tensors_in(
        [Pair(x, {"y": y}), Slotted(z), Pair, nn.Linear(2, 2), None, "text", 3, frozenset({x})]
    )
    assert [len(one) for one in found] == [1, 2, 3, 1]
