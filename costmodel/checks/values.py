"""Whether the cost of a network depends on the values of its inputs or weights.

Code that can't run without data may branch on them. It is run again on values of several magnitudes and of
both signs, so that a threshold on a mean, a norm or a probability is likely to be crossed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from costmodel.checks.repeated import first_difference, layers_of
from costmodel.checks.unchanged import on_copies
from costmodel.models import Network
from costmodel.models.foreign import foreign
from costmodel.models.inputs import Inputs
from costmodel.tracing.calls import Trace, UndefinedCostError
from costmodel.tracing.trace import trace_with_data


class Draw(NamedTuple):
    """How values are changed: floating-point inputs x to scale * x + shift, weights w to weights * w."""

    scale: float = 1
    shift: float = 0
    weights: float = 1


DRAWS = (
    *(Draw(-1), Draw(1, 3), Draw(1, -3), Draw(30), Draw(-30), Draw(1000), Draw(-1000), Draw(0.03), Draw(0)),
    *(Draw(weights=-1), Draw(weights=10), Draw(-1, weights=10), Draw(weights=0.1)),
)
# Limits: of the MACs of all draws together (two are always made); of the weights that are changed.
MOST_MACS, MOST_BYTES = 2 * 10**9, 2**29


def differs_between_values(network: Network, inputs: Inputs, traced: Trace) -> str:
    """Return why the cost depends on values: another run on other values differs; "" if none does.

    Only code that can't run without data is run again. Raises ValueError if it does not run on random values.
    """
    if traced.route != "real":
        return ""
    first = layers_of(traced)
    with foreign(f"{network.name.text} fails on random values"):
        module, args, kwargs = network.with_data(inputs)
        runs = [trace_with_data(module, args, kwargs)]
    for other in (*runs, *_drawn(module, inputs, int(traced.total().macs))):
        if found := first_difference(first, layers_of(other), "the first run", "one on other values"):
            return f"the cost depends on values of inputs or weights: {found}"
    return ""


def _drawn(module: nn.Module, inputs: Inputs, macs: int) -> Iterator[Trace]:
    """Yield runs on other values, as many as take little time; none of a module of many weights."""
    if sum(p.numel() * p.element_size() for p in module.parameters()) > MOST_BYTES:
        return
    generator = torch.Generator().manual_seed(0)
    most = max(2, MOST_MACS // max(macs, 1))
    for seed, draw in enumerate(DRAWS[:most]):
        change = partial(_changed, draw=draw, generator=generator)
        args, kwargs = tree_map_only(Tensor, change, inputs.values("cpu", seed))
        with on_copies(module):
            _change_weights(module, draw, generator)
            ran = _run(module, args, kwargs)
        if ran is not None:
            yield ran


def _run(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Trace | None:
    """Run a module; None where its code does not take these values."""
    try:
        with foreign("it fails"):
            return trace_with_data(module, args, kwargs)
    except ValueError as error:
        if isinstance(error.__cause__, UndefinedCostError):
            raise error.__cause__ from None
        return None


def _changed(tensor: Tensor, draw: Draw, generator: torch.Generator) -> Tensor:
    """Return other values of an input; whole numbers stay within their bounds."""
    if tensor.dtype is torch.bool:
        return (torch.rand(tensor.shape, generator=generator) < 0.5).to(tensor.device)
    other = _shuffled(tensor, generator)
    return other * draw.scale + draw.shift if _is_inexact(tensor) else other


def _change_weights(module: nn.Module, draw: Draw, generator: torch.Generator) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            if _is_inexact(parameter) and parameter.requires_grad and not parameter.is_meta:
                parameter.copy_(_shuffled(parameter, generator) * draw.weights)


def _is_inexact(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _shuffled(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Return the elements of a tensor in another order; numbers that are all alike become random ones."""
    flat = tensor.detach().flatten()
    if _is_inexact(tensor) and bool((flat == flat[:1]).all()):
        return torch.randn(tensor.shape, generator=generator).to(flat)
    order = torch.randperm(tensor.numel(), generator=generator)
    return flat[order.to(flat.device)].reshape(tensor.shape)
