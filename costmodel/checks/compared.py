"""Which of torch's counts can be compared: all but those of operators that no formula covers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from costmodel.checks.counters import Counted
from costmodel.tracing.calls import Call, Trace


def comparable(watched: Counted, trace: Trace) -> Counted:
    """Return torch's counts without operators that no formula covers, and notes of what is left out.

    The counter has a rule for some of them: fused attention, or an operator of a library that registered one.
    """
    names = uncovered_but_counted(watched, trace.calls)
    in_step = (
        set()
        if trace.training is None
        else uncovered_but_counted(watched, (*trace.training.forward, *trace.training.backward))
    )
    left_out = sum(_of(counts, names) for counts in watched.macs_by_operator.values())
    of_step = _of(watched.training_by_operator, in_step)
    notes = [
        f"{count:,} {what} of {', '.join(sorted(of))} are not compared: no formula covers them"
        for count, what, of in ((left_out, "MACs", names), (of_step, "training MACs", in_step))
        if count
    ]
    if not names | in_step:
        return watched
    return replace(
        watched,
        macs=_without(watched.macs, watched.macs_by_operator, names),
        activations=_without(watched.activations, watched.activations_by_operator, names),
        training=watched.training and watched.training - of_step,
        notes=[*watched.notes, *notes],
    )


def uncovered_but_counted(watched: Counted, calls: Iterable[Call]) -> set[str]:
    """Return the operators that no formula covers, and for which torch's counter has a rule."""
    return {call.operator for call in calls if not call.is_covered} & set(watched.rules)


def _without(
    counts: Mapping[str, int], by_operator: Mapping[str, Mapping[str, int]], names: set[str]
) -> dict[str, int]:
    rest = {module: count - _of(by_operator.get(module, {}), names) for module, count in counts.items()}
    return {module: count for module, count in rest.items() if count}


def _of(counts: Mapping[str, int], names: set[str]) -> int:
    return sum(count for name, count in counts.items() if name in names)
