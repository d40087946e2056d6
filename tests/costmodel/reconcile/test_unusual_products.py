"""Einsum of any operands, complex numbers, images without a batch: the rules predict what tracers count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costmodel.reconcile.bridge import NoPriceError, Prediction, predict
from costmodel.reconcile.installed import installed_version, run
from costmodel.reconcile.observe import observe
from costmodel.reconcile.rules import counters

COMPLEX = torch.complex64


class Einsum(nn.Module):
    def __init__(self, equation: str, *shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.equation = equation
        self.others = nn.ParameterList([nn.Parameter(torch.ones(shape)) for shape in shapes])

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum(self.equation, x, *self.others)


class Sublists(Einsum):
    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum(x, [0, 1, 2], self.others[0], [1, 3], [0, 2, 3])


class Absolute(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).abs()  # type: ignore[no-any-return]


# A network, its input, and what fvcore counts: products of the sizes of all indices, halved where it adds.
CASES: dict[str, tuple[Callable[[], nn.Module], Tensor, int]] = {
    "three operands": (lambda: Einsum("nij,ir,jr->nr", (6, 4), (5, 4)), torch.zeros(2, 6, 5), 280),
    "four operands": (
        lambda: Einsum("nij,ir,jr,rk->nk", (6, 4), (5, 4), (4, 3)),
        torch.zeros(2, 6, 5),
        280 + 2 * 4 * 3,
    ),
    "one operand": (lambda: Einsum("nij->nj"), torch.zeros(2, 6, 5), 2 * 6 * 5),
    "a diagonal": (lambda: Einsum("nii->n"), torch.zeros(2, 5, 5), 2 * 5),
    "other letters": (
        lambda: Einsum("bij,bik->bjk", (2, 99, 101)),
        torch.zeros(2, 99, 97),
        2 * 99 * 101 * 97,
    ),
    "an axis that is repeated": (lambda: Einsum("bij, bik -> bjk", (2, 6, 3)), torch.zeros(1, 6, 5), 90),
    "an ellipsis": (lambda: Einsum("...j,jk->...k", (5, 3)), torch.zeros(2, 6, 5), 180),
    "sublists": (lambda: Sublists("", (6, 4)), torch.zeros(2, 6, 5), 240),
    "a complex convolution": (
        lambda: Absolute(nn.Conv2d(2, 3, 3, dtype=COMPLEX)),
        torch.zeros(1, 2, 6, 6, dtype=COMPLEX),
        3 * 16 * 2 * 3 * 9,
    ),
    "a complex transposed convolution": (
        lambda: Absolute(nn.ConvTranspose1d(4, 6, 3, 2, groups=2, dtype=COMPLEX)),
        torch.zeros(2, 4, 7, dtype=COMPLEX),
        3 * 2 * 7 * 4 * 3 * 3,
    ),
    "a complex convolution with padding as text": (
        lambda: Absolute(nn.Conv2d(2, 3, 3, padding="same", dtype=COMPLEX)),
        torch.zeros(1, 2, 6, 6, dtype=COMPLEX),
        0,
    ),
    "an image without a batch": (lambda: nn.Conv2d(2, 3, 3), torch.zeros(2, 6, 6), 16 * 2 * 3 * 9),
    "the same, transposed": (lambda: nn.ConvTranspose2d(2, 3, 3), torch.zeros(2, 6, 6), 36 * 2 * 3 * 9),
}


def predicted(name: str, case: str) -> Prediction:
    make, x, _ = CASES[case]
    return predict(observe(make(), [x]), counters()[name])


@pytest.mark.parametrize("case", CASES)
def test_fvcore_is_predicted(case: str) -> None:
    make, x, macs = CASES[case]
    assert predicted("fvcore", case).total == run("fvcore", make().eval(), (x,), {})
    if case != "four operands":  # the order of contraction is NumPy's choice
        assert predicted("fvcore", case).total == macs


@pytest.mark.parametrize("name", ["mmengine", "torchprofile"])
@pytest.mark.parametrize("case", CASES)
def test_other_tracers_are_predicted(name: str, case: str) -> None:
    if installed_version(name, counters()[name].package) is None:
        pytest.skip(f"{name} is not installed")
    make, x, _ = CASES[case]
    if name == "torchprofile" and "complex" in case:
        with pytest.raises(
            NoPriceError, match=r"^torchprofile is not predicted for what this network does: it "
        ):
            predicted(name, case)
        with pytest.raises(AttributeError):
            run(name, make().eval(), (x,), {})
        return
    assert predicted(name, case).total == run(name, make().eval(), (x,), {})


def test_terms_name_what_is_counted(capsys: Any) -> None:
    found = predicted("fvcore", "a complex convolution")
    assert [(term.what, term.amount) for term in found.terms] == [("convolutions", 0)]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["deepspeed", "deepspeed-macs", "calflops", "calflops-macs"])
@pytest.mark.parametrize(
    ("case", "why"),
    [("sublists", "an einsum of lists"), ("an image without a batch", "an image without a batch")],
)
def test_where_a_counter_stops_it_is_not_predicted(name: str, case: str, why: str) -> None:
    with pytest.raises(NoPriceError, match=f"^{name} is not predicted .*: it stops at {why}$"):
        predicted(name, case)
    if installed_version(name, counters()[name].package) is not None and "deepspeed" in name:
        make, x, _ = CASES[case]  # calflops leaves torch patched
        with pytest.raises((AttributeError, AssertionError)):
            run(name, make().eval(), (x,), {})
