"""Any module: what the formulas cover agrees with the counters, and the rest is listed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costmodel.checks.comparison import Report
from costmodel.checks.generic import verify_module

IMAGES = torch.zeros(2, 4, 9, 7)
SEQUENCE = torch.zeros(2, 4, 11)


def verify(model: nn.Module, *inputs: Tensor) -> Report:
    report = verify_module(model, inputs)
    assert report.differences == []
    return report


def macs(report: Report, name: str) -> set[int]:
    (check,) = [row.check("macs") for row in report.rows if row.name == name]
    assert check is not None
    return {check.formula, *check.counts.values()}


@pytest.mark.parametrize(
    ("layer", "x", "expected"),
    [
        (nn.Conv2d(4, 6, 3), IMAGES, 2 * 6 * 4 * 9 * (7 * 5)),
        (
            nn.Conv2d(4, 6, (3, 5), stride=(2, 1), padding=(0, 2), bias=False),
            IMAGES,
            2 * 6 * 4 * 15 * (4 * 7),
        ),
        (nn.Conv2d(4, 6, 2, dilation=2), IMAGES, 2 * 6 * 4 * 4 * (7 * 5)),
        (nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), IMAGES, 2 * 6 * 4 * 9 * (9 * 7)),
        (nn.Conv2d(4, 6, 3), IMAGES[0], 6 * 4 * 9 * (7 * 5)),
        (nn.Conv1d(4, 6, 3, stride=2), SEQUENCE, 2 * 6 * 4 * 3 * 5),
        (nn.Conv1d(4, 6, 3), SEQUENCE[0], 6 * 4 * 3 * 9),
        (nn.Linear(11, 3), SEQUENCE, 2 * 4 * 11 * 3),
        (nn.Linear(11, 3, bias=False), SEQUENCE[0, 0], 11 * 3),
        (nn.LazyConv2d(6, 1), IMAGES, 2 * 6 * 4 * 63),
    ],
    ids=lambda value: str(value) if isinstance(value, nn.Module) else "",
)
def test_layers_of_all_shapes_are_covered(layer: nn.Module, x: Tensor, expected: int) -> None:
    report = verify(nn.Sequential(layer), x)
    assert macs(report, "0") == {expected}
    assert report.passes(strict=True)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [2, 3, (4, 5)])
def test_text_padding_is_covered_though_fvcore_counts_nothing(padding: str, kernel: Any) -> None:
    report = verify(nn.Conv2d(4, 6, kernel, padding=padding, dilation=2), torch.zeros(1, 4, 12, 12))
    assert [name for _, _, name in report.excuses] == ["text padding"]


def test_a_layer_called_twice_and_frozen_weights_are_counted_rightly() -> None:
    conv = nn.Conv2d(4, 4, 1, bias=False).requires_grad_(False)
    report = verify(nn.Sequential(conv, conv), IMAGES)
    (row,) = report.rows
    training = row.check("macs_training")
    assert macs(report, "0") == {2 * (2 * 16 * 63)}
    assert training is not None
    assert training.formula == 2 * (2 * 16 * 63)  # forward twice: nothing here has a gradient


class Everything(nn.Module):
    """Layers with and without formula, products outside layers, a layer that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.deep = nn.Conv2d(4, 6, 1), nn.Conv3d(1, 1, 1)
        self.up, self.norm, self.idle = nn.ConvTranspose2d(6, 6, 2), nn.LayerNorm(8), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.up(self.conv(x)))
        return self.deep(y[None]) @ y.transpose(-1, -2)  # type: ignore[no-any-return]


def test_of_equal_layers_one_may_be_frozen() -> None:
    first, second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
    first.requires_grad_(False)
    report = verify_module(nn.Sequential(first, second), [torch.zeros(1, 4, 8, 8)])
    assert report.differences == []
    checks = {row.name: row.check("macs_training") for row in report.rows}
    trained = {name: check.formula for name, check in checks.items() if check}
    macs = 9 * 4 * 4 * 8 * 8
    assert trained == {"0": macs, "1": 2 * macs}  # the second's input needs no gradient


def test_a_layer_may_be_given_its_input_by_name() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(input=x)  # type: ignore[no-any-return]

    report = verify_module(Named(), [torch.zeros(1, 3)])
    assert (report.differences, [row.name for row in report.rows]) == ([], ["fc"])


def test_what_no_formula_covers_is_listed_and_fails_only_when_strict() -> None:
    report = verify(Everything(), IMAGES[:1])
    assert {(u.name, u.what) for u in report.uncovered} == {
        ("deep", "2 parameters"),
        ("up", "150 parameters"),
        ("norm", "16 parameters"),
        ("idle", "12 parameters"),
        ("up", "aten.convolution, 1 calls"),
        ("deep", "aten.convolution, 1 calls"),
        ("", "aten.bmm, 1 calls"),
    }
    assert [row.name for row in report.rows] == ["conv"]
    assert (report.passes(), report.passes(strict=True)) == (True, False)


def test_a_layer_whose_weight_is_computed_is_not_taken_for_covered() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 6, 1)))
    report = verify(model, IMAGES)
    assert report.rows == []
    assert "0.parametrizations.weight" in {u.name for u in report.uncovered}


def test_totals_of_the_counters_are_compared_where_all_is_covered() -> None:
    report = verify(nn.Sequential(nn.Conv2d(4, 6, 1), nn.ReLU(), nn.Conv2d(6, 1, 1)), IMAGES)
    (check,) = report.total.checks
    assert {check.formula, *check.counts.values()} == {2 * 63 * (4 * 6 + 6)}


class Reshaped(nn.Conv2d):
    """Says one kernel and uses another: the formula believes what a layer says of itself."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weight[:, :, :1, :1], self.bias)


def test_a_layer_that_computes_something_else_differs() -> None:
    report = verify_module(nn.Sequential(Reshaped(4, 6, 3)), [IMAGES])
    said, done = 2 * 6 * 4 * 9 * (7 * 5), 2 * 6 * 4 * (9 * 7)
    assert report.differences[0] == f"0: MACs: formula {said:,}, fvcore {done:,}"
    assert not report.passes()


def test_an_input_that_does_not_fit_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"^model does not run on 2x4x11: RuntimeError: .*$") as error:
        verify_module(nn.Linear(3, 3), [SEQUENCE])
    assert "\n" not in str(error.value)
