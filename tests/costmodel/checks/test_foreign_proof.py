"""Closed forms of any network, proved by an independent tally; and planted faults that it must find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costmodel.checks.foreign_proof import prove_network
from costmodel.operators import contraction
from costmodel.tracing import shape_rules

IMAGE = {0: {0: "n", 2: "h", 3: "w"}}


class Shared(nn.Module):
    """One convolution that runs twice, with an interpolation in between."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(nn.functional.interpolate(self.conv(x), scale_factor=2))


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1),
        nn.BatchNorm2d(4),
        Shared(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )


@pytest.mark.parametrize(
    ("module", "shape", "symbols", "modules", "domain"),
    [
        (network(), (1, 3, 32, 32), IMAGE, 5, "for n >= 1; h, w >= 3"),  # torch asks whether ceil(h/2) is 1
        (nn.ConvTranspose2d(3, 4, 3, 2), (1, 3, 8, 8), IMAGE, 1, "for n, h, w >= 1"),
        (nn.LSTM(4, 8, batch_first=True), (2, 5, 4), {0: {0: "b"}}, 1, "for b >= 2"),
        (
            nn.TransformerEncoderLayer(16, 4, 32, batch_first=True),
            (2, 6, 16),
            {0: {0: "b", 1: "s"}},
            4,
            "for b, s >= 2",
        ),
    ],
    ids=["network", "transposed", "lstm", "transformer"],
)
def test_right_formulas_are_proved(
    module: nn.Module, shape: tuple[int, ...], symbols: Any, modules: int, domain: str
) -> None:
    proof = prove_network(module, [torch.zeros(shape)], symbols)
    assert proof.failures == ()
    assert proof.holds
    assert (proof.modules, proof.domain.text) == (modules, domain)


def test_a_formula_that_forgets_groups_is_not_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    right = contraction.convolution_macs

    def forgets_groups(x: Any, weight: Any, y: Any, *, transposed: bool) -> Any:
        return right(x, weight, y, transposed=transposed) * x[1] / weight[1]

    monkeypatch.setattr(contraction, "convolution_macs", forgets_groups)
    proof = prove_network(network(), [torch.zeros(1, 3, 32, 32)], IMAGE)
    assert not proof.holds
    assert {failure.partition(":")[0] for failure in proof.failures} == {"(model)", "2", "2.conv"}


def test_a_wrong_shape_is_not_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    right: Callable[..., Any] = shape_rules.windows
    monkeypatch.setattr(shape_rules, "windows", lambda *sizes: right(*sizes) + 1)
    assert not prove_network(network(), [torch.zeros(1, 3, 32, 32)], IMAGE).holds


def test_what_is_interpolated_is_never_called_proved() -> None:
    class Fixes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.conv2d(x, x.new_zeros(1, 3, 1, 1))[:, :, : int(float(x.shape[2]))]

    proof = prove_network(Fixes(), [torch.zeros(1, 3, 32, 32)], IMAGE)
    assert not proof.holds
    assert proof.failures
