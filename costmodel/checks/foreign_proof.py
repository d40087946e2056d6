"""Proof of a closed form: our formulas equal what an independent tally counts in a symbolic run of the code.

The tally shares neither formulas nor shapes with ours. torch finds the shape of every result by its own rules
on symbolic sizes, and torch's `FlopCounterMode` counts by its own table and attributes by its own hooks. Two
expressions are equal where their difference is 0 after it is multiplied out. That holds for all sizes that
fulfil the conditions of both runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import sympy as sp
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from costmodel.checks.repeated import differs_between_instances, differs_between_runs
from costmodel.failures import told
from costmodel.models import Network
from costmodel.models.foreign import foreign
from costmodel.models.inputs import Inputs
from costmodel.report import Column, Table
from costmodel.tracing.calls import is_inside
from costmodel.tracing.closed_form import closed_form
from costmodel.tracing.domain import Domain
from costmodel.tracing.form import EXACT, ClosedForm
from costmodel.tracing.instead import WithoutInterpolation
from costmodel.tracing.multiples import Exactly
from costmodel.tracing.narrowing import domain
from costmodel.tracing.patched import torch_unchanged
from costmodel.tracing.running import plain_kernels, positional
from costmodel.tracing.substitute import substituted
from costmodel.tracing.symbolic import SymbolicTensors, Symbols, size_symbol
from costmodel.tracing.translation import Translation


@dataclass(frozen=True)
class Tally:
    """MACs by module path, each with what runs inside, and the sizes for which the run stands."""

    macs: Mapping[str, Any]
    domain: Domain


@dataclass(frozen=True)
class NetworkProof:
    """What was proved of a network, and for which sizes."""

    form: ClosedForm
    domain: Domain
    modules: int = 0  # that were compared, the whole network among them
    failures: Sequence[str] = field(default_factory=tuple)

    @property
    def holds(self) -> bool:
        """Whether the formulas are proved."""
        return self.modules > 0 and not self.failures


def prove_network(
    module: nn.Module, args: Sequence[Any], symbols: Symbols, kwargs: Mapping[str, Any] | None = None
) -> NetworkProof:
    """Prove the MACs of a network, whole and by module, in the sizes that have symbols.

    Raises TraceError if the network does not run, ValueError where the symbols do not fit its inputs.

    >>> import torch
    >>> proof = prove_network(nn.Conv2d(3, 8, 3), [torch.zeros(1, 3, 32, 32)], {0: {0: "n", 2: "h", 3: "w"}})
    >>> proof.holds, proof.domain.text
    (True, 'for n >= 1; h, w >= 3')
    """
    args, kwargs = positional(args), kwargs or {}
    form = closed_form(module, args, symbols, kwargs)
    if form.status != EXACT:
        why = f"the closed form is {form.status}: no run on symbols stands for all sizes"
        return NetworkProof(form, form.domain, failures=(why,))
    try:
        found = tally(module, args, kwargs, symbols, form.hints)
    except Exception as error:
        why = f"torch can't run it on symbols: {told(error)}"
        return NetworkProof(form, form.domain, failures=(why,))
    if not found.macs:
        return NetworkProof(form, form.domain, failures=("torch counted nothing: no operator with MACs ran",))
    both = intersection(form.domain, found.domain)
    differing = differences(form, found.macs, both)
    differing = differing and [*_without_rule(form), *differing]
    failures = [*_uncovered(form), *_fixed(form.domain, found.domain), *differing]
    proof = NetworkProof(form, both, len(found.macs), tuple(failures))
    for name in (name for name, size in form.given.items() if size == 1):
        proof = _with_one(proof, name, module, args, kwargs, symbols)
    return _only_if(proof, lambda: differs_between_runs(module, args, kwargs))


def prove_loaded(network: Network, inputs: Inputs, symbols: Symbols) -> NetworkProof:
    """Prove the MACs of a network that was built by name, and that another one built by it costs the same.

    Raises as `prove_network` does, and ValueError if the network can't be built again.
    """
    args, kwargs = inputs.values(network.device)
    with foreign(f"not proved: {network.name.text}"):
        proof = prove_network(network.module, args, symbols, kwargs)
    return _only_if(proof, lambda: differs_between_instances(network, inputs))


def _only_if(proof: NetworkProof, why_not: Callable[[], str]) -> NetworkProof:
    """Return a proof with the reason that a further check gives against it, if any."""
    found = why_not() if proof.holds else ""
    return replace(proof, failures=(*proof.failures, found)) if found else proof


def tally(
    module: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    symbols: Symbols,
    hints: Mapping[str, int],
) -> Tally:
    """Return what torch counts in a run on symbols, by torch's rules alone."""
    tensors = SymbolicTensors(hints)
    tensors.prepare(args, kwargs, symbols)
    counter = FlopCounterMode(display=False)
    with ExitStack() as stack:
        stack.enter_context(plain_kernels())
        stack.enter_context(substituted(module, tensors.substitutes))
        module.eval()
        stack.enter_context(tensors.mode)
        stack.enter_context(tensors.dispatcher())
        stack.enter_context(WithoutInterpolation())
        inputs, named = tensors.substitutes.within([list(args), dict(kwargs)])
        stack.enter_context(torch_unchanged())
        stack.enter_context(counter)
        module(*inputs, **named)
    translation = Translation(tensors.symbols)
    macs = {
        _path(name): sum(map(translation.size, counts.values())) / sp.Integer(2)
        for name, counts in counter.get_flop_counts().items()
    }
    conditions = [translation.expression(guard.expr) for guard in tensors.env.guards]
    fixed = {name: int(s.node.expr) for name, s in tensors.sizes.items() if s.node.expr.is_Integer}
    names = [size_symbol(name) for name in hints if name not in fixed]
    return Tally(macs, domain(conditions, names, fixed, hints))


def _path(name: str) -> str:
    """Return a module's path from torch's name for it, which starts with the class of the model."""
    return "" if name == "Global" else name.partition(".")[2]


def proof_table(proof: NetworkProof) -> Table:
    """Return what was proved, or why it was not, as one row."""
    row = {
        "formula": str(sp.factor_terms(proof.form.total.macs)),
        "modules": proof.modules,
        "domain": proof.domain.text,
        "verdict": "proved" if proof.holds else "not proved",
    }
    columns = [
        Column("formula", "MACs", "formula"),
        Column("modules", "modules"),
        Column("domain", "holds"),
        Column("verdict", "verdict"),
    ]
    return Table("network", "Formula and independent tally", columns, [row])


def layers_table(proof: NetworkProof) -> Table:
    """Return the formula of each layer, as text and as sympy's srepr, and the sizes for which it holds."""
    rows = [
        {"name": path or "(model)", "macs": str(cost.macs), "srepr": sp.srepr(sp.sympify(cost.macs))}
        for path, cost in proof.form.per_layer.items()
        if cost.macs != 0
    ]
    columns = [Column("name", "layer"), Column("macs", "MACs", "formula"), Column("srepr", "srepr")]
    return Table("layers", f"MACs of each layer, {proof.domain.text}", columns, rows)


def failures_table(proof: NetworkProof) -> Table:
    """Return what is not proved, one row for each reason."""
    rows = [{"reason": failure} for failure in proof.failures]
    return Table("failures", "Not proved", [Column("reason", "reason")], rows)


def differences(
    form: ClosedForm, macs: Mapping[str, Any], both: Domain, values: Mapping[sp.Symbol, int] | None = None
) -> list[str]:
    """Return the modules whose formula is not proved to be what was counted."""
    exactly = Exactly(both.residues)
    fixed = {size_symbol(name): size for name, size in both.fixed.items()} | dict(values or {})
    failures = []
    for path, counted in macs.items():
        ours = sp.Add(*(cost.macs for layer, cost in form.per_layer.items() if is_inside(layer, path)))
        difference = exactly.formula(sp.expand(sp.sympify(ours - counted).subs(fixed)))
        if _constant_roundings(sp.sympify(difference), both) != 0:
            failures.append(f"{path or '(model)'}: formula {ours}, counted {sp.expand(counted)}")
    return failures


def _constant_roundings(difference: sp.Expr, both: Domain) -> sp.Expr:
    """Return a difference in which roundings that are constant between a size's bounds are numbers."""
    constants = {}
    for rounded in difference.atoms(sp.floor, sp.ceiling):
        symbols = rounded.free_symbols
        if len(symbols) == 1 and symbols <= set(both.most):
            (symbol,) = symbols
            ends = {rounded.subs(symbol, bound[symbol]) for bound in (both.least, both.most)}
            if len(ends) == 1 and rounded.args[0].diff(symbol).is_number:
                constants[rounded] = ends.pop()
    return sp.expand(difference.subs(constants))


def intersection(one: Domain, other: Domain) -> Domain:
    """Return the sizes that are in two domains."""
    residues = dict(one.residues)
    for symbol, found in other.residues.items():
        residues[symbol] = residues[symbol] & found if symbol in residues else found
    least = {s: max(bound, other.least.get(s, bound)) for s, bound in one.least.items()}
    most = {
        s: min(bounds)
        for s in least
        if (bounds := [domain_.most[s] for domain_ in (one, other) if s in domain_.most])
    }
    conditions = tuple(dict.fromkeys((*one.conditions, *other.conditions)))
    return replace(
        one,
        least=least,
        residues=residues,
        most=most,
        conditions=conditions,
        fixed={**one.fixed, **other.fixed},
    )


def _uncovered(form: ClosedForm) -> list[str]:
    """Return the operators without a formula: neither the form nor torch's table counts them."""
    return list(dict.fromkeys(f"{call.module or '(model)'}: {call.reason}" for call in form.uncovered))


def _without_rule(form: ClosedForm) -> Iterator[str]:
    """Yield the operators whose MACs torch's counter leaves out, so that it can't confirm them."""
    ruled = set(map(str, flop_registry))
    for name in dict.fromkeys(call.operator for call in form.calls if call.cost.macs != 0):
        if name not in ruled:
            macs = sp.Add(*(call.cost.macs for call in form.calls if call.operator == name))
            yield f"torch's counter has no rule for {name}: nothing confirms its {sp.factor_terms(macs)} MACs"


def _fixed(one: Domain, other: Domain) -> list[str]:
    """Return the sizes that only the tally's run fixed: then it stands for one size, not for all."""
    return [
        f"torch's run fixes {name} = {size}" for name, size in other.fixed.items() if name not in one.fixed
    ]


def _with_one(
    proof: NetworkProof,
    name: str,
    module: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    symbols: Symbols,
) -> NetworkProof:
    """Return a proof that also covers a size of 1, which torch treats specially, by a run with that size."""
    symbol = size_symbol(name)
    if not proof.holds or proof.domain.least.get(symbol) != 2 or proof.form.domain.least.get(symbol) != 1:
        return proof
    found = tally(module, args, kwargs, symbols, {k: v for k, v in proof.form.hints.items() if k != name})
    both = intersection(proof.domain, found.domain)
    if found.domain.fixed or differences(proof.form, found.macs, both, {symbol: 1}):
        return proof
    return replace(proof, domain=replace(both, least={**both.least, symbol: 1}))
