"""Trace any module: on tensors without data if its code allows, otherwise on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from costmodel.convention import Cost
from costmodel.outputs import tensors_in
from costmodel.sizes import Size
from costmodel.tracing.backward import backward_calls
from costmodel.tracing.calls import Call, Trace, TraceError, Training, UndefinedCostError
from costmodel.tracing.inventory import module_infos, parameter_counts
from costmodel.tracing.lazy_layers import materialise
from costmodel.tracing.pricing import price
from costmodel.tracing.raw import Raw
from costmodel.tracing.running import positional
from costmodel.tracing.runs import FakeTensors, Run, Tensors, run

REAL_BYTES = 4 * 2**30  # limit of what is allocated because code needs values

# Makes a module with data, and its positional and keyword inputs.
Values = Callable[[], tuple[nn.Module, Sequence[Any], Mapping[str, Any]]]


def trace(
    module: nn.Module,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    training: bool = False,
    with_values: bool = True,
    values: Values | None = None,
) -> Trace:
    """Return the operators that run when a module is called on inputs, with their costs.

    The module is left as it was, except that lazy parameters are materialised. `args` are its positional
    inputs; a lone tensor is a single one. Inputs are tensors, or anything that contains tensors; only their
    shapes and dtypes matter, except to code that reads values.
    With `training`, one training step is traced too. Code that needs values runs on the CPU, unless
    `with_values` is False: on the module and inputs that `values` makes, otherwise on the given ones, with
    zeros for those without data.

    Raises TraceError, which names the module and the operator, if the module does not run.

    >>> import torch
    >>> trace(nn.Linear(8, 6), [torch.zeros(3, 8)]).total().macs
    144
    """
    args = positional(args)
    with_sizes(module, args, kwargs or {})
    try:
        return _traced(module, args, kwargs or {}, FakeTensors, training)
    except UndefinedCostError:
        raise
    except TraceError as error:
        if not with_values or _bytes([*module.parameters(), *tensors_in([args, kwargs])]) > REAL_BYTES:
            raise
        without = str(error)
    found = _traced(*(values() if values else (module, args, kwargs or {})), Tensors, training)
    return Trace(
        found.calls,
        found.parameters,
        found.modules,
        found.training,
        "real",
        (
            *found.notes,
            f"run on the CPU, since the code needs values: {without}",
        ),
        found.unsettled,
    )


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def trace_with_data(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Trace:
    """Return what runs on the CPU with data: zeros, where the module or its inputs have none.

    Raises TraceError if the module does not run.
    """
    with_sizes(module, args, kwargs)
    return _traced(module, args, kwargs, Tensors, training=False)


def _traced(
    module: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    tensors: type[Tensors],
    training: bool,
) -> Trace:
    ran = run(module, args, kwargs, tensors(), training=False, twice=True)
    calls = priced(ran.forward)
    _check_changes(ran, calls)
    calls += tuple(_elsewhere(*called) for called in ran.left)
    step: Training | None = None
    notes: tuple[str, ...] = ()
    if training:
        try:
            step = _step(run(module, args, kwargs, tensors(), training=True))
        except TraceError as error:
            notes = (f"no training step: {error}",)
    infos = module_infos(module, ran.places.executions)
    parameters = parameter_counts(module, calls, ran.by_hand)
    return Trace(calls, parameters, infos, step, tensors.route, notes, ran.unsettled)


def _elsewhere(module: str, method: str) -> Call:
    """Return what stands for the work of another library, which nothing here sees."""
    reason = "what another library computes from a tensor is not seen"
    return Call(f"Tensor.{method}", method, module, 1, "unknown", (), (), Cost(), reason=reason)


def _check_changes(ran: Run, first: Sequence[Call]) -> None:
    """Reject a module whose next run has a different cost, as it changes itself or draws random numbers."""
    macs = [int(sum(call.cost.macs for call in calls)) for calls in (first, *map(priced, ran.again))]
    _check_same(ran.changed, "takes", "MACs in", macs)
    # Parameters that the first run makes may stay; a run that makes more of them each time may not.
    _check_same(ran.changed, "has", "parameters after", ran.held)


def _check_same(changed: str, verb: str, what: str, counts: Sequence[int]) -> None:
    noun, preposition = what.split()
    if other := [count for count in counts if count != counts[0]]:
        which = "its second run" if len(counts) == 2 else "another run"
        raise UndefinedCostError(
            f"{changed} while the network runs: it {verb} {counts[0]:,} {noun} {preposition} its first and "
            f"{other[0]:,} {preposition} {which}; the cost of such a network is not defined"
        )


def _step(ran: Run) -> Training:
    gradients = backward_calls(ran.forward, ran.backward, number)
    return Training(priced(ran.forward), gradients, sum(ran.saved.values()), ran.saved)


def priced(calls: Iterable[Raw]) -> tuple[Call, ...]:
    """Return calls at concrete sizes with their costs."""
    return tuple(price(raw, number) for raw in calls)


def number(size: Any) -> Size:
    """Return a size as a number."""
    return int(size)


def with_sizes(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Materialise lazy layers. Raises TraceError if the module does not run."""
    try:
        materialise(module, args, kwargs)
    except ValueError as error:
        raise TraceError(str(error)) from error.__cause__
