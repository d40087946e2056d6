"""A sentence for a paper that states what was counted."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.operators.rules import MULTIPLYING
from costmodel.release import installed_release
from costmodel.tables.traced_total import TracedTotal
from costmodel.tables.traced_totals import FOR_VALUES
from costmodel.tracing.calls import Trace


def sentence(model: str, inputs: Sequence[str], trace: Trace, choice: TracedTotal) -> str:
    """Return what a total contains, and what it leaves out, so that others can reproduce it."""
    work, params = int(choice.work(trace.calls)), trace.parameters.all
    unit = "FLOPs (2 per multiply-accumulate)" if choice.unit == "flop" else "multiply-accumulates (MACs)"
    ran = [kind for kind in MULTIPLYING if any(c.kind == kind and c.cost.macs for c in trace.calls)]
    kinds = [kind for kind in ran if kind in choice.names]
    parts = [part for part in trace.element_ops() if part in choice.names]
    left = [name for name in (*ran, *trace.element_ops()) if name not in choice.names]
    text = (
        f"{model} takes {work:,} {unit} and has {params:,} parameters on an input of {' and '.join(inputs)},"
        f" in eval mode. Counted: {', '.join([*kinds, *parts]) or 'nothing'}, as executed, taps on padding"
        f" included. Not counted: {', '.join(left) or 'nothing that ran'}. (pwoct-cost {installed_release()})"
    )
    if trace.route == "real":
        text += f" {FOR_VALUES}"
    missing = sorted({call.operator for call in trace.uncovered()})
    return text + (f" No formula covers {', '.join(missing)}." if missing else "")
