"""Any network: right code never differs, and every total is a written product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module

from costmodel.checks import verify_foreign
from costmodel.checks.counters import Counted, count_by_torch
from costmodel.checks.foreign import AGREES, DIFFERS, PARTLY, NetworkReport, compare_counts
from costmodel.checks.verify_foreign import verify_loaded, verify_module
from costmodel.models import load
from costmodel.models.inputs import parse
from costmodel.tracing import trace
from tests.costmodel.checks import zoo

IMAGE = torch.zeros(1, 3, 6, 5)
WORDS = torch.zeros(1, 5, 8)
TWO = torch.zeros(1, 2, 5, 5)
PIXELS = 6 * 5
INNER = 4 * 3  # of a 3x3 convolution without padding


def total(report: NetworkReport, quantity: str, counter: str = "torch") -> tuple[int, int]:
    (row,) = [r for r in report.totals if (r.quantity, r.counter) == (quantity, counter)]
    return row.formula, row.count


@pytest.mark.parametrize(
    ("model", "x", "macs", "params"),
    [
        (zoo.SamePadding(2, 4, 3), TWO, 9 * 2 * 4 * 25, 76),
        (zoo.Twice(2, 4, 3, bias=False), torch.zeros(1, 2, 5, 5), 2 * 9 * 2 * 4 * 9, 72),
        (zoo.Standardised(3, 4, 3), IMAGE, 9 * 3 * 4 * INNER, 112),
        (zoo.Masked(3, 4, 3), IMAGE, 9 * 3 * 4 * INNER, 113),
        (zoo.LoRA(8, 6, 2), torch.zeros(3, 8), 3 * (48 + 16 + 12), 76),
        (zoo.WithProduct(3, 4, 3), IMAGE, 9 * 3 * 4 * INNER + 4 * 27, 112),
        (zoo.UnusedProduct(3, 4, 3), IMAGE, 9 * 3 * 4 * INNER + 4 * 27, 112),
        (zoo.Pairs(), IMAGE, (12 + 16) * PIXELS, 16 + 20),
        (zoo.ReturnsDataclass(), IMAGE, 9 * 3 * 4 * INNER, 112),
        (zoo.ReturnsMapping(), IMAGE, 9 * 3 * 4 * INNER, 112),
        (zoo.TwoArguments(), IMAGE, 9 * 3 * 4 * 9 + 9 * 3 * 4 * 9, 112 + 111),
        (zoo.EinsumSum(), IMAGE, 12 * PIXELS, 16),
        (zoo.Detached(), IMAGE, (81 + 81 + 9 + 9) * PIXELS, 84 + 84 + 12 + 12),
        (zoo.Branches(), torch.zeros(2, 3, 6, 5), 2 * (9 * 3 * 4 * INNER + 8), 112 + 10 + 2 * 28),
        (zoo.Attention(), torch.zeros(2, 5, 8), 2 * (4 * 5 * 64 + 2 * 25 * 8), 4 * 64 + 32),
        (zoo.Random(), torch.zeros(2, 4), 2 * 2 * 16, 40),
        (zoo.Direct(), torch.zeros(2, 4), 2 * 2 * 16, 40),
        (zoo.ByHand(), torch.zeros(3, 4), 3 * (20 + 5), 25),
        (zoo.weight_normed(), IMAGE, 9 * 3 * 4 * INNER, 108 + 4 + 4),
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), WORDS, 5 * (256 + 256) + 2 * 25 * 8, 600),
        (nn.Conv2d(3, 4, 3, padding="same"), IMAGE, 9 * 3 * 4 * PIXELS, 112),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Hardswish(), nn.PReLU()), IMAGE, 108 * INNER, 113),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Flatten()), IMAGE, 108 * INNER, 120),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)  # fmt: skip
def test_right_code_never_differs(model: nn.Module, x: Tensor, macs: int, params: int) -> None:
    report = verify_module(model, [x])
    assert report.differences == report.disputes == []
    assert total(report, "MACs")[0] == macs
    assert total(report, "parameters", "parameters()") == (params, params)
    assert report.uncovered == ()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes(dtype: torch.dtype) -> None:
    report = verify_module(nn.Conv2d(3, 4, 3, dtype=dtype), [IMAGE.to(dtype)])
    assert report.verdict == AGREES


def test_tied_weights_count_once() -> None:
    report = verify_module(zoo.Tied(), [torch.zeros(1, 3, dtype=torch.long)])
    assert report.verdict == AGREES
    assert total(report, "parameters", "parameters()") == (96 + 64 + 12,) * 2
    assert sum(row.params for row in report.rows) == 96 + 64 + 12


def test_training_is_one_real_step() -> None:
    report = verify_module(zoo.Detached(), [IMAGE])
    assert total(report, "training MACs") == ((81 + 81 + 9 + 9 + 9) * PIXELS,) * 2


def test_frozen_weights_and_the_first_input_take_no_gradient() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1).requires_grad_(False), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))
    report = verify_module(model, [IMAGE])
    assert total(report, "training MACs") == ((12 + 16 + 16 + 16 + 16 + 16) * PIXELS,) * 2
    assert total(report, "frozen", "parameters()") == (16, 16)


def test_the_grouped_weight_gradient_is_a_known_defect_of_torch() -> None:
    report = verify_module(nn.Conv2d(4, 4, 3, groups=2, bias=False), [torch.zeros(1, 4, 5, 5)])
    (row,) = [r for r in report.totals if r.quantity == "training MACs"]
    macs = 9 * 4 * 2 * 9
    assert (row.formula, row.count, row.defect) == (2 * macs, macs + 2 * macs, "grouped weight gradient")
    assert report.verdict == AGREES


@pytest.mark.parametrize(
    ("model", "x", "counter", "name", "evidence"),
    [
        (nn.Conv2d(3, 4, 3, padding="same"), IMAGE, "fvcore", "text padding", "aten::_convolution_mode"),
        (zoo.EinsumSum(), IMAGE, "fvcore", "einsum", "its rule for einsum counts"),
        (zoo.Detached(), IMAGE, "fvcore", "unused result", "its tracer drops operators"),
        (zoo.WithProduct(3, 4, 3), IMAGE, "torch", "no rule", "it has no rule for aten.mv"),
        (zoo.Attention(), torch.zeros(2, 5, 8), "fvcore", "no rule", "scaled_dot_product_attention"),
    ],
)  # fmt: skip
def test_defects_of_counters_are_named_with_evidence(
    model: nn.Module, x: Tensor, counter: str, name: str, evidence: str
) -> None:
    report = verify_module(model, [x])
    defects = [d for row in report.rows for d in row.defects.values() if d.counter == counter]
    assert {d.name for d in defects} == {name}
    assert all(evidence in d.evidence and d.version for d in defects)


def test_nothing_that_multiplies_and_nothing_counted_never_agrees() -> None:
    report = verify_module(nn.ReLU(), [IMAGE])
    assert (report.verdict, report.numbers_compared) == (PARTLY, 0)


def test_what_no_formula_covers_makes_it_partly_compared() -> None:
    class Spectral(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(torch.fft.fft(x).real)

    report = verify_module(Spectral(4, 4), [torch.zeros(2, 4)])
    assert report.verdict == PARTLY
    assert report.uncovered


def test_recurrent_layers_are_costed_though_fvcore_cannot_count_them() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x)[0][:, -1])  # type: ignore[no-any-return]

    report = verify_module(Last(), [torch.zeros(2, 6, 4)])
    assert report.differences == report.disputes == []
    assert total(report, "MACs")[0] == 2 * (6 * (4 * 8 * 4 + 4 * 8 * 8) + 24)


def test_a_counter_that_fails_is_reported_and_the_others_go_on() -> None:
    report = verify_module(zoo.Direct(), [torch.zeros(2, 4)])  # fvcore's tracer can't follow functional_call
    assert report.verdict == AGREES
    assert list(report.failures) == ["fvcore"]
    assert "The stateless API can't be used with Jitted modules" in report.failures["fvcore"]


def counted(counter: str, macs: dict[str, int], **more: Any) -> Counted:
    parameters = {"all": 112, "trainable": 112, "frozen": 0, "buffers": 0}
    rules = ["aten.convolution"]
    return Counted(counter, "1", macs, own_parameters={"": 112}, parameters=parameters, rules=rules, **more)


CONV = nn.Conv2d(3, 4, 3)
MACS = 9 * 3 * 4 * INNER


def verdict(fvcore: int | str, torch_: int | str, **more: Any) -> NetworkReport:
    results = {
        "fvcore": fvcore if isinstance(fvcore, str) else counted("fvcore", {"": fvcore}),
        "torch": torch_ if isinstance(torch_, str) else counted("torch", {"": torch_}, **more),
    }
    return compare_counts("model", trace(CONV, [IMAGE]), results)


@pytest.mark.parametrize(
    ("fvcore", "torch_", "expected"),
    [
        (MACS, MACS, AGREES),
        ("it crashed", MACS, AGREES),
        (MACS, "it crashed", PARTLY),  # nobody counted the parameters
        ("it crashed", "it crashed", PARTLY),
        (MACS + 1, MACS + 1, DIFFERS),
        (MACS + 1, "it crashed", DIFFERS),
        ("it crashed", MACS - 1, DIFFERS),
        (MACS + 1, MACS, PARTLY),
        (0, MACS, AGREES),  # dropped by the tracer, confirmed by torch
        (0, 0, DIFFERS),
    ],
)
def test_the_verdict_follows_from_the_counts(fvcore: Any, torch_: Any, expected: str) -> None:
    assert verdict(fvcore, torch_).verdict == expected


def test_what_fvcore_drops_and_torch_has_no_rule_for_must_have_run() -> None:
    """torch's counter need not count an operator to see that it runs."""
    layer, product = zoo.UnusedProduct(3, 4, 3), ["aten.mv"]
    traced = trace(layer, [IMAGE])
    for unruled, macs, expected in (
        ({"": product}, MACS, PARTLY),
        ({}, MACS, DIFFERS),
        ({"elsewhere": product}, MACS, DIFFERS),
        ({"": product}, MACS - 1, DIFFERS),
    ):
        watched = counted("torch", {"": macs}, unruled=unruled)
        report = compare_counts("model", traced, {"fvcore": counted("fvcore", {"": MACS}), "torch": watched})
        assert report.verdict == expected


def test_a_contradiction_is_told_with_both_numbers() -> None:
    assert f"(model): MACs: formula {MACS:,}, fvcore {MACS + 1:,}" in verdict(MACS + 1, MACS + 1).differences
    assert verdict(MACS + 1, MACS).disputes == [f"(model): MACs: formula {MACS:,}, fvcore {MACS + 1:,}"]


def test_parameters_that_are_not_counted_alike_differ() -> None:
    result = counted("torch", {"": MACS})
    result.own_parameters[""] = 111
    report = compare_counts("model", trace(CONV, [IMAGE]), {"torch": result})
    assert report.verdict == DIFFERS
    assert report.differences[0] == "(model): parameters: formula 112, counted 111"


def test_nothing_is_left_behind_in_torch() -> None:
    hooks = module._global_forward_hooks, module._global_forward_pre_hooks
    before = [len(kept) for kept in hooks]
    count_by_torch(nn.Conv2d(2, 4, 3), ((torch.zeros(1, 2, 5, 5),), {}))
    assert [len(kept) for kept in hooks] == before


@pytest.mark.usefixtures("counters_here")
@pytest.mark.parametrize("fails", [True, False])
def test_why_there_is_no_closed_form_is_noted(
    fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_form(*_: Any) -> Any:
        raise RuntimeError("no form today")

    (tmp_path / "nets.py").write_text("from torch.nn import Conv2d")
    if fails:
        monkeypatch.setattr(verify_foreign, "closed_form", no_form)
    report = verify_loaded(load(f"{tmp_path}/nets.py:Conv2d(3, 4, 3)"), parse(["1,3,8,8"]))
    assert report.verdict == AGREES
    assert ["no form today" in note for note in report.notes] == [True] * fails
    assert any(row.quantity.startswith("MACs at ") for row in report.totals) == (not fails)
