"""Products that fvcore counts, loses or miscounts: each is told by name, and exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from costmodel.checks.counters import Counted
from costmodel.checks.foreign import AGREES, EXCUSED, NetworkReport
from costmodel.checks.foreign_report import defects_table
from costmodel.checks.known_defects import (
    _is,
    _partial_sums,
    explain,
    groups_ignored,
    macs_of,
    saw_all,
)
from costmodel.checks.verify_foreign import verify_module
from costmodel.convention import Cost
from costmodel.tracing import trace
from costmodel.tracing.calls import Call
from tests.costmodel.checks import zoo
from tests.costmodel.checks.test_compared import Slope
from tests.costmodel.checks.test_verify_foreign import total


class Product(nn.Module):
    """A product of the input and a matrix, written in one way."""

    def __init__(self, run: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.run, self.w = run, nn.Parameter(torch.ones(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x, self.w)


def defects(report: NetworkReport) -> list[tuple[str, str, str]]:
    return [(d.counter, d.name, d.evidence) for row in report.rows for d in row.defects.values()]


@pytest.mark.parametrize(
    "run",
    [
        lambda x, w: x @ w,
        torch.mm,
        lambda x, w: x.mm(w),
        lambda x, w: torch.addmm(w, x, w),
        lambda x, w: torch.bmm(x[None], w[None]),
        functional.linear,
        lambda x, w: torch.einsum("ij,jk->ik", x, w),
    ],
)
def test_fvcore_counts_every_product(run: Callable[[Tensor, Tensor], Tensor]) -> None:
    report = verify_module(Product(run), [torch.zeros(4, 4)])
    assert total(report, "MACs", "fvcore") == total(report, "MACs") == (64, 64)
    assert (report.verdict, defects(report)) == (AGREES, [])


def test_a_rule_that_fails_is_named() -> None:
    report = verify_module(zoo.ByHand(), [torch.zeros(3, 4)])
    assert report.failures == {}
    assert defects(report) == [
        ("fvcore", "no rule", "it has no rule for aten::matmul"),
        ("torch", "no rule", "it has no rule for aten.mv"),
    ]


def test_an_einsum_that_sums_beside_one_that_multiplies() -> None:
    class Einsums(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(8, 6))

        def forward(self, x: Tensor) -> Tensor:
            return torch.einsum("bi,io->bo", x, self.w) + torch.einsum("bi->b", x)[:, None]

    report = verify_module(Einsums(), [torch.zeros(2, 8)])
    assert report.differences == report.disputes == []
    assert [name for _, name, _ in defects(report)] == ["einsum"]


def test_an_einsum_that_sums_beside_an_operator_without_a_rule() -> None:
    class Both(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            y = functional.conv2d(x, self.weight, padding="same")
            return y + torch.einsum("bchw->bc", y)[:, :, None, None]

    report = verify_module(Both(3, 4, 3, bias=False), [torch.zeros(1, 3, 6, 5)])
    assert report.differences == report.disputes == []
    assert [name for _, name, _ in defects(report)] == ["text padding"]


def test_ignored_groups_confirm_too() -> None:
    """Without a rule that heeds the groups, torch's counter still shows that all operators ran."""
    model = Slope(nn.Conv2d(4, 8, 3, groups=2), weight=True)
    own = [call for call in trace(model, [torch.zeros(1, 4, 6, 6)]).calls if call.module == ""]
    assert groups_ignored(own) > 0
    counted = {"": macs_of(own) + groups_ignored(own)}
    watched = Counted("torch", "1", counted, rules=["aten.convolution_backward"])
    assert saw_all(watched, "", own)
    counted[""] -= groups_ignored(own)
    assert not saw_all(watched, "", own)


def call(operator: str, macs: int, kind: str = "matmul") -> Call:
    return Call(operator, operator.removeprefix("aten."), "", 1, kind, (), (), Cost(macs=macs))


def test_of_many_calls_none_or_all_but_one_may_be_counted() -> None:
    calls = [call("aten.mm", macs) for macs in range(1, 14)]
    assert _partial_sums(calls) == {0, *(91 - macs for macs in range(1, 14))}
    assert len(_partial_sums(calls[:12])) > 14  # every subset
    assert _partial_sums(calls[:3]) == {0, 1, 2, 3, 4, 5}
    assert _partial_sums([*calls[:3], call("aten.relu", 0)]) == {0, 1, 2, 3, 4, 5}


def test_what_has_no_rule_and_nothing_else_was_seen_to_run() -> None:
    calls = [call("aten.mv", 7)]
    watched = Counted("torch", "1", rules=[], unruled={"": ["aten.mv"]})
    assert saw_all(watched, "", calls)
    assert not saw_all(watched, "elsewhere", calls)


@pytest.mark.parametrize(
    ("count", "einsum", "name"),
    [
        (16, 0, "text padding"),  # 3 and 5 are lost
        (19, 0, "text padding"),  # 5 is: the other was no dead code
        (21, 0, "text padding"),
        (18, 0, None),
        (16 - 9 + 20, 20, "text padding"),  # with a wrong rule for einsum
        (19 - 9 + 20, 20, "text padding"),
        (24 - 9 + 20, 20, "einsum"),
        (34, 20, None),
    ],
)
def test_any_of_several_lost_operators_may_be_the_one(count: int, einsum: int, name: str | None) -> None:
    of_einsum = Call("aten.bmm", "einsum", "", 1, "matmul", (), (), Cost(macs=9))
    calls = [*(call("aten.convolution", macs, "convolution") for macs in (3, 5)), call("aten.mm", 7)]
    counted = Counted("fvcore", "1", {"": count}, missing={"": {"aten::_convolution_mode": 2}})
    assert [one.cost.macs for one in calls] == [3, 5, 7]
    if einsum:
        counted.einsum[""] = einsum
        calls.append(of_einsum)
    else:
        calls.append(call("aten.bmm", 9))
    found = explain(counted, "", calls, lambda: False)
    assert (found and found.name) == name


@pytest.mark.parametrize(("count", "name"), [(0, "no rule"), (7, "no rule"), (9, "no rule"), (5, None)])
def test_a_function_of_ones_own_hides_all_that_runs_in_it(count: int, name: str | None) -> None:
    """Also an einsum, whose count is then missing as well."""
    calls = [Call("aten.bmm", "einsum", "", 1, "matmul", (), (), Cost(macs=9)), call("aten.mm", 7)]
    counted = Counted("fvcore", "1", {"": count}, missing={"": {"prim::PythonOp.Own": 1}})
    found = explain(counted, "", calls, lambda: False)
    assert (found and found.name) == name


@pytest.mark.parametrize(
    ("made", "operator", "expected"),
    [
        (call("aten.mm", 5), "prim::PythonOp.Own", True),  # which holds anything
        (call("aten.mm", 5), "aten::mm", True),
        (call("aten.mm", 5), "aten::bmm", False),
        (call("aten.relu", 0, "free"), "aten::relu", False),  # without MACs nothing is lost
        (call("aten.convolution", 5, "convolution"), "aten::_convolution_mode", True),
    ],
)
def test_what_torchscript_calls_an_operator(made: Call, operator: str, expected: bool) -> None:
    assert _is(made, operator) == expected


def test_two_defects_of_a_step_are_both_explained() -> None:
    report = verify_module(zoo.WithProduct(4, 4, 3, groups=2), [torch.zeros(1, 4, 6, 6)])
    (row,) = (row for row in defects_table(report).rows if row["quantity"] == "training MACs")
    assert row["defect"] == "no rule, grouped weight gradient"
    assert "; " in row["reason"]
    assert EXCUSED in {one.verdict for one in report.totals}


def test_outputs_of_any_kind_are_trained() -> None:
    from types import MappingProxyType, SimpleNamespace

    macs = 9 * 3 * 4 * 12
    kinds: list[Callable[[Tensor], Any]] = [
        lambda y: SimpleNamespace(y=y),
        lambda y: {y},
        lambda y: MappingProxyType({"y": y}),
        lambda y: [SimpleNamespace(inner={"y": (y,)}), None, "text", nn.Identity(), Tensor],
    ]
    for wrap in kinds:

        class Net(nn.Conv2d):
            def forward(self, x: Tensor, wrap: Callable[[Tensor], Any] = wrap) -> Any:  # type: ignore[override]
                return wrap(super().forward(x))

        report = verify_module(Net(3, 4, 3), [torch.zeros(1, 3, 6, 5)])
        assert report.verdict == AGREES
        assert total(report, "training MACs") == (2 * macs, 2 * macs)


def test_a_step_that_is_not_compared_is_told() -> None:
    class Reads(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            y = super().forward(x)
            return y * 2 if self.training and y.sum().item() > 1e9 else y

    notes = verify_module(Reads(4, 4), [torch.zeros(2, 4)]).notes
    assert any(note.startswith("no training step: ") for note in notes)


def test_a_network_without_gradients_takes_a_step_of_its_forward_pass() -> None:
    class Net(nn.Conv2d):
        def forward(self, x: Tensor) -> Any:
            y = super().forward(x)
            return y, y.argmax(1)

    macs, image = 9 * 3 * 4 * 12, torch.zeros(1, 3, 6, 5)
    assert total(verify_module(Net(3, 4, 3), [image]), "training MACs") == (2 * macs, 2 * macs)
    frozen = Net(3, 4, 3).requires_grad_(False)
    assert total(verify_module(frozen, [image]), "training MACs") == (macs, macs)
