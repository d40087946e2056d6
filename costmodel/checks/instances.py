"""A module built and counted at concrete sizes, to be compared with a traced count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from costmodel.checks.measure import WEIGHTED, flop_counter_macs, parameters_by_module, total_macs


def counted(
    make: Callable[[], nn.Module], shapes: Sequence[tuple[Any, ...]], device: str = "meta"
) -> tuple[int, int]:
    """Return a module's MACs by `FlopCounterMode`, and its parameters, on inputs of the given shapes.

    device: "meta" needs no memory; "cpu" takes a fraction of the time for small networks.
    """
    with torch.device(device):
        module = make()
        inputs = [torch.zeros(shape) for shape in shapes]
    params = sum(parameter.numel() for parameter in module.parameters())
    return total_macs(module, inputs), params


def counted_by_module(
    make: Callable[[], nn.Module],
    shapes: Sequence[tuple[Any, ...]],
    memory_format: torch.memory_format = torch.contiguous_format,
    device: str = "meta",
) -> dict[str, dict[str, int]]:
    """Return MACs, activation elements and parameters of each layer; parameters and buffers of other modules.

    Parameters that are frozen, or shared by modules, have an entry of their own.

    The memory format of the inputs may select other code, but must not change a count. Layers after the first
    one see it only on a device that computes: on "meta", convolutions return contiguous maps.
    """
    with torch.device(device):
        model = make()
        inputs = [torch.zeros(shape).contiguous(memory_format=memory_format) for shape in shapes]
    activations: dict[str, int] = {}
    layers = {name: module for name, module in model.named_modules() if isinstance(module, WEIGHTED)}

    def note(name: str, _module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        activations[name] = activations.get(name, 0) + output.numel()

    handles = [module.register_forward_hook(partial(note, name)) for name, module in layers.items()]
    macs = flop_counter_macs(model, inputs)
    for handle in handles:
        handle.remove()
    by_layer = {name: macs.get(name, 0) for name in layers}
    outside = macs[""] - sum(by_layer.values())
    return {
        "macs": {**by_layer, **({"(outside all layers)": outside} if outside else {})},
        "activations": activations,
        "params": {**parameters_by_module(model), **_unlike_modules(model)},
        "bn_buffers": _buffers_by_module(model),
    }


def _unlike_modules(model: nn.Module) -> dict[str, int]:
    """Return by how much the trainable parameters, once each, differ from those of all modules together."""
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    difference = trainable - sum(parameters_by_module(model).values())
    return {"(frozen or shared)": difference} if difference else {}


def _buffers_by_module(model: nn.Module) -> dict[str, int]:
    """Return the elements of the running statistics of each module, without the number of batches."""
    return {
        name: sum(buffer.numel() for buffer in module.buffers(recurse=False) if buffer.is_floating_point())
        for name, module in model.named_modules()
        if any(True for _ in module.buffers(recurse=False))
    }
