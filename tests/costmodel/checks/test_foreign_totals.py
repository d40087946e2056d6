"""Totals and shares of a network of one's own: what is compared, from made-up counts."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costmodel.checks.compared import comparable
from costmodel.checks.counters import Counted, count_by_torch
from costmodel.checks.foreign import (
    AGREES,
    DIFFERS,
    DISPUTED,
    EXCUSED,
    OK,
    PARTLY,
    UNCOUNTED,
    LayerRow,
    NetworkReport,
    TotalRow,
    compare_counts,
)
from costmodel.checks.known_defects import KnownDefect
from costmodel.checks.verify_foreign import at_sizes, other_sizes, verify_module
from costmodel.models.inputs import parse
from costmodel.tracing import trace
from costmodel.tracing.closed_form import closed_form
from tests.costmodel.checks import zoo
from tests.costmodel.checks.test_compared import Mixed, ruled
from tests.costmodel.checks.test_verify_foreign import (
    CONV,
    IMAGE,
    INNER,
    MACS,
    counted,
    total,
    verdict,
)

__all__ = ["ruled"]


@pytest.mark.parametrize("of", ["buffers", "frozen"])
def test_a_kind_of_parameters_that_only_the_counter_has_differs(of: str) -> None:
    result = counted("torch", {"": MACS})
    result.parameters[of] = 5
    report = compare_counts("model", trace(CONV, [IMAGE]), {"torch": result})
    assert report.differences == [f"{of}: formula 0, parameters() 5"]


def test_a_kind_of_parameters_that_only_the_formula_has_differs() -> None:
    layer = nn.Conv2d(3, 4, 3)
    layer.bias.requires_grad_(False)  # type: ignore[union-attr]
    report = compare_counts("model", trace(layer, [IMAGE]), {"torch": counted("torch", {"": MACS})})
    assert report.differences == [
        "trainable: formula 108, parameters() 112",
        "frozen: formula 4, parameters() 0",
    ]


@pytest.mark.parametrize("trained", [True, False])
def test_a_step_of_one_side_alone_is_not_compared(trained: bool) -> None:
    result = counted("torch", {"": MACS}, training=None if trained else 2 * MACS)
    report = compare_counts("model", trace(CONV, [IMAGE], training=trained), {"torch": result})
    assert (report.verdict, [t for t in report.totals if t.quantity == "training MACs"]) == (AGREES, [])


def test_work_that_a_counter_attributes_to_another_module_is_not_compared() -> None:
    net, one, two = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)), 108 * INNER, 16 * INNER
    parameters = {"all": 132, "trainable": 132, "frozen": 0, "buffers": 0}
    watched = Counted(
        "torch",
        "1",
        {"0": one, "1": two},
        rules=["aten.convolution"],
        own_parameters={"0": 112, "1": 20},
        parameters=parameters,
    )
    traced = trace(net, [IMAGE])
    elsewhere = {"torch": watched, "fvcore": Counted("fvcore", "1", {"": one + two})}
    report = compare_counts("model", traced, elsewhere)
    assert (report.verdict, report.disputes) == (AGREES, [])
    wrong = {"torch": watched, "fvcore": Counted("fvcore", "1", {"": one + two + 1})}
    assert compare_counts("model", traced, wrong).verdict == PARTLY


def test_a_disputed_layer_is_no_confirmed_share() -> None:
    assert verdict(MACS, MACS).share_of_macs == 1
    report = verdict(MACS + 1, MACS)
    assert (report.verdict, report.share_of_macs, report.share_of_parameters) == (PARTLY, 0, 1)


def test_a_total_off_by_more_than_its_disputed_layers_differs() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1))
    one, two = 108 * INNER, 16 * INNER
    traced = trace(net, [IMAGE])

    def judge(first: int, second: int) -> list[str]:
        results = {
            "torch": Counted("torch", "1", {"0": one, "1": second}, rules=["aten.convolution"]),
            "fvcore": Counted("fvcore", "1", {"0": first, "1": second}),
        }
        for result in results.values():
            result.parameters = {"all": 132, "trainable": 132, "frozen": 0, "buffers": 0}
            result.own_parameters = {"0": 112, "1": 20}
        return compare_counts("model", traced, results).differences

    assert judge(one + 1, two) == []  # disputed alone
    assert any(line.startswith("MACs: ") for line in judge(one + 1, two + 1))  # the second differs


def test_what_is_not_registered_and_frozen_is_no_frozen_parameter() -> None:
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)
            self.kept = [nn.Parameter(torch.ones(4, 4), requires_grad=False)]

        def forward(self, x: Tensor) -> Tensor:
            return torch.einsum("oc,bchw->bohw", self.kept[0], self.conv(x))

    report = verify_module(Hidden(), [IMAGE])
    assert report.differences == []
    assert total(report, "parameters", "parameters()") == (16, 16)
    assert not [row for row in report.totals if row.quantity == "frozen"]


@pytest.mark.usefixtures("ruled")
def test_activations_of_an_uncovered_operator_with_a_rule_of_nothing_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from torch.utils.flop_counter import flop_registry

    monkeypatch.setitem(flop_registry, torch.ops.pwoct_tests.mix, lambda *_, **__: 0)
    report = verify_module(Mixed(), [IMAGE])
    assert (report.verdict, report.differences) == (PARTLY, [])
    assert total(report, "activations") == (120, 120)


@pytest.mark.usefixtures("ruled")
def test_notes_of_a_counter_are_kept_beside_what_is_left_out() -> None:
    traced = trace(Mixed(), [IMAGE], training=True)
    watched = replace(count_by_torch(Mixed(), ([IMAGE], {})), notes=["a note"])
    notes = comparable(watched, traced).notes
    assert (notes[0], len(notes)) == ("a note", 3)


@pytest.mark.parametrize("given", [["1,3,8,8:uint8"], ["1,3,8,8", "1,3,8,8"], ["3,8,8"]])
def test_other_sizes_are_those_of_one_image(given: list[str]) -> None:
    assert other_sizes(parse(given)) == []


@pytest.mark.usefixtures("ruled")
def test_no_other_size_is_compared_beside_uncovered_operators() -> None:
    watched = count_by_torch(Mixed(), ([IMAGE], {}))
    watched.sizes = [1, 1, 1]
    form = closed_form(Mixed(), [IMAGE], {0: {0: "n", 2: "h", 3: "w"}})
    assert at_sizes(form, other_sizes(parse(["1,3,6,5"])), {"torch": watched}, trace(Mixed(), [IMAGE])) == []


def test_wrong_counts_at_other_sizes_differ() -> None:
    form = closed_form(zoo.Pairs(), [IMAGE], {0: {0: "n", 2: "h", 3: "w"}})
    watched = count_by_torch(zoo.Pairs(), ([IMAGE], {}))
    watched.sizes = [2 * 28 * 38 * 37, 28 * 70 * 5 + 1, None]
    rows = at_sizes(form, other_sizes(parse(["1,3,6,5"])), {"torch": watched}, trace(zoo.Pairs(), [IMAGE]))
    assert [row.verdict for row in rows] == ["ok", DIFFERS]


DEFECT = KnownDefect("text padding", "fvcore", "1", "it has no rule")


@pytest.mark.parametrize(
    ("counts", "defects", "params", "expected"),
    [
        ({"torch": 5, "fvcore": 5}, {}, 0, OK),
        ({"torch": 5, "fvcore": 3}, {"fvcore": DEFECT}, 0, EXCUSED),
        ({"fvcore": 3}, {"fvcore": DEFECT}, 0, EXCUSED),
        ({}, {}, 0, UNCOUNTED),
        ({"torch": 5, "fvcore": 3}, {}, 0, DISPUTED),
        ({"torch": 4, "fvcore": 3}, {"fvcore": DEFECT}, 0, DIFFERS),
        ({"torch": 5}, {}, 7, DIFFERS),
    ],
)
def test_the_verdict_of_a_layer(counts: Any, defects: Any, params: int, expected: str) -> None:
    row = LayerRow("a", 5, counts, defects, 0, params or None)
    assert row.verdict == expected
    assert row.is_compared == (expected == OK or (counts.get("torch") == 5 and expected != DISPUTED))


def test_the_numbers_that_were_compared() -> None:
    rows = [
        LayerRow("a", 5, {"torch": 5, "fvcore": 0}, {}, 3, 3),
        LayerRow("b", 0, {"torch": 0, "fvcore": 2}, {}, 4, None),
        LayerRow("c", 0, {"torch": 0}, {}, 0, 0),
        LayerRow("d", 0, {}, {}, 1, 1),
    ]
    totals = [TotalRow("MACs", 5, "torch", 0), TotalRow("MACs", 0, "fvcore", 2), TotalRow("MACs", 0, "x", 0)]
    assert NetworkReport("n", rows, totals, {}).numbers_compared == (2 + 1) + (1 + 1) + 2


def test_a_share_of_nothing_is_all() -> None:
    report = NetworkReport("n", [LayerRow("a", 0, {"torch": 0})], [], {})
    assert (report.share_of_macs, report.share_of_parameters) == (1, 1)


def test_layers_stand_in_the_order_of_the_model() -> None:
    """Also one that multiplies without parameters, and one that only a counter knows."""

    class Squares(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x @ x

    net = nn.Sequential(OrderedDict(z=Squares(), a=nn.Linear(4, 4), m=Squares()))
    traced = trace(net, [torch.zeros(4, 4)])
    report = compare_counts("model", traced, {"fvcore": Counted("fvcore", "1", {"elsewhere": 5})})
    assert [row.name for row in report.rows] == ["z", "a", "m", "elsewhere"]
    assert [row.macs for row in report.rows] == [64, 64, 64, 0]
    assert [row.params for row in report.rows] == [0, 20, 0, 0]


def test_hidden_parameters_are_told() -> None:
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kept = [torch.nn.Parameter(torch.ones(4, 3))]

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x, self.kept[0])

    notes = compare_counts("model", trace(Hidden(), [torch.zeros(2, 3)]), {}).notes
    assert notes == ["12 parameters are used but not registered: parameters() does not see them"]


@pytest.mark.parametrize(
    ("step", "defect", "judged"),
    [
        (2 * MACS, "", OK),
        (MACS, "no rule", EXCUSED),  # its rule for the backward pass is missing
        (MACS + 1, "", DIFFERS),
        (0, "", DIFFERS),
    ],
)
def test_a_training_step_is_excused_exactly(step: int, defect: str, judged: str) -> None:
    result = counted("torch", {"": MACS}, training=step)
    if judged == OK:
        result.rules.append("aten.convolution_backward")
    report = compare_counts("model", trace(CONV, [IMAGE], training=True), {"torch": result})
    (row,) = [t for t in report.totals if t.quantity == "training MACs"]
    assert (row.defect, row.verdict) == (defect, judged)


def test_a_defect_excuses_a_total_only_by_as_much_as_its_layer() -> None:
    net = nn.Conv2d(3, 4, 3, padding="same", bias=False)
    traced, macs = trace(net, [IMAGE]), 108 * 30
    lost = {"": {"aten::_convolution_mode": 1}}
    own = {
        "own_parameters": {"": 108},
        "parameters": {"all": 108, "trainable": 108, "frozen": 0, "buffers": 0},
    }
    watched = Counted("torch", "1", {"": macs}, rules=["aten.convolution"], **own)

    def row(of_fvcore: dict[str, int]) -> TotalRow:
        results = {"torch": watched, "fvcore": Counted("fvcore", "1", of_fvcore, missing=lost)}
        totals = compare_counts("model", traced, results).totals
        return next(t for t in totals if (t.quantity, t.counter) == ("MACs", "fvcore"))

    assert (row({}).verdict, row({}).defect) == (EXCUSED, "text padding")
    assert row({"gone": 7}).verdict == DISPUTED  # torch saw no such module
    assert row({"": macs, "gone": 7}).verdict == DISPUTED
    assert row({"": macs - 1}).verdict == DISPUTED
