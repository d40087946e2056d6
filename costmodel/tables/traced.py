"""Tables of a traced network: the most expensive layers, sums by module, kind or operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from costmodel.operators.rules import FREE, MULTIPLYING
from costmodel.report import PARAMS_COLUMN, Column, Table, counted
from costmodel.sizes import Size, check_choice
from costmodel.tables.counting import PREFIXES
from costmodel.tables.traced_total import TracedTotal
from costmodel.tracing.calls import Call, ModuleInfo, Trace, element_ops

MODEL = "(model)"
GROUPS = ("module", "operator", "kind")
SORTS = ("order", "macs", "params", "training", "activations", "element-ops", "bytes", "calls")


@dataclass
class Group:
    """What one row sums: calls of the forward pass and of a training step, and modules."""

    name: str
    what: str = ""
    calls: list[Call] = field(default_factory=list)
    backward: list[Call] = field(default_factory=list)
    modules: list[ModuleInfo] = field(default_factory=list)
    saved_bytes: Size = 0


def groups(trace: Trace, by: str = "module", depth: int | None = None) -> list[Group]:
    """Return what ran, grouped by module, by operator or by kind, in the order of first execution.

    By module, a group contains what runs in the module itself; with a depth, also all of its descendants.
    """
    key = _key(by, depth)
    found: dict[str, Group] = {}
    for call in trace.calls:
        found.setdefault(key(call), Group(key(call))).calls.append(call)
    for call in trace.training.backward if trace.training else ():
        found.setdefault(key(call), Group(key(call))).backward.append(call)
    if by == "module":
        _add_modules(found, trace, depth)
    return [group for group in found.values() if _is_shown(group)]


def _key(by: str, depth: int | None) -> Callable[[Call], str]:
    if by == "operator":
        return lambda call: call.operator
    return (lambda call: call.kind) if by == "kind" else lambda call: _prefix(call.module, depth)


def _prefix(path: str, depth: int | None) -> str:
    """Return the ancestor of a module at a depth: layer1.0 of layer1.0.conv1 at depth 2."""
    return path if depth is None else ".".join(path.split(".")[:depth])


def _add_modules(found: dict[str, Group], trace: Trace, depth: int | None) -> None:
    for info in trace.modules:
        name = _prefix(info.path, depth)
        if info.parameters or name in found:
            group = found.setdefault(name, Group(name))
            group.modules.append(info)
            group.what = info.type if info.path == name else group.what
    for path, saved in (trace.training.saved_by_module if trace.training else {}).items():
        name = _prefix(path, depth)
        found.setdefault(name, Group(name)).saved_bytes += saved


def _is_shown(group: Group) -> bool:
    """Return whether a group has parameters, or calls that compute or move data: views do neither."""
    return any(call.cost.calls for call in group.calls) or any(info.parameters for info in group.modules)


def row(group: Group, choice: TracedTotal, whole: Size) -> dict[str, Any]:
    """Return the sums of a group; the share is that of the chosen work in the total."""
    work, calls = choice.work(group.calls), group.calls
    steps = [*calls, *group.backward]
    return {
        "name": group.name or MODEL,
        "what": group.what or (calls[0].kind if calls else ""),
        "output": _output(calls),
        "executions": max((info.executions for info in group.modules), default=None),
        "params": sum(info.parameters for info in group.modules),
        "macs": sum(call.cost.macs for call in calls),
        "work": work,
        "share": Fraction(int(work), int(whole)) if whole else Fraction(0),
        "macs_training": sum(call.cost.macs_training for call in steps) if group.backward else None,
        "activations": sum(call.cost.activations for call in calls),
        "element_ops": sum(element_ops(calls).values()),
        "bytes": sum(call.bytes_read + call.bytes_written for call in calls),
        "calls": sum(call.cost.calls for call in calls),
    }


def _output(calls: Sequence[Call]) -> str:
    """The output shape of the last operator with MACs, or else of the last that computes, or moves data."""
    moved = [call for call in calls if call.outputs and call.cost.calls]
    computed = [call for call in moved if call.kind not in FREE]
    multiplied = [call for call in computed if call.kind in MULTIPLYING]
    last = (multiplied or computed or moved)[-1:]
    return "x".join(map(str, last[0].outputs[0])) if last else ""


def sums_table(
    trace: Trace,
    choice: TracedTotal,
    *,
    by: str = "module",
    depth: int | None = None,
    sort: str = "order",
    most: int | None = None,
) -> Table:
    """Return one row per module, operator or kind, sorted; on request only the first rows.

    Raises ValueError for an unknown grouping or order.
    """
    check_choice("by", by, GROUPS)
    check_choice("sort", sort, SORTS)
    whole = choice.work(trace.calls)
    rows = [row(group, choice, whole) for group in groups(trace, by, depth)]
    key = _SORT_KEYS.get(sort)
    if key is not None:
        rows.sort(key=lambda found: -(found[key] or 0))  # stable: ties stay in order of execution
    shown = rows if most is None else [found for found in rows[:most] if key is None or found[key]]
    title = _title(by, depth, sort, len(shown), len(rows))
    return Table("layers", title, _columns(by, choice, trace, sort), shown)


SORT_NAMES: Mapping[str, str] = {
    "macs": "work",
    "params": "parameters",
    "training": "training MACs",
    "element-ops": "element operations",
    "bytes": "bytes moved",
    "calls": "operator calls",
}
_SORT_KEYS: Mapping[str, str] = {
    "macs": "work",
    "params": "params",
    "training": "macs_training",
    "activations": "activations",
    "element-ops": "element_ops",
    "bytes": "bytes",
    "calls": "calls",
}


def _title(by: str, depth: int | None, sort: str, shown: int, all_: int) -> str:
    what = {"module": "layer"}.get(by, by) if depth is None else "module"
    if shown < all_ and sort != "order":
        return f"The {counted(shown, what)} of {all_:,} with the most {SORT_NAMES.get(sort, sort)}"
    depth_text = "" if depth is None else f" to depth {depth}"
    return f"By {what}{depth_text}{'' if sort == 'order' else f', sorted by {SORT_NAMES.get(sort, sort)}'}"


def _columns(by: str, choice: TracedTotal, trace: Trace, sort: str) -> list[Column]:
    modules = by == "module"
    extra = {"activations": "activations", "element-ops": "element ops", "bytes": "bytes"}
    on = {_SORT_KEYS.get(sort, ""), *(() if modules else ("element_ops",))}
    trained = trace.training is not None
    return [
        Column("name", {"module": "layer"}.get(by, by)),
        Column("what", "class", on_terminal=False),
        *([Column("output", "output")] if modules else [Column("calls", "calls", "count")]),
        *([PARAMS_COLUMN] if modules else []),
        Column("work", choice.heading, "count", scale=PREFIXES[choice.prefix]),
        Column("share", "share", "share"),
        *([Column("macs", "MACs", "count", on_terminal=False)] if choice != TracedTotal() else []),
        *([Column("macs_training", "training MACs", "count", "macs_training" in on)] if trained else []),
        *(Column(_SORT_KEYS[name], text, "count", _SORT_KEYS[name] in on) for name, text in extra.items()),
        *([Column("calls", "calls", "count", "calls" in on)] if modules else []),
        *([Column("executions", "runs", "count", on_terminal=False)] if modules else []),
    ]
