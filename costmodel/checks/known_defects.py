"""Why a counter's number differs for a module: known defects, each with evidence and an exact prediction.

A count is excused only where a defect predicts exactly that count from the operators that ran.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from costmodel.checks.counters import Counted
from costmodel.tracing.calls import Call

# Defects of torch's counter.
NO_RULE, GROUPS = "no rule", "grouped weight gradient"
IGNORED = "its rule for the gradient of grouped weights ignores the groups"
MOST_CALLS = 12  # of one module, up to which every subset is tried

# fvcore's names of operators, and ours: by kind, or by the function that the code called.
_KINDS: Mapping[str, str] = {
    "_convolution_mode": "convolution",
    "scaled_dot_product_attention": "attention",
    "lstm": "recurrent",
    "gru": "recurrent",
    "rnn_tanh": "recurrent",
    "rnn_relu": "recurrent",
    "lstm_cell": "recurrent",
    "gru_cell": "recurrent",
    "rnn_tanh_cell": "recurrent",
    "rnn_relu_cell": "recurrent",
    "bilinear": "bilinear",
}


@dataclass(frozen=True)
class KnownDefect:
    """A defect of a counter: its short name, and the evidence for it here."""

    name: str
    counter: str
    version: str
    evidence: str


def explain(
    counted: Counted, module: str, calls: Sequence[Call], confirmed: Callable[[], bool]
) -> KnownDefect | None:
    """Return the known defect that predicts a counter's wrong MACs of a module, if there is one.

    `confirmed` says whether another counter agrees with the formulas, or saw all operators run: only then did
    those that a tracer lost certainly run.
    """
    count = counted.macs.get(module, 0)
    for name, evidence, predicted in _predictions(counted, module, calls):
        if count == predicted:
            return KnownDefect(name, counted.counter, counted.version, evidence)
    if counted.counter == "fvcore" and confirmed() and count in _partial_sums(calls):
        evidence = "its tracer drops operators whose results the output does not depend on"
        return KnownDefect("unused result", counted.counter, counted.version, evidence)
    return None


def without_rule(torch: Counted, calls: Iterable[Call]) -> list[Call]:
    """Return the calls with MACs for whose operators torch's counter has no rule."""
    return [call for call in calls if call.cost.macs and call.operator not in torch.rules]


def saw_all(torch: Counted, module: str, calls: Sequence[Call]) -> bool:
    """Whether torch's counter confirms a module's calls: it counts those it can, and saw the others run."""
    unknown = without_rule(torch, calls)
    seen = torch.unruled.get(module, [])
    counts_the_rest = torch.macs.get(module, 0) == macs_of(calls) - macs_of(unknown) + groups_ignored(calls)
    return counts_the_rest and all(call.operator in seen for call in unknown)


def groups_ignored(calls: Iterable[Call]) -> int:
    """The excess that torch's rule for the gradients of convolutions counts where weights are grouped."""
    return int(sum(call.without_groups for call in calls))


Predictions = Iterable[tuple[str, str, int]]  # name, evidence, count


def _predictions(counted: Counted, module: str, calls: Sequence[Call]) -> Predictions:
    if counted.counter == "torch":
        yield from _of_torch(counted, calls)
        return
    einsum = counted.einsum.get(module, 0)
    of_einsum = macs_of(call for call in calls if call.function == "einsum")
    missing = counted.missing.get(module, {})
    lost = [call for call in calls if any(_is(call, operator) for operator in missing)]
    names = sorted(operator for operator in missing if any(_is(call, operator) for call in lost))
    if names:
        defect = "text padding" if names == ["aten::_convolution_mode"] else "no rule"
        evidence = f"it has no rule for {', '.join(names)}"
        for missed in (macs_of(lost), *sorted(_partial_sums(lost) - {0}, reverse=True)):
            yield defect, evidence, macs_of(calls) - missed
            yield defect, evidence, macs_of(calls) - missed - of_einsum + einsum
    if einsum != of_einsum:
        evidence = f"its rule for einsum counts {einsum:,} instead of {of_einsum:,} MACs"
        yield "einsum", evidence, macs_of(calls) - of_einsum + einsum


def _of_torch(counted: Counted, calls: Sequence[Call]) -> Predictions:
    unknown, excess = without_rule(counted, calls), groups_ignored(calls)
    names = ", ".join(sorted({call.operator for call in unknown}))
    evidence = [f"it has no rule for {names}"] * bool(unknown) + [IGNORED] * bool(excess)
    if evidence:
        yield names_of(unknown, excess), "; ".join(evidence), macs_of(calls) - macs_of(unknown) + excess


def names_of(lost: object, excess: object) -> str:
    """Return the names of the defects of torch's counter that lose or add something; "" if none does."""
    return ", ".join([NO_RULE] * bool(lost) + [GROUPS] * bool(excess))


def _is(call: Call, operator: str) -> bool:
    """Whether a call is, or comes from, an operator as TorchScript names it."""
    if not call.cost.macs:
        return False
    if operator.startswith("prim::PythonOp"):
        return True  # a user-defined function, into which the tracer does not see
    name = operator.removeprefix("aten::")
    called = call.function.strip("_"), call.operator.removeprefix("aten.")
    return name in called or _KINDS.get(name) == call.kind


def _partial_sums(calls: Sequence[Call]) -> set[int]:
    """The MACs of every subset of a module's calls; of many, of none, and of all but one."""
    macs = [int(call.cost.macs) for call in calls if call.cost.macs]
    if len(macs) > MOST_CALLS:
        return {0, *(sum(macs) - one for one in macs)}
    return {sum(part) for size in range(len(macs)) for part in combinations(macs, size)}


def macs_of(calls: Iterable[Call]) -> int:
    """Return the MACs of calls."""
    return int(sum(call.cost.macs for call in calls))
