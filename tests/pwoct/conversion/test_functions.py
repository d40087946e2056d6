"""Autograd functions of a network's own take no pair of branches."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import pwoct


class Scaled(torch.autograd.Function):
    """An autograd function of a network's own."""

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


class WithFunction(nn.Module):
    def __init__(self, *, training_only):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(c, 8, 3, padding=1) for c in (3, 8, 8))
        self.head, self.training_only = nn.Linear(8, 2), training_only

    def forward(self, x):
        x = self.convs[1](self.convs[0](x))
        if self.training or not self.training_only:
            x = Scaled.apply(x)
        return self.head(self.convs[2](x).mean((2, 3)))


@pytest.mark.parametrize("training_only", [False, True])
def test_an_autograd_function_that_would_lose_gradients_is_refused(training_only):
    """It takes a pair for no tensor: what lies before it would silently get no gradient."""
    words = "Scaled is an autograd function of the network, and does not accept a pair of branches"
    x = torch.randn(2, 3, 8, 8)
    if not training_only:
        with pytest.raises(ValueError, match=words):
            pwoct.convert(WithFunction(training_only=False), alpha="1/4", inputs=[x])
        return
    model = pwoct.convert(WithFunction(training_only=True), alpha="1/4", inputs=[x])
    model.eval()(x)
    with torch.no_grad():
        model(x)
    with pytest.raises(RuntimeError, match=words):
        model.train()(x)


def test_layers_before_an_autograd_function_may_stay_plain():
    x = torch.randn(2, 3, 8, 8)
    layers = {"convs.1": "plain"}
    model = pwoct.convert(WithFunction(training_only=True), alpha="1/4", inputs=[x], layers=layers)
    model.train()(x).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
