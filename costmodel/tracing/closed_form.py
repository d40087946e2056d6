"""The cost of a module as a formula in the sizes of its inputs, and the sizes for which it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp
from torch import nn

from costmodel.convention import QUANTITIES, Cost
from costmodel.sizes import Size
from costmodel.tracing.calls import TraceError, UndefinedCostError
from costmodel.tracing.conditions import factors_of
from costmodel.tracing.domain import Domain, joined
from costmodel.tracing.fallback import MOVEMENT, interpolated
from costmodel.tracing.form import EXACT, ClosedForm
from costmodel.tracing.inventory import parameter_counts
from costmodel.tracing.multiples import Exactly
from costmodel.tracing.narrowing import domain, interval
from costmodel.tracing.running import positional
from costmodel.tracing.sized import SizedModule
from costmodel.tracing.sums import summed
from costmodel.tracing.symbolic import Symbolic, Symbols, distinct, size_symbol
from costmodel.tracing.trace import trace, with_sizes


def closed_form(
    module: nn.Module,
    args: Sequence[Any],
    symbols: Symbols,
    kwargs: Mapping[str, Any] | None = None,
) -> ClosedForm:
    """Return the cost of a module in the sizes that `symbols` names.

    `args` are its positional inputs; a lone tensor is a single one.

    If the code fixes a size on symbols but runs at other sizes, the form is interpolated, and says so.

    Raises TraceError if the module does not run, ValueError if the symbols do not fit the inputs.

    >>> import torch
    >>> form = closed_form(nn.Conv2d(2, 4, 3, padding=1), [torch.zeros(2, 2, 8, 8)], {0: {2: "h", 3: "w"}})
    >>> form.total.macs, form.domain.text
    (144*h*w, 'for h, w >= 1')
    """
    args, kwargs = positional(args), kwargs or {}
    subject = SizedModule(module, args, kwargs, symbols)
    given = subject.given
    with_sizes(module, args, kwargs)
    try:
        ran, hints = _first_that_runs(subject)
        form = _form(module, ran, hints)
    except UndefinedCostError:
        raise
    except TraceError:
        approximate = _interpolated(subject)
        if approximate is None:
            raise
        return approximate
    approximate = _interpolated(subject) if form.specialised else None
    if approximate is not None:
        return approximate
    exact = _exact(form, subject, hints)
    found = exact if _holds_at(exact, given) else _on_given(subject) or exact
    if found.specialised and not found.domain.holds(given):
        found = _fixed_at_given(subject) or found
    difference = _difference_at_given(found, subject)
    if not difference:
        return found
    approximate = _interpolated(subject)
    if approximate is None:
        raise UndefinedCostError(difference)
    return approximate


def _difference_at_given(form: ClosedForm, subject: SizedModule) -> str:
    """Return how a form differs from a run on the given sizes; "" where it does not, or does not hold there.

    Code that asks for the type of a size takes another path on symbols.
    """
    given = subject.given
    if not form.domain.holds(given):
        return ""
    try:
        ran = subject.at(given).total()
    except TraceError:  # the code needs values, and on symbols it found another way
        return ""
    for quantity, name in (("macs", "MACs"), ("activations", "activations")):
        formula, counted = form.value(quantity, **given), getattr(ran, quantity)
        if formula != counted:
            return (
                f"(model) tells symbols from numbers: at the given sizes its formula gives {formula:,} "
                f"{name}, and a run {counted:,}"
            )
    return ""


def _holds_at(form: ClosedForm, given: Mapping[str, int]) -> bool:
    """Return whether a form holds at given sizes, or does from 2 up."""
    return any(form.domain.holds(sizes) for sizes in (given, {s: max(n, 2) for s, n in given.items()}))


def _on_given(subject: SizedModule) -> ClosedForm | None:
    """Return the form of a run on the given sizes, if it holds there: equal sizes may take another path."""
    for hints in list(_attempts(subject.given))[1:]:
        try:
            ran = subject.on_symbols(hints)
        except TraceError:
            continue
        form = _form(subject.module, ran, hints)
        form = form if form.specialised else _exact(form, subject, hints)
        if not form.specialised and _holds_at(form, subject.given):
            return form
    return None


def _fixed_at_given(subject: SizedModule) -> ClosedForm | None:
    """Return the form of a run in which the code fixes the given sizes; None if it does not hold there."""
    try:
        ran = subject.on_symbols(subject.given)
    except TraceError:
        return None
    form = replace(_form(subject.module, ran, subject.given), given=subject.given, hints=subject.given)
    return form if form.domain.holds(subject.given) else None


def _exact(form: ClosedForm, subject: SizedModule, hints: Mapping[str, int]) -> ClosedForm:
    """Return the form of a run on symbols, also for given sizes of 1, without roundings that are exact."""
    given = subject.given
    for name in (name for name, size in given.items() if size == 1):
        form = _with_one(form, name, subject, hints)
    exactly = Exactly(form.domain.residues)
    layers = {path: exactly.cost(cost) for path, cost in form.per_layer.items()}
    return replace(form, total=exactly.cost(form.total), per_layer=layers, given=given, hints=hints)


def _interpolated(subject: SizedModule) -> ClosedForm | None:
    found = interpolated(subject)
    if found is None:
        return None
    total = summed(found.layers.values()) + Cost(weights=parameter_counts(subject.module, ()).all)
    status = f"interpolated, checked at {found.checks} sizes"
    return ClosedForm(
        total,
        found.layers,
        found.domain,
        status,
        {},
        found.movement,
        given=subject.given,
        uncovered=found.uncovered,
        unregistered=found.layers.get("", Cost()).weights,
    )


def _first_that_runs(subject: SizedModule) -> tuple[Symbolic, Mapping[str, int]]:
    """Run on sizes that differ from one another or, if the code does not accept them, on the given sizes."""
    errors = []
    for hints in _attempts(subject.given):
        try:
            ran = subject.on_symbols(hints)
            if ran.changed:
                # Rejects a module whose second run has a different cost.
                trace(subject.module, subject.args, subject.kwargs)
            return ran, hints
        except UndefinedCostError:
            raise
        except TraceError as error:
            errors.append(error)
    raise errors[0]


def _attempts(given: Mapping[str, int]) -> Iterator[Mapping[str, int]]:
    yield distinct(given)
    yield {name: max(size, 2) for name, size in given.items()}
    yield given


def _form(module: nn.Module, ran: Symbolic, hints: Mapping[str, int]) -> ClosedForm:
    names = [size_symbol(name) for name in hints if name not in ran.fixed]
    layers: dict[str, list[Cost]] = {}
    for call in ran.calls:
        layers.setdefault(call.module, []).append(call.cost)
    total = summed(call.cost for call in ran.calls)
    found = domain(ran.conditions, names, ran.fixed, hints)
    fixed = {
        name: f"{name} = {size}, fixed {ran.where.get(name, 'by the code')}"
        for name, size in ran.fixed.items()
    }
    found = replace(found, places={name: place.partition(": ")[0] for name, place in ran.where.items()})
    fixed |= {symbol.name: _bounded(ran, found, symbol, hints) for symbol in found.most}
    return ClosedForm(
        total + Cost(weights=parameter_counts(module, ran.calls).all + ran.unregistered),
        {path: summed(costs) for path, costs in layers.items()},
        found,
        EXACT,
        fixed,
        found,
        ran.calls,
        uncovered=tuple(call for call in ran.calls if not call.is_covered),
        unregistered=ran.unregistered,
    )


def _bounded(ran: Symbolic, found: Domain, symbol: sp.Symbol, hints: Mapping[str, int]) -> str:
    """Return the upper bound of a size, and where it arises."""
    most = found.most[symbol]
    at = {s: hints[s.name] for s in found.least}
    for condition, place in zip(ran.conditions, ran.places, strict=True):
        for part in factors_of(condition, found.least, at) or [condition]:
            if part.free_symbols == {symbol} and interval(part, symbol)[1] == most:
                return f"{symbol.name} <= {most}, bounded {place}"
    return f"{symbol.name} <= {most}, bounded by the code"


def _with_one(form: ClosedForm, name: str, subject: SizedModule, hints: Mapping[str, int]) -> ClosedForm:
    """Return a form that also holds for a size of 1, if a run with that size gives the same formulas.

    A size of 1 is special: code may broadcast it, so a run on symbols holds only from 2 up.
    """
    symbol = size_symbol(name)
    if form.domain.least.get(symbol) != 2:
        return form
    others = {other: size for other, size in hints.items() if other != name}
    try:
        ran = subject.on_symbols(others)
    except TraceError:
        return form
    one = _form(subject.module, ran, others)
    extra = set(one.domain.conditions) - set(form.domain.conditions)
    both = joined(form.domain, one.domain, symbol)
    if extra or one.domain.fixed != form.domain.fixed or both.is_empty:
        return form
    differing = _differing(form, one, symbol)
    if not differing <= set(MOVEMENT):
        return form
    lower = [s.name for s, most in both.most.items() if most != form.domain.most.get(s)]
    bounded = {other: f"{one.specialised[other]} at {name} = 1" for other in lower}
    return replace(
        form,
        domain=both,
        movement=form.movement if differing else joined(form.movement, one.movement, symbol),
        specialised={**form.specialised, **bounded},
    )


def _differing(form: ClosedForm, one: ClosedForm, symbol: sp.Symbol) -> set[str]:
    """Return the quantities of which the whole or a layer is not that of a run in which a symbol is 1."""
    pairs = {
        (quantity, getattr(found, quantity), getattr(wanted, quantity))
        for found, wanted in [
            (form.total, one.total),
            *(
                (form.per_layer.get(path, Cost()), one.per_layer.get(path, Cost()))
                for path in {**form.per_layer, **one.per_layer}
            ),
        ]
        for quantity in QUANTITIES
    }
    return {quantity for quantity, found, wanted in pairs if not _is_same(found, wanted, symbol)}


def _is_same(found: Size, wanted: Size, symbol: sp.Symbol) -> bool:
    at_one = sp.sympify(found).subs({symbol: 1})
    return bool(at_one == wanted or sp.expand(at_one - wanted) == 0)
