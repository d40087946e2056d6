"""Proofs that formulas and code agree for all sizes of a domain.

The calculator's formulas, and the code's constructor and forward pass, run on the same recorded sizes. Each
side gives polynomials in these sizes for every layer, and the difference must be the zero polynomial. Every
condition on a size that either side evaluated must be decided, for the whole domain, by `decide`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from torch import nn

from costmodel.checks.dispatched import Work, work_by_formula
from costmodel.checks.instances import counted
from costmodel.checks.proof.decide import Step, UndecidedError, decide
from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.proof.ratios import unreduced_ratios
from costmodel.checks.proof.recorded import SizeRecord, expression
from costmodel.checks.symbolic import NotSymbolicError, Traced, Tracer
from costmodel.failures import first_line, told
from costmodel.operators.recorder import Operator
from costmodel.sizes import Size

Numbers = Mapping[sp.Symbol, int]

QUANTITIES = ("macs", "activations", "params")
NAMES = {"macs": "MACs", "activations": "activation elements", "params": "parameters"}


class Sizes:
    """The sizes of a run by their expressions: recorded sizes, or plain numbers if there is no record."""

    def __init__(self, numbers: Numbers, record: SizeRecord | None = None) -> None:
        self._numbers, self._record = numbers, record

    def __call__(self, size: Size) -> Any:
        """Return a size."""
        value = int(sp.sympify(size).subs(self._numbers))
        return value if self._record is None else self._record.size(sp.sympify(size), value)


@dataclass(frozen=True)
class Compared:
    """Two expressions that must be the same polynomial: the code's and the formula's."""

    name: str
    quantity: str
    code: sp.Expr
    formula: sp.Expr

    @property
    def agrees(self) -> bool:
        """Whether they are equal."""
        return self.code == self.formula or is_zero(self.code - self.formula)  # most are the same numbers

    def __str__(self) -> str:
        return (
            f"{self.name}: {NAMES.get(self.quantity, self.quantity)}: "
            f"code {sp.factor(self.code)}, formula {sp.factor(self.formula)}"
        )


@dataclass(frozen=True)
class Case:
    """One run: how the module is made, its formulas, and the sizes for which both hold."""

    name: str
    domain: SizeDomain
    make: Callable[[Sizes], nn.Module]
    formulas: Callable[[Sizes], Sequence[Operator]]
    inputs: Sequence[tuple[Size, ...]]
    sample: Numbers  # chooses the path through the code; the conditions say which other sizes take it too
    instances: Sequence[Numbers] = ()  # at which traced counts are compared with those of a concrete run
    # Whether calls, traffic and work are compared: not for a map of one pixel, which is upsampled by a view.
    work: bool = True


@dataclass(frozen=True)
class Identity:
    """Pairs of expressions or numbers that must be equal, without a run of code on symbols.

    Where formulas run on recorded sizes, `record` has what they asked of them, and `sample` their values.
    """

    name: str
    domain: SizeDomain
    pairs: Callable[[], Iterable[Compared]]
    record: SizeRecord = field(default_factory=SizeRecord)
    sample: Numbers = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A statement to be proved; it holds if every case does."""

    name: str
    cases: Callable[[], Iterable[Case | Identity]]
    # "proved", or "checked" where the cases are only points of the domain.
    kind: str = "proved"
    for_all: str = ""  # the domain in words, where the cases do not give it


@dataclass
class ProofRun:
    """The outcome of one case."""

    case: Case | Identity
    compared: list[Compared] = field(default_factory=list)
    conditions: dict[sp.Basic, Step] = field(default_factory=dict)  # and why each follows
    instances: list[tuple[Numbers, int]] = field(default_factory=list)  # and the MACs that were counted
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Theorem:
    """A claim and its outcome."""

    claim: Claim
    runs: Sequence[ProofRun]

    @property
    def failures(self) -> tuple[str, ...]:
        """Why it is not proved; empty if it is."""
        found = dict.fromkeys(failure for run in self.runs for failure in run.failures)
        return tuple(found) if self.runs else ("nothing was run",)

    @property
    def holds(self) -> bool:
        """Whether every case was proved."""
        return not self.failures


def prove(claims: Iterable[Claim]) -> Iterator[Theorem]:
    """Try to prove claims, one after another."""
    for claim in claims:
        yield Theorem(claim, list(runs(claim)))


def runs(claim: Claim) -> Iterator[ProofRun]:
    """Run the cases of a claim; a case that can't even be made is a failure."""
    try:
        for case in claim.cases():
            yield run(case) if isinstance(case, Case) else equal(case)
    except Exception as error:
        failed = f"the cases can't be made: {told(error)}"
        yield ProofRun(Identity(claim.name, SizeDomain({}), tuple), failures=[failed])


def failures(case: Case) -> list[str]:
    """Return why a case is not proved, layer by layer; empty if it is proved."""
    return run(case).failures


def equal(case: Identity) -> ProofRun:
    """Compare the pairs of an identity."""
    found = ProofRun(case)
    try:
        found.compared += case.pairs()
    except Exception as error:
        found.failures.append(f"{case.name}: it fails: {first_line(error)}")
    if not found.compared and not found.failures:
        found.failures.append(f"{case.name}: nothing was compared")
    found.failures += [str(pair) for pair in found.compared if not pair.agrees]
    _decide_all(found, case.record.conditions)
    return found


def run(case: Case) -> ProofRun:
    """Run both sides of a case on recorded sizes, compare them, and decide the recorded conditions."""
    found = ProofRun(case)
    record = SizeRecord({sp.expand(q): sp.sympify(r) for q, r in case.domain.rounded.items()})
    tracer = Tracer(record, case.sample)
    sizes = Sizes(case.sample, record)
    try:
        operators = _recorded(case, sizes)
        traced = tracer.run(tracer.make(lambda: case.make(sizes)), case.inputs)
        found.failures += _unknown(traced, operators)
        found.compared += _comparisons(traced, operators, work=case.work)
        found.failures += [str(pair) for pair in found.compared if not pair.agrees]
        _decide_all(found, traced.conditions)
        inside = list(filter(case.domain.holds, case.instances))
        for numbers in inside:
            _meet(found, case, numbers, traced)
        if case.instances and not inside:
            found.failures.append("(instances): none of them lies in the domain")
    except NotSymbolicError as error:
        found.failures.append(str(error))
    return found


def _recorded(case: Case, sizes: Sizes) -> Sequence[Operator]:
    with unreduced_ratios():
        try:
            return case.formulas(sizes)
        except Exception as error:
            raise NotSymbolicError(f"(formulas): they fail on symbolic sizes: {first_line(error)}") from error


def _decide_all(found: ProofRun, conditions: Iterable[sp.Basic]) -> None:
    for condition in conditions:
        try:
            found.conditions[condition] = decide(condition, found.case.domain)
        except UndecidedError:
            found.failures.append(f"holds only if {condition}")


def _meet(found: ProofRun, case: Case, numbers: Numbers, traced: Traced) -> None:
    """Compare the traced counts with those of a run at concrete sizes."""
    sizes = Sizes(numbers)
    shapes = [tuple(map(sizes, shape)) for shape in case.inputs]
    try:
        macs, params = counted(lambda: case.make(sizes), shapes)
    except Exception as error:
        found.failures.append(f"at {_text(numbers)} the code fails: {first_line(error)}")
        return
    expected = {"MACs": traced.macs[""], "parameters": sp.Add(*traced.params.values())}
    for (what, expr), count in zip(expected.items(), (macs, params), strict=True):
        if expr.subs(numbers) != count:
            found.failures.append(f"at {_text(numbers)}: {count} {what}, but traced {expr.subs(numbers)}")
    found.instances.append((numbers, macs))


def _text(numbers: Numbers) -> str:
    return ", ".join(f"{symbol} = {value}" for symbol, value in sorted(numbers.items(), key=str))


def _unknown(traced: Traced, operators: Sequence[Operator]) -> Iterator[str]:
    """Yield what only one side has: layers that run, and other modules with parameters."""
    known = {operator.name for operator in operators if operator.has_weights or operator.part == "bn"}
    for name in dict.fromkeys((*traced.activations, *traced.params)):
        if name not in known:
            what = "a layer" if name in traced.activations else "parameters"
            yield f"{name or '(model)'}: the code has {what} that the formulas lack"
    for operator in operators:
        if operator.has_weights and operator.name not in traced.activations:
            yield f"{operator.name}: the formulas have a layer that the code lacks"


def _comparisons(traced: Traced, operators: Sequence[Operator], *, work: bool) -> Iterator[Compared]:
    for operator in operators:
        if operator.has_weights:
            for quantity in QUANTITIES:
                yield _compared(operator.name, quantity, getattr(traced, quantity), operator)
        elif operator.part == "bn":
            yield _compared(operator.name, "params", traced.params, operator)
    layers = [operator for operator in operators if operator.has_weights]
    yield Compared("all layers", "macs", traced.macs[""], _sum("macs", layers))
    yield Compared("all layers", "params", sp.Add(*traced.params.values()), _sum("params", operators))
    if work:
        yield from _work(traced, operators)


def _compared(name: str, quantity: str, counts: Mapping[str, sp.Expr], operator: Operator) -> Compared:
    formula = expression(getattr(operator.cost, quantity))
    return Compared(name, quantity, counts.get(name, sp.Integer(0)), formula)


def _sum(quantity: str, operators: Sequence[Operator]) -> sp.Expr:
    return sp.Add(*(expression(getattr(operator.cost, quantity)) for operator in operators))


def _work(traced: Traced, operators: Sequence[Operator]) -> Iterator[Compared]:
    """Yield, for each kind of operator: calls, elements read, elements written, operations on elements."""
    formulas = work_by_formula(operators)
    for part in dict.fromkeys((*formulas, *traced.work)):
        pairs = zip(traced.work.get(part, Work()), formulas.get(part, Work()), strict=True)
        for what, (code, formula) in zip(Work._fields, pairs, strict=True):
            yield Compared(f"all {part} operators", what, sp.sympify(code), expression(formula))


def is_zero(difference: sp.Expr) -> bool:
    """Return whether an expression is the zero polynomial.

    >>> n = sp.Symbol("n", integer=True)
    >>> is_zero((n + 1) ** 2 - n**2 - 2 * n - 1), is_zero(n - sp.floor(n / 2))
    (True, False)
    """
    return bool(sp.expand(difference) == 0)
