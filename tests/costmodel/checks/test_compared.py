"""What torch's counter counts beyond our formulas, or too often, is told apart from what differs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import flop_registry

from costmodel.checks.counters import count_by_torch
from costmodel.checks.foreign import AGREES, DIFFERS, PARTLY, NetworkReport
from costmodel.checks.foreign_report import summary
from costmodel.checks.verify_foreign import verify_module
from costmodel.tracing import trace
from tests.costmodel.checks import zoo


def row(report: NetworkReport, quantity: str) -> tuple[int, int, str]:
    (found,) = [r for r in report.totals if (r.quantity, r.counter) == (quantity, "torch")]
    return found.formula, found.count, found.defect


# Input and output channels, kernel, stride, groups; each multiplies every input pixel with its kernel.
@pytest.mark.parametrize(
    ("layer", "shape", "macs", "groups"),
    [
        (nn.ConvTranspose2d(8, 4, 2, 2, bias=False), (1, 8, 6, 6), 36 * 8 * 4 * 4, 1),
        (nn.ConvTranspose2d(4, 8, 2, 2, groups=4), (1, 4, 6, 6), 36 * 4 * 2 * 4, 4),
        (nn.ConvTranspose2d(4, 4, 4, groups=2), (1, 4, 4, 4), 16 * 4 * 2 * 16, 2),
        (nn.ConvTranspose1d(6, 4, 3, 2, groups=2), (2, 6, 7), 2 * 7 * 6 * 2 * 3, 2),
        (nn.ConvTranspose3d(4, 8, (1, 2, 3), groups=4), (1, 4, 3, 3, 3), 27 * 4 * 2 * 6, 4),
        (nn.ConvTranspose2d(3, 3, 4, 2, 1, groups=3), (4, 3, 5, 4), 4 * 20 * 3 * 16, 3),
        (nn.Conv3d(4, 8, 2, groups=2), (1, 4, 3, 3, 3), 8 * 8 * 2 * 8, 2),
        (nn.Conv2d(4, 8, 3, groups=4), (4, 5, 5), 9 * 8 * 9, 4),  # without a batch
    ],
    ids=str,
)
def test_groups_of_any_convolution_explain_the_count_of_a_step(
    layer: nn.Module, shape: tuple[int, ...], macs: int, groups: int
) -> None:
    report = verify_module(layer, [torch.zeros(shape)])
    defect = "grouped weight gradient" if groups > 1 else ""
    assert row(report, "training MACs") == (2 * macs, macs + groups * macs, defect)
    assert report.verdict == AGREES


def test_a_grouped_and_a_transposed_convolution_are_told_apart() -> None:
    model = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1, groups=4), nn.ConvTranspose2d(8, 4, 2, 2))
    one, two = 36 * 8 * 9, 36 * 8 * 4 * 4
    report = verify_module(model, [torch.zeros(1, 4, 6, 6)])
    defect = "grouped weight gradient"
    assert row(report, "training MACs") == (2 * one + 3 * two, one + 4 * one + 3 * two, defect)
    assert report.verdict == AGREES


class Slope(nn.Module):
    """The gradient with respect to the input, as networks of energies compute forces; or to the weight."""

    def __init__(self, conv: nn.Module, *, weight: bool = False) -> None:
        super().__init__()
        self.conv, self.weight = conv, weight

    def forward(self, x: Tensor) -> Tensor:
        x = x.requires_grad_(True)
        y = self.conv(x)
        of: Any = self.conv.weight if self.weight else x
        (found,) = torch.autograd.grad((y * y).sum(), of, create_graph=True)
        return found


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_gradients_of_convolutions_in_a_forward_pass_are_counted(kind: Any, groups: int) -> None:
    model = Slope(kind(4, 8, 3, groups=groups))
    positions = 16 if kind is nn.Conv2d else 36  # of the output, and of the input
    macs = positions * 9 * 4 * 8 // groups
    traced = trace(model, [torch.zeros(1, 4, 6, 6)])
    assert {path: cost.macs for path, cost in traced.by_module().items()} == {"": 2 * macs, "conv": macs}
    assert traced.uncovered() == ()
    report = verify_module(model, [torch.zeros(1, 4, 6, 6)])
    assert (report.verdict, report.differences) == (AGREES, [])


def test_gradients_of_grouped_weights_in_a_forward_pass_are_a_known_defect_of_torch() -> None:
    macs = 9 * 16 * 8 * 2
    report = verify_module(Slope(nn.Conv2d(4, 8, 3, groups=2), weight=True), [torch.zeros(1, 4, 6, 6)])
    assert row(report, "MACs") == (2 * macs, 3 * macs, "grouped weight gradient")
    assert report.verdict == PARTLY  # no counter confirms it
    (defect,) = [d for r in report.rows for d in r.defects.values()]
    assert defect.evidence == "its rule for the gradient of grouped weights ignores the groups"


def kernel(name: str) -> Any:
    """Return an operator of a library that stands for a kernel that multiplies."""

    @torch.library.custom_op(f"pwoct_tests::{name}", mutates_args=())
    def of_library(x: Tensor) -> Tensor:
        return x.clone()

    of_library.register_fake(torch.empty_like)
    of_library.register_autograd(lambda _, gradient: gradient)
    return of_library


mix, shift = kernel("mix"), kernel("shift")


class Mixed(zoo.Pairs):
    def forward(self, x: Tensor) -> Any:
        return mix(self.first(x)[0])


class MixedTwice(Mixed):
    def forward(self, x: Tensor) -> Any:
        return shift(mix(self.first(x)[0]))


@pytest.fixture
def ruled() -> Iterator[None]:
    """Give torch's counter a rule for the kernels: 7 FLOPs."""
    operators = torch.ops.pwoct_tests.mix, torch.ops.pwoct_tests.shift
    flop_registry.update(dict.fromkeys(operators, lambda *_, **__: 7))
    yield
    for operator in operators:
        del flop_registry[operator]


@pytest.mark.usefixtures("ruled")
@pytest.mark.parametrize(
    ("model", "left_out"),
    [(Mixed(), "3 {} of pwoct_tests.mix"), (MixedTwice(), "6 {} of pwoct_tests.mix, pwoct_tests.shift")],
)
def test_what_torch_counts_of_uncovered_operators_is_not_compared(model: nn.Module, left_out: str) -> None:
    report = verify_module(model, [torch.zeros(1, 3, 6, 5)])
    macs = 3 * 4 * 30
    assert (report.verdict, report.differences) == (PARTLY, [])
    assert row(report, "MACs") == (macs, macs, "")
    assert row(report, "training MACs") == (2 * macs, 2 * macs, "")
    assert row(report, "activations") == (4 * 30, 4 * 30, "")
    for quantity in ("MACs", "training MACs"):
        note = f"torch: {left_out.format(quantity)} are not compared: no formula covers them"
        assert note in report.notes


def test_an_odd_count_of_an_operator_of_torch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(flop_registry, torch.ops.aten.convolution, lambda *_, **__: 5)
    with pytest.raises(ValueError, match=r"must be even, got 5$"):
        count_by_torch(nn.Conv2d(3, 4, 1), ([torch.zeros(1, 3, 6, 5)], {}))


@pytest.mark.usefixtures("ruled")
def test_what_differs_beside_uncovered_operators_still_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    from costmodel.operators import contraction

    right = contraction.convolution_macs
    wrong = lambda *args, **options: right(*args, **options) + 1  # noqa: E731
    monkeypatch.setattr(contraction, "convolution_macs", wrong)
    assert verify_module(Mixed(), [torch.zeros(1, 3, 6, 5)]).verdict == DIFFERS


@pytest.mark.parametrize(
    ("model", "end"),
    [
        (nn.Conv2d(3, 4, 1), "100 % of MACs, 100 % of parameters; 0 differences."),
        (nn.BatchNorm2d(3), "no MACs, 100 % of parameters; 0 differences."),
        (nn.ReLU(), "no MACs, no parameters; 0 differences."),
    ],
)
def test_a_share_of_nothing_is_not_the_whole(model: nn.Module, end: str) -> None:
    assert summary(verify_module(model, [torch.zeros(2, 3, 8, 8)])).endswith(f", {end}")
