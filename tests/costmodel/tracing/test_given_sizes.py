"""A formula that is asked for at sizes holds at these sizes, or says that it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costmodel.checks.foreign_proof import prove_network
from costmodel.tracing import closed_form, trace
from costmodel.tracing.calls import UndefinedCostError

IMAGES = {0: {0: "n", 2: "h", 3: "w"}}


class If(nn.Module):
    """A convolution, and another one at some sizes."""

    def __init__(self, applies: Callable[[int, int], bool]) -> None:
        super().__init__()
        self.applies = applies
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        return self.b(y) if self.applies(x.shape[2], x.shape[3]) else y


def test_a_lone_tensor_is_the_only_input() -> None:
    module, x = nn.Conv2d(3, 4, 3), torch.zeros(1, 3, 8, 8)
    assert closed_form(module, x, IMAGES).total.macs == closed_form(module, [x], IMAGES).total.macs
    assert prove_network(module, x, IMAGES).form.total.macs == closed_form(module, [x], IMAGES).total.macs


@pytest.mark.parametrize(
    "symbols", [None, "h,w", ["n", "h"], {0: "h"}, {0: ["n", "h"]}, {0: {2: 3}}, {0: {"h": 2}}]
)
def test_names_that_are_not_by_input_and_axis_are_refused(symbols: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^symbols must be the names of sizes by input and axis, such as .*, got "
    ):
        closed_form(nn.Conv2d(3, 4, 3), [torch.zeros(1, 3, 8, 8)], symbols)


@pytest.mark.parametrize("size", [(1, 3, 32, 32), (2, 3, 8, 8), (1, 3, 32, 30), (2, 3, 5, 9)])
@pytest.mark.parametrize(
    "applies", [lambda h, w: h == w, lambda h, w: h != w, lambda h, w: h >= w, lambda h, w: h < w]
)
def test_a_formula_holds_at_the_sizes_it_is_asked_for(
    applies: Callable[[int, int], bool], size: tuple[int, ...]
) -> None:
    module, x = If(applies), torch.zeros(size)
    form = closed_form(module, [x], IMAGES)
    assert (form.status, form.caveat) == ("exact for the domain", "")
    n, _, h, w = size
    assert form.value("macs", n=n, h=h, w=w) == trace(module, [x]).total().macs


def test_one_that_does_not_hold_there_says_so() -> None:
    form = closed_form(If(lambda h, w: (h - 50) ** 2 > 100), [torch.zeros(1, 3, 20, 20)], IMAGES)
    assert not form.domain.holds({"n": 1, "h": 20, "w": 20})
    assert form.caveat == "The formula does not hold at the given sizes: it needs h >= 61."


def asks_for_the_type(size: Any, _: Any) -> bool:
    return type(size) is int and size > 6


def compares_types(size: Any, other: Any) -> bool:
    return not isinstance(size, torch.SymInt) and not isinstance(other, torch.SymInt)


@pytest.mark.parametrize("applies", [asks_for_the_type, compares_types])
def test_code_that_tells_symbols_from_numbers_is_not_taken_for_what_runs_on_symbols(
    applies: Callable[[Any, Any], bool],
) -> None:
    module, x = If(applies), torch.zeros(2, 3, 8, 8)
    form = closed_form(module, [x], IMAGES)
    assert form.status.startswith("interpolated, checked at")
    assert form.value("macs", n=2, h=8, w=8) == trace(module, [x]).total().macs == 2 * 64 * 9 * (12 + 16)
    proof = prove_network(module, [x], IMAGES)
    assert not proof.holds
    assert proof.failures[0].startswith("the closed form is interpolated")


def test_without_other_sizes_such_code_is_refused() -> None:
    """At every other size it stops, so that there is nothing to interpolate."""

    def stops(size: Any, _: Any) -> bool:
        if type(size) is int and size != 8:
            raise ValueError("8 rows are needed")
        return type(size) is int

    with pytest.raises(
        UndefinedCostError, match=r"^\(model\) tells symbols from numbers: at the given sizes"
    ):
        closed_form(If(stops), [torch.zeros(2, 3, 8, 8)], {0: {2: "h"}})


class Token(nn.Module):
    """`len` gives a number, which fixes the batch on symbols."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 10)
        self.token, self.places = nn.Parameter(torch.zeros(1, 1, 8)), nn.Parameter(torch.zeros(1, 17, 8))

    def forward(self, x: Tensor) -> Tensor:
        y = self.patch(x).flatten(2).transpose(1, 2)
        return self.head(torch.cat((self.token.expand(len(x), -1, -1), y), 1) + self.places)


@pytest.mark.parametrize("batch", [1, 3])
def test_what_the_code_fixes_is_fixed_at_the_given_sizes(batch: int) -> None:
    module, x = Token(), torch.zeros(batch, 3, 16, 16)
    form = closed_form(module, [x], IMAGES)
    assert form.caveat == ""
    assert form.value("macs", n=batch, h=16, w=16) == trace(module, [x]).total().macs


class Nearest(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.zeros(64, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cdist(x.permute(0, 2, 3, 1).reshape(-1, 3), self.codes)


@pytest.mark.parametrize("side", [2, 5, 8])
def test_distances_have_one_formula_for_few_rows_and_for_many(side: int) -> None:
    """torch computes those of more than 25 rows in another way."""
    module, x = Nearest(), torch.zeros(1, 3, side, side)
    form = closed_form(module, [x], IMAGES)
    assert (str(form.total.macs), form.domain.text) == ("192*h*n*w", "for n >= 1; h, w >= 2")
    for n, h, w in [(1, side, side), (1, 2, 2), (2, 7, 9)]:
        assert form.value("macs", n=n, h=h, w=w) == trace(module, [torch.zeros(n, 3, h, w)]).total().macs


def test_a_proof_names_the_operators_that_nothing_confirms() -> None:
    proof = prove_network(Nearest(), [torch.zeros(2, 3, 8, 8)], IMAGES)
    assert proof.failures[:1] == ("torch counted nothing: no operator with MACs ran",)
    both = nn.Sequential(nn.Conv2d(3, 3, 1), Nearest())
    found = prove_network(both, [torch.zeros(2, 3, 8, 8)], IMAGES).failures
    name = "torch's counter has no rule for aten._cdist_forward: nothing confirms its 192*h*n*w MACs"
    assert found[0] == name
    assert found[1].startswith("(model): formula ")
