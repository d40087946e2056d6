"""Verification of a network by name or in memory: traced here, counted apart, compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from costmodel.checks.foreign import NetworkReport, compare_counts
from costmodel.checks.isolated import CountersApart, Results, job_of, run_here
from costmodel.models import Network
from costmodel.models.foreign import foreign
from costmodel.models.inputs import Inputs
from costmodel.models.limits import time_limit
from costmodel.models.names import Name
from costmodel.tracing.calls import Trace, TraceError
from costmodel.tracing.trace import trace


def verify_loaded(network: Network, inputs: Inputs, *, timeout: float | None = None) -> NetworkReport:
    """Verify a network that was built by name; its counters run in processes of their own.

    Raises ValueError where the network does not run on the inputs.
    """
    title = f"{network.name.text}, input {' and '.join(inputs.shapes)}"
    with CountersApart(job_of(network, inputs), timeout=timeout) as counters:
        with time_limit(timeout, f"running {network.name.text}"):
            traced, notes = _traced(network, inputs)
        return compare_counts(title, traced, counters.results(), notes)


def verify_module(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    title: str = "model",
) -> NetworkReport:
    """Verify a module that is in memory; its counters run in this process.

    Raises ValueError where the module does not run on the inputs.

    >>> import torch
    >>> verify_module(nn.Linear(8, 6), [torch.zeros(3, 8)]).verdict
    'agrees'
    """
    device = next((p.device.type for p in (*model.parameters(), *model.buffers())), "cpu")
    network = _InMemory(Name(title, "memory"), model, device)
    inputs = Inputs(made=(tuple(args), dict(kwargs or {})), source=title)
    traced, notes = _traced(network, inputs)
    results: Results = run_here(network, inputs)
    return compare_counts(title, traced, results, notes)


class _InMemory(Network):
    """A network that can't be built again elsewhere."""

    def on(self, device: str) -> Network:
        """Return the network where it is."""
        del device
        return self


def _traced(network: Network, inputs: Inputs) -> tuple[Trace, list[str]]:
    """Trace a network with a training step, or without one where it can't be trained on these inputs."""
    args, kwargs = inputs.values(network.device)
    doing = f"{network.name.text} does not run on {' and '.join(inputs.shapes)}"
    whole = _run(doing, network.module, args, kwargs, training=False)
    try:
        trained = _run(doing, network.module, args, kwargs, training=True)
    except ValueError as error:
        return whole, [f"training is not compared: {error}"]
    return replace(whole, training=trained.training), []


def _run(doing: str, module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], **how: bool) -> Trace:
    try:
        with foreign(doing):
            return trace(module, args, kwargs, **how)
    except ValueError as error:
        if isinstance(error.__cause__, TraceError):
            raise error.__cause__ from None
        raise
