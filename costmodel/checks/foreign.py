"""Verification of any network: the formulas of the operators that ran beside independent counts.

Three verdicts. `agrees`: all MACs and parameters were compared, and nothing contradicts them. `differs`: a
count contradicts a formula, and no known defect of its counter predicts it. `partly compared`: nothing
contradicts the formulas, but something was not compared, or two counters contradict each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial

from costmodel.checks.compared import comparable
from costmodel.checks.counters import Counted
from costmodel.checks.isolated import Results
from costmodel.checks.known_defects import (
    KnownDefect,
    explain,
    groups_ignored,
    macs_of,
    names_of,
    saw_all,
)
from costmodel.tracing.calls import Call, Trace

AGREES, PARTLY, DIFFERS = "agrees", "partly compared", "differs"
# Verdicts of a row.
OK, EXCUSED, DISPUTED, UNCOUNTED = "ok", "known defect", "disputed", "not compared"
MODEL = "(model)"


@dataclass(frozen=True)
class LayerRow:
    """One module: the formulas' values, each counter's count, and the defects that explain a count."""

    name: str
    macs: int
    counts: Mapping[str, int]
    defects: Mapping[str, KnownDefect] = field(default_factory=dict)
    params: int = 0
    params_counted: int | None = None

    @property
    def agreeing(self) -> list[str]:
        """The counters that agree with the formulas."""
        return [name for name, count in self.counts.items() if count == self.macs]

    @property
    def contradicting(self) -> list[str]:
        """The counters that disagree, except through known defects."""
        return [name for name, n in self.counts.items() if n != self.macs and name not in self.defects]

    @property
    def verdict(self) -> str:
        """The verdict of all counters on this row."""
        if self.params_counted not in (None, self.params):
            return DIFFERS
        if self.contradicting:
            return DISPUTED if self.agreeing else DIFFERS
        if self.agreeing:
            return EXCUSED if self.defects else OK
        return EXCUSED if self.defects else UNCOUNTED

    @property
    def is_compared(self) -> bool:
        """Whether a counter confirms the MACs, or there are no MACs and no counter reports any."""
        return bool(self.agreeing) and not self.contradicting

    def sentences(self) -> Iterator[str]:
        """Yield a sentence for each contradiction."""
        for counter in self.contradicting:
            yield f"{self.name}: MACs: formula {self.macs:,}, {counter} {self.counts[counter]:,}"
        if self.params_counted not in (None, self.params):
            yield f"{self.name}: parameters: formula {self.params:,}, counted {self.params_counted:,}"


@dataclass(frozen=True)
class TotalRow:
    """One quantity of the whole network, from one counter."""

    quantity: str
    formula: int
    counter: str
    count: int
    defect: str = ""  # the known defect that predicts the count
    disputed: bool = False  # all of the difference lies in layers on which the counters disagree

    @property
    def verdict(self) -> str:
        """Whether the count equals the formula."""
        if self.count == self.formula:
            return OK
        return EXCUSED if self.defect else DISPUTED if self.disputed else DIFFERS


@dataclass(frozen=True)
class NetworkReport:
    """What a verification of a network found."""

    title: str
    rows: Sequence[LayerRow]
    totals: Sequence[TotalRow]
    failures: Mapping[str, str]  # by counter: why it gave no result
    uncovered: Sequence[Call] = ()
    notes: Sequence[str] = ()

    @property
    def differences(self) -> list[str]:
        """A sentence for each contradiction that no counter disputes, layers first."""
        layers = [text for row in self.rows if row.verdict == DIFFERS for text in row.sentences()]
        return layers + [
            f"{row.quantity}: formula {row.formula:,}, {row.counter} {row.count:,}"
            for row in self.totals
            if row.verdict == DIFFERS
        ]

    @property
    def disputes(self) -> list[str]:
        """A sentence for each count that another counter contradicts."""
        return [text for row in self.rows if row.verdict == DISPUTED for text in row.sentences()]

    @property
    def numbers_compared(self) -> int:
        """The number of counts that were compared with a formula, where not both are 0."""
        layers = sum(bool(row.macs or n) for row in self.rows for n in row.counts.values())
        params = sum(row.params_counted is not None and row.params > 0 for row in self.rows)
        return layers + params + sum(bool(row.formula or row.count) for row in self.totals)

    @property
    def share_of_macs(self) -> Fraction:
        """The share of the MACs that a counter confirms; 1 if there are no MACs."""
        whole = sum(row.macs for row in self.rows)
        compared = sum(row.macs for row in self.rows if row.is_compared)
        return Fraction(compared, whole) if whole else Fraction(1)

    @property
    def share_of_parameters(self) -> Fraction:
        """The share of the parameters that were counted."""
        whole = sum(row.params for row in self.rows)
        counted = sum(row.params for row in self.rows if row.params_counted == row.params)
        return Fraction(counted, whole) if whole else Fraction(1)

    @property
    def verdict(self) -> str:
        """The overall verdict."""
        if self.differences:
            return DIFFERS
        all_compared = min(self.share_of_macs, self.share_of_parameters) == 1 and self.numbers_compared
        return AGREES if all_compared and not self.disputes and not self.uncovered else PARTLY


def compare_counts(title: str, trace: Trace, results: Results, notes: Sequence[str] = ()) -> NetworkReport:
    """Return the formulas of a traced network beside the counters' results."""
    counted = {name: result for name, result in results.items() if isinstance(result, Counted)}
    if (watched := counted.get("torch")) is not None:
        counted["torch"] = comparable(watched, trace)
    failures = {name: result for name, result in results.items() if isinstance(result, str)}
    calls = _by_module(trace)
    elsewhere = {name for name, counts in counted.items() if counts.total == macs_of(trace.calls)}
    rows = [_row(name, calls.get(name, []), trace, counted, elsewhere) for name in _names(trace, counted)]
    more = [*trace.notes, *(f"{c.counter}: {note}" for c in counted.values() for note in c.notes)]
    if hidden := trace.parameters.unregistered:
        more.append(f"{hidden:,} parameters are used but not registered: parameters() does not see them")
    return NetworkReport(
        title, rows, _totals(trace, counted, rows), failures, trace.uncovered(), [*notes, *more]
    )


def _by_module(trace: Trace) -> dict[str, list[Call]]:
    calls: dict[str, list[Call]] = {}
    for call in trace.calls:
        calls.setdefault(call.module, []).append(call)
    return calls


def _names(trace: Trace, counted: Mapping[str, Counted]) -> list[str]:
    """The modules with parameters or MACs on either side, in the model's order."""
    own = {info.path for info in trace.modules if info.parameters}
    own |= {call.module for call in trace.calls if call.cost.macs}
    for counts in counted.values():
        own |= counts.macs.keys() | counts.own_parameters.keys()
    order = {info.path: place for place, info in enumerate(trace.modules)}
    return sorted(own, key=lambda name: order.get(name, len(order)))


def _row(
    name: str,
    calls: Sequence[Call],
    trace: Trace,
    counted: Mapping[str, Counted],
    elsewhere: set[str],
) -> LayerRow:
    macs = macs_of(calls)
    counts = {
        counter: result.macs.get(name, 0)
        for counter, result in counted.items()
        # If a counter's total is right, a module to which it attributes other modules' work is not compared.
        if counter not in elsewhere or result.macs.get(name, 0) == macs
    }
    watched = counted.get("torch")

    def confirmed(by: str) -> bool:
        others = [count for other, count in counts.items() if other != by]
        return macs in others or ("torch" in counts and watched is not None and saw_all(watched, name, calls))

    defects = {
        counter: defect
        for counter, count in counts.items()
        if count != macs and (defect := explain(counted[counter], name, calls, partial(confirmed, counter)))
    }
    params = next((info.parameters for info in trace.modules if info.path == name), 0)
    params_counted = None if watched is None else watched.own_parameters.get(name, 0)
    return LayerRow(name or MODEL, macs, counts, defects, params, params_counted)


def _totals(trace: Trace, counted: Mapping[str, Counted], rows: Sequence[LayerRow]) -> list[TotalRow]:
    found = []
    macs = macs_of(trace.calls)
    for name, result in counted.items():
        shift = sum(row.counts[name] - row.macs for row in rows if name in row.defects)
        known = {row.defects[name].name for row in rows if name in row.defects}
        defect = ", ".join(sorted(known)) if known and result.total == macs + shift else ""
        disputed = any(name in row.contradicting and row.verdict == DISPUTED for row in rows)
        off = sum(
            row.counts[name] - row.macs for row in rows if name in row.counts and row.verdict != DIFFERS
        )
        found.append(
            TotalRow("MACs", macs, name, result.total, defect, disputed and result.total == macs + off)
        )
    if (watched := counted.get("torch")) is not None:
        found += [*_training_total(trace, watched), *_parameter_totals(trace, watched)]
        if macs == watched.total and watched.activations:
            count = sum(watched.activations.values())
            found.append(TotalRow("activations", int(trace.total().activations), "torch", count))
    return found


def _parameter_totals(trace: Trace, watched: Counted) -> list[TotalRow]:
    counts = trace.parameters
    frozen = counts.frozen - counts.unregistered_frozen
    registered = counts.all - counts.unregistered
    formulas = {
        "parameters": (registered, "all"),
        "trainable": (registered - frozen, "trainable"),
        "frozen": (frozen, "frozen"),
        "buffers": (trace.parameters.buffers, "buffers"),
    }
    return [
        TotalRow(quantity, formula, "parameters()", watched.parameters[key])
        for quantity, (formula, key) in formulas.items()
        if formula or watched.parameters[key]
    ]


def _training_total(trace: Trace, watched: Counted) -> list[TotalRow]:
    """The MACs of a training step; torch's rule for the gradient of grouped weights ignores the groups."""
    if watched.training is None or trace.training is None:
        return []
    formula = int(trace.training.macs)
    steps = [*trace.training.forward, *trace.training.backward]
    lost = sum(int(call.cost.macs_training) for call in steps if call.operator not in watched.rules)
    extra = groups_ignored(steps)
    defect = ""
    if watched.training != formula and watched.training == formula - lost + extra:
        defect = names_of(lost, extra)
    return [TotalRow("training MACs", formula, "torch", watched.training, defect)]
