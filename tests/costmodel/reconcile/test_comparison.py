"""The README's table of counters: its cells follow from rules that other tests hold against the counters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from costmodel.reconcile.bridge import predict
from costmodel.reconcile.events import Seen
from costmodel.reconcile.observe import observe
from costmodel.reconcile.rules import counters

README = Path(__file__).parents[3] / "README.md"
RULES = {
    "fvcore": "fvcore",
    "FlopCounterMode": "torch",
    "torchinfo": "torchinfo",
    "ptflops": "ptflops",
    "thop": "thop",
    "torchscan": "torchscan",
}


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(8, 4, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, self.weight)


class Attention(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.scaled_dot_product_attention(x, x, x)


# What each row asks: a network with one operator, its input, and its MACs by hand.
PROBES: Mapping[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "counts `F.conv2d`": (Functional, (1, 4, 8, 8), 8 * 4 * 9 * 6 * 6),
    'counts `padding="same"`': (
        lambda: nn.Sequential(nn.Conv2d(4, 8, 3, padding="same", bias=False)),
        (1, 4, 8, 8),
        8 * 4 * 9 * 8 * 8,
    ),
    "counts transposed convolutions correctly": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 8, 2, stride=2, bias=False)),
        (1, 4, 8, 8),
        4 * 8 * 4 * 8 * 8,
    ),
    "counts a linear layer on a sequence correctly": (
        lambda: nn.Sequential(nn.Linear(8, 4, bias=False)),
        (2, 10, 8),
        2 * 10 * 8 * 4,
    ),
    "counts attention on the CPU": (Attention, (1, 2, 16, 8), 2 * 2 * 16 * 16 * 8),
}


def table() -> dict[str, dict[str, str]]:
    """The table: by row, by column."""
    lines = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    start = next(i for i, line in enumerate(lines) if line.startswith("| | pwoct-cost"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:]]
    header, rows = cells[0][1:], cells[2:]
    return {row[0]: dict(zip(header, row[1:], strict=True)) for row in rows if len(row) == len(header) + 1}


@cache
def seen(row: str) -> Seen:
    make, shape, _ = PROBES[row]
    return observe(make().eval(), [torch.zeros(shape)])


def test_the_table_has_the_rows_that_are_tested() -> None:
    assert set(PROBES) < set(table())
    assert {cell for row in table().values() for cell in row.values()} == {"yes", "no"}


@pytest.mark.parametrize("row", PROBES)
def test_our_cell_is_true(row: str) -> None:
    assert table()[row]["pwoct-cost"] == "yes"
    assert seen(row).macs == PROBES[row][2]


@pytest.mark.parametrize("column", RULES)
@pytest.mark.parametrize("row", PROBES)
def test_a_cell_is_what_the_counters_rules_say(row: str, column: str) -> None:
    rules = counters()[RULES[column]]
    expected = PROBES[row][2] * (2 if rules.unit == "FLOP" else 1)
    said = predict(seen(row), rules).total
    assert table()[row][column] == ("yes" if said == expected else "no")
