"""Weights that are standardised in each run: batch normalisation by their own statistics."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d

from costmodel.reconcile.bridge import predict
from costmodel.reconcile.installed import run
from costmodel.reconcile.observe import observe
from costmodel.reconcile.rules import counters
from tests.costmodel.reconcile.test_counters import needed


class Standardised(nn.Conv2d):
    """A convolution as in normaliser-free networks."""

    def __init__(self, *, gained: bool) -> None:
        super().__init__(3, 8, 3)
        self.gain = nn.Parameter(torch.ones(8)) if gained else None

    def forward(self, x: Tensor) -> Tensor:
        flat = self.weight.reshape(1, 8, -1)
        weight = batch_norm(flat, None, None, self.gain, training=True, momentum=0.0)
        return conv2d(x, weight.reshape_as(self.weight), self.bias)


@pytest.mark.parametrize(("gained", "price"), [(True, 5), (False, 4)])
def test_each_standardised_weight_has_the_price_of_training(*, gained: bool, price: int) -> None:
    needed("fvcore")
    module, x = Standardised(gained=gained).eval(), torch.zeros(2, 3, 6, 6)
    written = 2 * 27 * 8 * 16 + price * 27 * 8
    assert predict(observe(module, [x]), counters()["fvcore"]).total == written
    assert run("fvcore", module, [x], {}) == written
