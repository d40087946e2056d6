"""Networks that treat a size of 1 apart: their closed form holds for 1, or does not say so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from costmodel.tracing import ClosedForm, closed_form, trace

IMAGE = {0: {0: "n", 2: "h", 3: "w"}}
NOT_AT_ONE = "The formula does not hold at the given sizes: it needs n >= 2."


class Branching(nn.Module):
    """Three layers, and a function that decides which of them run; the first and the last have one size."""

    def __init__(self, function: Callable[[Branching, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Conv2d(3, 4, 3)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def is_one(x: Tensor) -> bool:
    return x.shape[0] == 1


def form_of(function: Callable[[Branching, Tensor], Tensor]) -> tuple[Branching, ClosedForm]:
    model = Branching(function)
    return model, closed_form(model, [torch.zeros(1, 3, 32, 32)], IMAGE)


CASES: dict[str, tuple[Callable[[Branching, Tensor], Tensor], str]] = {
    "a large single image has one layer more": (
        lambda m, x: m.b(m.a(x)) if is_one(x) and x.shape[2] > 64 else m.a(x),
        "for n >= 1; 3 <= h <= 64; w >= 3",
    ),
    "a small single image has one layer more": (
        lambda m, x: m.b(m.a(x)) if is_one(x) and x.shape[2] < 16 else m.a(x),
        "for n >= 1; h >= 16; w >= 3",
    ),
    "an odd single image has one layer more": (
        lambda m, x: m.b(m.a(x)) if is_one(x) and x.shape[2] % 2 else m.a(x),
        "for n >= 1; h a multiple of 2 and at least 4; w >= 3",
    ),
    "a single image has another layer of the same size": (
        lambda m, x: m.a(x) if is_one(x) else m.c(x),
        "for n >= 2; h, w >= 3",
    ),
    "a batch has one layer more": (
        lambda m, x: m.a(x) if is_one(x) else m.b(m.a(x)),
        "for n >= 2; h, w >= 3",
    ),
    "a batch has a softmax more": (
        lambda m, x: m.a(x) if is_one(x) else m.a(x).softmax(1),
        "for n >= 2; h, w >= 3",
    ),
    "a batch has other arithmetic": (
        lambda m, x: m.a(x) * 2 if is_one(x) else (m.a(x) * 2) / 3,
        "for n >= 2; h, w >= 3",
    ),
    "all batches alike": (lambda m, x: m.b(F.relu(m.a(x))), "for n >= 1; h, w >= 3"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_domain_has_a_size_of_one_only_where_the_form_holds_for_it(case: str) -> None:
    function, domain = CASES[case]
    model, form = form_of(function)
    assert (form.status, form.domain.text) == ("exact for the domain", domain)
    for n, h in ((1, 9), (1, 32), (1, 70), (1, 33), (2, 70)):
        sizes = {"n": n, "h": h, "w": 20}
        if form.domain.holds(sizes):
            assert form.at(**sizes) == trace(model, [torch.zeros(n, 3, h, 20)]).total()


def test_a_bound_of_a_single_image_is_said() -> None:
    _, form = form_of(CASES["a large single image has one layer more"][0])
    assert form.specialised == {"h": "h <= 64, bounded before a: aten.convolution at n = 1"}


@pytest.mark.parametrize(
    ("function", "least", "caveat"),
    [
        (lambda m, x: m.b(m.a(x)) if is_one(x) and x.shape[2] > 128 else m.a(x), 2, NOT_AT_ONE),
        (lambda m, x: m.a(x) if is_one(x) else m.b(m.a(x)), 2, NOT_AT_ONE),
        (lambda m, x: m.a(x), 1, ""),
    ],
    ids=["large single images", "batches", "neither"],
)
def test_an_interpolated_form_is_checked_at_one_in_every_layer_and_for_large_images(
    function: Callable[[Branching, Tensor], Tensor], least: int, caveat: str
) -> None:
    def fixing(model: Branching, x: Tensor) -> Tensor:
        return function(model, x @ torch.zeros(int(x.shape[3]), int(x.shape[3])))

    model = Branching(fixing)
    form = closed_form(model, [torch.zeros(1, 3, 96, 96)], IMAGE)
    assert form.status.startswith("interpolated")
    assert form.domain.text == f"for n >= {least}; h, w multiples of 32 and at least 96"
    assert form.caveat == caveat
