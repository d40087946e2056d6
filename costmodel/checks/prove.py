"""Proofs that formulas and code agree for all sizes: traced expression minus formula simplifies to zero.

Two methods. "symbolic": the code ran on symbols for all quantities named under "for all", and the difference
of the two expressions is zero as a polynomial. "grid": besides, some quantity took numbers; both sides are
polynomials in it of degree at most d and agree at d + 1 numbers, so they are the same polynomial. The claim
says which numbers, and why the degree is at most d.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sympy as sp
from torch import nn

from costmodel.checks.symbolic import (
    Dimensions,
    NotSymbolicError,
    Traced,
    Tracer,
    follows,
    symbolic_shapes,
)
from costmodel.operators.recorder import Operator
from costmodel.sizes import Size

Build = Callable[[Mapping[sp.Symbol, int]], nn.Module]

QUANTITIES = ("macs", "activations", "params")
NAMES = {"macs": "MACs", "activations": "activation elements", "params": "parameters"}


@dataclass(frozen=True)
class Case:
    """One run: a module, how its sizes are named, its inputs, and its operators by the formulas."""

    build: Build
    dimensions: Dimensions
    inputs: Sequence[tuple[Size, ...]]
    operators: Sequence[Operator]
    sizes: Mapping[sp.Symbol, int]  # numbers to try batch and image sizes with
    attributes: Mapping[str, Size | tuple[Size, ...]] = field(default_factory=dict)
    # Sums that are sizes too: conditions may be decided with a symbol written as one of them.
    sums: Sequence[Mapping[sp.Symbol, sp.Expr]] = ()


@dataclass(frozen=True)
class Claim:
    """What is to be proved; it holds if every case does."""

    name: str
    for_all: str
    cases: Callable[[], Iterable[Case]]
    grid: str = ""  # for the method "grid": which numbers, and why the degree is at most that

    @property
    def method(self) -> str:
        """How it is proved: symbolic or grid."""
        return "grid" if self.grid else "symbolic"


@dataclass(frozen=True)
class Theorem:
    """A claim and what came of it."""

    claim: Claim
    runs: int
    failures: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every case was proved."""
        return self.runs > 0 and not self.failures


def prove(claims: Iterable[Claim]) -> Iterator[Theorem]:
    """Try to prove claims, one after the other."""
    for claim in claims:
        results = [failures(case) for case in claim.cases()]
        found = dict.fromkeys(failure for result in results for failure in result)
        yield Theorem(claim, len(results), tuple(found))


def failures(case: Case) -> list[str]:
    """Return what keeps a case from being proved, layer by layer; nothing where it is proved."""
    sample = {**case.dimensions.samples[0], **case.sizes}
    try:
        shapes = symbolic_shapes(case.build, case.dimensions)
        tracer = Tracer(sample)
        traced = tracer.run(case.build(case.dimensions.samples[0]), shapes, case.inputs, case.attributes)
    except NotSymbolicError as error:
        return [str(error)]
    unproved = [c for c in traced.conditions if not any(follows(c.subs(s)) for s in ({}, *case.sums))]
    return [f"holds only if {c}" for c in unproved] + list(_differences(traced, case.operators))


def _differences(traced: Traced, operators: Sequence[Operator]) -> Iterator[str]:
    layers = [operator for operator in operators if operator.has_weights]
    yield from _unknown(traced, operators)
    for operator in layers:
        yield from _layer_differences(traced, operator)
    for operator in operators:
        if operator.part == "bn":
            yield from _difference(traced.params, operator, "params")
    yield from _total_difference("macs", traced.macs[""], layers)
    yield from _total_difference("params", sum(traced.params.values()), operators)


def _unknown(traced: Traced, operators: Sequence[Operator]) -> Iterator[str]:
    """Yield what only the code has: layers that run, and other modules with parameters."""
    known = {operator.name for operator in operators if operator.has_weights or operator.part == "bn"}
    for name in dict.fromkeys((*traced.activations, *traced.params)):
        if name not in known:
            what = "a layer" if name in traced.activations else "parameters"
            yield f"{name or '(model)'}: the code has {what} that the formulas have not"


def _total_difference(quantity: str, counted: sp.Expr, operators: Sequence[Operator]) -> Iterator[str]:
    formula = sum(getattr(operator.cost, quantity) for operator in operators)
    if not is_zero(counted - formula):
        yield f"all layers: {NAMES[quantity]}: {_values(counted, formula)}"


def _layer_differences(traced: Traced, operator: Operator) -> Iterator[str]:
    if operator.name not in traced.activations:
        yield f"{operator.name}: the formulas have a layer that the code has not"
        return
    for quantity in QUANTITIES:
        yield from _difference(getattr(traced, quantity), operator, quantity)


def _difference(counts: Mapping[str, sp.Expr], operator: Operator, quantity: str) -> Iterator[str]:
    counted, formula = counts.get(operator.name, sp.Integer(0)), getattr(operator.cost, quantity)
    if not is_zero(counted - formula):
        yield f"{operator.name}: {NAMES[quantity]}: {_values(counted, formula)}"


def _values(counted: sp.Expr, formula: Size) -> str:
    return f"code {sp.factor(counted)}, formula {sp.factor(formula)}"


def is_zero(difference: sp.Expr) -> bool:
    """Return whether an expression is zero whatever its symbols are.

    >>> n = sp.Symbol("n", integer=True)
    >>> is_zero((n + 1) ** 2 - n**2 - 2 * n - 1), is_zero(n - sp.floor(n / 2))
    (True, False)
    """
    return bool(sp.expand(difference) == 0)
