"""The plan "lean" for a converted network: its octave layers with less work between their convolutions.

Everything else is the network's own code, and runs as it is written. Parameters and their names stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeGuard

from torch import nn

from pwoct.branches import Octave, Size
from pwoct.conversion.checks import check_module
from pwoct.conversion.conv import ConvertedConv
from pwoct.plan.lean.network import convolve
from pwoct.plan.shared.known import PlanError, is_changed
from pwoct.plan.shared.maps import Maps
from pwoct.resnet import ResNet


def octave_layers(model: nn.Module) -> list[ConvertedConv]:
    """Return the layers that `pwoct.convert` put in place of convolutions."""
    return [module for module in model.modules() if isinstance(module, ConvertedConv)]


def is_converted(model: nn.Module) -> bool:
    """Whether a network was converted."""
    return bool(octave_layers(model))


def is_own_network(model: nn.Module) -> TypeGuard[ResNet]:
    """Whether a network is a `ResNet` of this package that was not converted."""
    return isinstance(model, ResNet) and not is_converted(model)


def why_not_converted(model: nn.Module) -> str | None:
    """Return why "lean" does not compute a network that is no `ResNet` of this package, or None."""
    layers = octave_layers(model)
    if not layers:
        return f"it needs octave layers, got {type(model).__name__} without one"
    for name, module in model.named_modules():
        if isinstance(module, ConvertedConv) and (type(module) is not ConvertedConv or is_changed(module)):
            return f"{name} has hooks or its own forward"
    return None


class LeanConverted(nn.Module):
    """A converted network computed by the plan "lean"; it has the same children, hence the same state dict.

    Raises:
        ValueError: if it has no octave layers, or they have hooks.
    """

    PLAN = "lean"

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        check_module(model)
        if reason := why_not_converted(model):
            raise PlanError("lean", reason, "reference")
        self._modules, self._parameters, self._buffers = model._modules, model._parameters, model._buffers
        self.__dict__["model"] = model  # no child: names of parameters would change

    def train(self, mode: bool = True) -> LeanConverted:
        """Set the mode of the network too."""
        self.__dict__["model"].training = mode
        super().train(mode)
        return self

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the network."""
        model: nn.Module = self.__dict__["model"]
        with _computed_leanly(model):
            return model(*args, **kwargs)


@contextmanager
def _computed_leanly(model: nn.Module) -> Iterator[None]:
    layers = octave_layers(model)
    for layer in layers:
        vars(layer)["convolve"] = partial(_convolve, layer)
    try:
        yield
    finally:
        for layer in layers:
            vars(layer).pop("convolve", None)


def _convolve(layer: ConvertedConv, x: Octave, size: Size) -> Octave:
    return convolve(layer, Maps(x), size)


__all__ = ["LeanConverted", "is_converted", "is_own_network", "octave_layers", "why_not_converted"]
