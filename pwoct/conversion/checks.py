"""Checks before a conversion: of the network itself, and of the choices for single layers."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from pwoct.conversion.options import PLAIN, Options
from pwoct.conversion.report import Conversion
from pwoct.lazy import has_lazy_layers

Convs = Mapping[str, nn.Conv2d]


def check_module(model: object) -> None:
    """Raise ValueError unless a network is a module."""
    if not isinstance(model, nn.Module):
        got = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise ValueError(f"a network must be a torch.nn.Module, got {got}")


def check_network(model: nn.Module, init: str) -> None:
    """Raise ValueError if a network can't be converted, or has no weights to start from."""
    check_module(model)
    name = type(model).__name__
    if init == "pretrained" and any(p.is_meta for p in model.parameters()):
        raise ValueError(f"init 'pretrained' needs weights, but {name} is on the meta device")
    if isinstance(getattr(model, "conversion", None), Conversion):
        raise ValueError(f"{name} is already converted: convert the original with different options")
    if has_lazy_layers(model):
        raise ValueError(
            f"{name} has lazy layers, which have no sizes yet: run it once before it is converted"
        )
    compiled = [path for path, part in model.named_modules() if isinstance(part, torch.jit.ScriptModule)]
    if compiled:
        raise ValueError(f"{compiled[0] or name} is compiled by torch.jit: convert the network before that")
    if not convolutions(model):
        raise ValueError(f"{name} has no two-dimensional convolution (nn.Conv2d)")


def convolutions(model: nn.Module) -> dict[str, nn.Conv2d]:
    """Return the two-dimensional convolutions of a network by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}


def check_patterns(model: nn.Module, options: Options) -> None:
    """Raise ValueError if a choice matches no convolution, or has no effect."""
    convs = convolutions(model)
    for place, (pattern, changes) in enumerate(options.layers):
        named = {name: conv for name, conv in convs.items() if fnmatchcase(name, pattern)}
        if not named:
            some = ", ".join([*convs][:6]) + (", ..." if len(convs) > 6 else "")
            raise ValueError(f"layers: no convolution has a name like {pattern!r}; there are {some}")
        _check_not_replaced(options, place, named)
        _check_bottlenecks(pattern, changes, named)
        _check_beta(options, pattern, changes, named)


def _check_not_replaced(options: Options, place: int, named: Convs) -> None:
    """Raise ValueError if later choices replace all of an earlier one."""
    (pattern, changes), later = options.layers[place], options.layers[place + 1 :]

    def replaces(name: str) -> bool:
        fitting = [others for other, others in later if fnmatchcase(name, other)]
        decided = {key for others in fitting for key in others}
        return bool(fitting) and (options.choice(name).plain or changes.keys() - {PLAIN} <= decided)

    if all(replaces(name) for name in named):
        last = next(p for p, _ in reversed(later) if any(fnmatchcase(name, p) for name in named))
        raise ValueError(
            f"layers: {pattern!r} has no effect, because {last!r} comes after it: "
            "of several choices for a layer, the last one applies"
        )


def _check_bottlenecks(pattern: str, changes: Mapping[str, Any], named: Convs) -> None:
    if {"alpha", "beta"} <= changes.keys():
        return  # the whole choice of a stage, for all layers in it
    if changes.get("paths") and all(c.groups > 1 or set(c.kernel_size) == {1} for c in named.values()):
        paths = ",".join(changes["paths"])
        raise ValueError(
            f"layers: {pattern!r} asks for bottlenecks ({paths}), but matches only 1x1 or grouped "
            "convolutions; a bottleneck replaces a kxk convolution without groups"
        )


def _check_beta(options: Options, pattern: str, changes: Mapping[str, Any], named: Convs) -> None:
    if "beta" in changes and not any(options.choice(name).paths for name in named):
        raise ValueError(
            f"layers: {pattern!r} asks for beta {changes['beta']}, but none of these layers' paths is a "
            "bottleneck: name some, such as paths:HL,LH"
        )


__all__ = ["check_module", "check_network", "check_patterns", "convolutions"]
