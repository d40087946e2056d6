"""What versions of a counter ask for that are not installed, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from costmodel.reconcile.bridge import predict
from costmodel.reconcile.observe import observe
from costmodel.reconcile.rules import counters


def test_ptflops_0_6_sees_modules_alone_and_each_once() -> None:
    """The package itself, 0.6.9, agrees on all networks of networks.py.

    By hand: 8 filters of 27 taps and a bias, normalisation 2 and ReLU 1 per element, pooling 1 per input,
    and a linear layer whose bias is counted once.
    """
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, 10),
    )  # fmt: skip
    total = predict(observe(model, [torch.zeros(2, 3, 6, 6)]), counters()["ptflops-0.6"]).total
    assert total == (2 * 36 * 8 * (28 + 2 + 1 + 1) + 2 * 80 + 10) // 2


@pytest.mark.parametrize("name", ["thop-2005", "ultralytics-thop", "ptflops-0.6", "torchscan-flops"])
def test_counters_of_one_project_are_known_as_such(name: str) -> None:
    found = counters()[name]
    assert found.family in counters()
    assert found.family != name
    assert counters()[found.family].family == found.family
