"""Leaves a module in memory, and the random numbers, as they were before it was verified.

Counters train: they draw random numbers, update running statistics, and add up gradients.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.jit import ScriptModule

from costmodel.models.foreign import foreign
from costmodel.tracing.substitute import Substitutes, substituted


@contextmanager
def unchanged(model: nn.Module) -> Iterator[nn.Module]:
    """Yield a model that may run: scripted parts, whose tensors can't be replaced, are copies in a block.

    Random numbers that are drawn in the block are drawn again after it.
    """
    with _same_random_numbers():
        if isinstance(model, ScriptModule):
            yield _of_script(model)
            return
        before = [(part, dict(part._modules)) for part in model.modules() if not _is_script(part)]
        copies: dict[int, nn.Module] = {}
        try:
            for part, children in before:
                for name, child in children.items():
                    if isinstance(child, ScriptModule):
                        copies[id(child)] = copies.get(id(child)) or _of_script(child)
                        part._modules[name] = copies[id(child)]
            yield model
        finally:
            for part, children in before:
                part._modules.update(children)


@contextmanager
def on_copies(model: nn.Module) -> Iterator[None]:
    """Let a module run on copies of its tensors in a block; all changes to it are undone afterwards."""
    with substituted(model, Substitutes(_copied)):
        yield


def _of_script(module: ScriptModule) -> nn.Module:
    """Return a copy of a scripted module; one by `copy.deepcopy` would share its gradients."""
    file = io.BytesIO()
    with foreign("a scripted module can't be copied"):
        torch.jit.save(module, file)
        file.seek(0)
        copied: nn.Module = torch.jit.load(file)  # type: ignore[no-untyped-call]
    return copied


def _is_script(module: nn.Module) -> bool:
    return isinstance(module, ScriptModule)


@contextmanager
def _same_random_numbers() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def _copied(tensor: Tensor) -> Tensor:
    """Return a copy on the same device; a parameter stays one."""
    made = tensor.detach().clone()
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(made, requires_grad=tensor.requires_grad)
    return made.requires_grad_(tensor.requires_grad and tensor.is_leaf)
