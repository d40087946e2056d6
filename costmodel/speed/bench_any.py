"""Times any module as it is: eager, in the layout of its inputs. A bridge: it runs torch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from costmodel.outputs import tensors_in
from costmodel.speed.stopwatch import Clock, Timing, in_turns


def time_modes(
    module: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    modes: Sequence[str],
    *,
    rounds: int,
    clock: Clock = time.perf_counter,
) -> dict[str, Timing]:
    """Return the timing of each mode: a pass in eval mode without gradients, or a step forward and backward.

    The step is without an optimiser; its loss is the sum of all floating-point outputs. The modes run one
    after the other, since each has a mode of the module.
    """
    runs = {"inference": lambda: _pass(module, args, kwargs), "training": lambda: _step(module, args, kwargs)}
    timings: dict[str, Timing] = {}
    for mode in modes:
        module.train(mode == "training")
        timings |= in_turns({mode: runs[mode]}, rounds, clock)
    return timings


@torch.no_grad()
def _pass(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    module(*args, **kwargs)


def _step(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    outputs = [y for y in tensors_in(module(*args, **kwargs)) if y.requires_grad]
    if not outputs:
        raise ValueError("a training step needs an output that depends on parameters: use --mode inference")
    torch.autograd.backward(outputs, [torch.ones_like(y) for y in outputs])
    module.zero_grad()
