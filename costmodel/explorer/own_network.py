"""A closed form for the explorer's page: formulas and conditions in JavaScript, sizes as sliders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from costmodel.convention import Cost
from costmodel.explorer.own import OwnNetwork, Slider, argument
from costmodel.tables import expressions
from costmodel.tables.closed import formulas
from costmodel.tracing.domain import Domain
from costmodel.tracing.form import ClosedForm

LONGEST = 4  # times the size of the given input


def own_network(form: ClosedForm, name: str) -> OwnNetwork:
    """Return a closed form as the page needs it: the whole network, and each layer with MACs."""
    return OwnNetwork(
        name,
        form.status,
        form.domain.text,
        list(_sliders(form)),
        list(_conditions(form.domain)),
        _scripts(form.total),
        {path or "(model)": _scripts(cost) for path, cost in form.per_layer.items() if cost.macs != 0},
        {key: expressions.text(formula) for key, formula in formulas(form.total).items()},
    )


def _scripts(cost: Cost) -> dict[str, str]:
    return {key: _script(formula) for key, formula in formulas(cost).items()}


def _script(formula: Any) -> str:
    return expressions.javascript_body(_as_arguments(formula))


def _condition(condition: sp.Basic) -> str:
    return expressions.javascript_condition(_as_arguments(condition))


def _as_arguments(expression: Any) -> Any:
    """Return an expression whose names are neither JavaScript keywords nor names that the page uses."""
    found = sp.sympify(expression)
    own = {s: sp.Symbol(argument(s.name), integer=True, positive=True) for s in found.free_symbols}
    return found.xreplace(own)


def _sliders(form: ClosedForm) -> Iterator[Slider]:
    domain = form.domain
    for name, size in domain.fixed.items():
        yield Slider(name, size, size, size)
    for symbol, least in domain.least.items():
        given = max(form.given.get(symbol.name, least), least)
        residues = domain.residues.get(symbol)
        step = residues.modulus if residues and len(residues.allowed) == 1 else 1
        start = least + (given - least) % step
        most = domain.most.get(symbol, LONGEST * max(given, 8))
        yield Slider(symbol.name, min(given, most), start, most, step)


def _conditions(domain: Domain) -> Iterator[str]:
    """Return what a size must meet, as expressions of JavaScript."""
    for name, size in domain.fixed.items():
        yield f"{argument(name)} === {size}n"
    for symbol, least in domain.least.items():
        yield f"{argument(symbol.name)} >= {least}n"
    for symbol, most in domain.most.items():
        yield f"{argument(symbol.name)} <= {most}n"
    for symbol, residues in domain.residues.items():
        allowed = ", ".join(f"{remainder}n" for remainder in sorted(residues.allowed))
        yield f"[{allowed}].includes({argument(symbol.name)} % {residues.modulus}n)"
    yield from map(_condition, domain.conditions)
