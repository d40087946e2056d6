"""Totals of a traced network, what they are made of, what they lack, and remarks for the reader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from costmodel.report import Column, Table, counted
from costmodel.sizes import Size
from costmodel.tables.traced import MODEL
from costmodel.tables.traced_total import TracedTotal
from costmodel.tracing.calls import Call, Trace, element_ops

MOST_PARTS = 3  # entries for the element operations: if there are more parts, the last are added up
COMPLEX = (
    "Complex numbers: a product of two of them counts as one MAC, but torch runs a complex convolution as "
    "three real ones, which are counted."
)
# Where code runs on data, on which its cost may depend.
FOR_VALUES = "The cost holds for the values that were given or drawn; other values may change it."


def total_values(trace: Trace, choice: TracedTotal) -> dict[str, Any]:
    """Return the totals by key."""
    cost, params = trace.total(), trace.parameters
    moved = sum(call.bytes_read + call.bytes_written for call in trace.calls)
    training = trace.training
    on_weights = [call for call in trace.calls if call.on_weights]
    return {
        "params": params.all,
        "params_trainable": params.trainable,
        "params_frozen": params.frozen,
        "buffers": params.buffers,
        "macs": cost.macs,
        "work": choice.work(trace.calls),
        "macs_training": None if training is None else training.macs,
        "activations": cost.activations,
        "element_ops": sum(trace.element_ops().values()),
        "bytes": moved,
        "intensity": round(int(cost.macs) / int(moved), 4) if moved else None,
        "calls": cost.calls,
        "work_on_weights": choice.work(on_weights),
        "element_ops_on_weights": sum(element_ops(on_weights).values()),
        "saved_bytes": None if training is None else training.saved_bytes,
    }


def totals_table(trace: Trace, choice: TracedTotal) -> Table:
    """Return one row per total, with its breakdown."""
    values, params = total_values(trace, choice), trace.parameters
    heading, ops = choice.unscaled.heading, values["element_ops_on_weights"]
    tied = f"; {counted(len(params.tied), 'tied name')} counted once" if params.tied else ""
    notes: dict[str, tuple[str, str]] = {
        "params": ("parameters", f"{params.trainable:,} trainable, {params.frozen:,} frozen{tied}"),
        "buffers": ("buffers", "not counted as parameters"),
        "work": (heading, _made_of(choice.parts(trace.calls))),
        "work_on_weights": (
            f"{heading} on weights",
            f"included above, to compute weights; {counted(ops, 'element operation')}",
        ),
        "macs_training": ("training MACs", "forward and both gradients of one step"),
        "activations": ("activations", "output elements of operators with MACs"),
        "element_ops": ("element operations", _made_of(_largest(trace.element_ops()))),
        "bytes": ("bytes moved", "read and written by each operator, once"),
        "intensity": ("MACs per byte", ""),
        "calls": ("operator calls", ""),
        "saved_bytes": ("bytes saved", "for the backward pass"),
    }
    rows = [
        {"quantity": name, "total": values[key], "made_of": note}
        for key, (name, note) in notes.items()
        if values[key] is not None and (key != "work_on_weights" or values[key] or ops)
    ]
    columns = [
        Column("quantity", "quantity"),
        Column("total", "total", "count"),
        Column("made_of", "made of"),
    ]
    return Table("totals", "Totals", columns, rows)


def _made_of(parts: Mapping[str, Size]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in parts.items())


def _largest(parts: Mapping[str, Size]) -> dict[str, Size]:
    """Return the largest parts, largest first, and the sum of the others."""
    found = sorted(parts.items(), key=lambda pair: -int(pair[1]))
    if len(found) <= MOST_PARTS:
        return dict(found)
    named = found[: MOST_PARTS - 1]
    return {**dict(named), "other": sum(count for _, count in found[len(named) :])}


def uncovered_table(calls: Iterable[Call], lacking: str = "total") -> Table:
    """Return one row per operator of a module that no formula covers, with the reason, from such calls."""
    found: dict[tuple[str, str, str], int] = {}
    for call in calls:
        key = call.module, call.operator, call.reason
        found[key] = found.get(key, 0) + 1
    rows = [
        {"name": module or MODEL, "operator": operator, "calls": calls, "reason": reason}
        for (module, operator, reason), calls in found.items()
    ]
    columns = [
        Column("name", "module"),
        Column("operator", "operator"),
        Column("calls", "calls", "count"),
        Column("reason", "not covered because"),
    ]
    return Table("uncovered", f"Not covered, and not included in any {lacking} above", columns, rows)


def remarks(trace: Trace) -> list[str]:
    """Return notes for the reader: modules that ran several times or never, tied parameters, the route."""
    told = []
    repeated = [info for info in trace.modules if info.executions > 1 and info.parameters]
    if repeated:
        names = [f"{info.path or MODEL} ({info.executions} times)" for info in repeated]
        told.append(f"Run more than once, counted each time, parameters once: {_some(names)}.")
    idle = [info.path or MODEL for info in trace.modules if not info.executions and info.parameters]
    used = {call.module for call in trace.calls}
    if unused := [path for path in idle if path not in used and _is_idle(path, trace)]:
        told.append(f"Not run by this input, parameters counted: {_some(unused)}.")
    if tied := trace.parameters.tied:
        told.append(f"Tied: {_some([f'{name} = {first}' for name, first in tied.items()])}.")
    if any(call.of_complex for call in trace.calls):
        told.append(COMPLEX)
    told += unregistered(trace.parameters.unregistered)
    if trace.route == "real":
        told.append(FOR_VALUES)
    return [*told, *trace.notes]


def unregistered(parameters: Size) -> list[str]:
    """Return a remark on parameters that run but are not registered, if there are any."""
    if parameters == 0:
        return []
    number = f"{parameters:,}" if isinstance(parameters, int) else parameters
    where = "as in a plain list instead of nn.ModuleList or nn.ParameterList"
    effect = "parameters() and optimisers do not see them"
    return [f"{number} parameters are used but not registered, {where}: {effect}."]


def _is_idle(path: str, trace: Trace) -> bool:
    """A module whose parameters another module reads, such as attention's out_proj, is used."""
    unused = {name.rpartition(".")[0] for name in trace.parameters.unused}
    return path in unused


def _some(names: Sequence[str], most: int = 4) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
