"""Verification of a network by name or in memory: traced here, counted independently, compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import sympy as sp
from torch import nn

from costmodel.checks.compared import uncovered_but_counted
from costmodel.checks.counters import Counted
from costmodel.checks.foreign import NetworkReport, TotalRow, compare_counts
from costmodel.checks.isolated import CountersApart, Results, job_of, run_here
from costmodel.checks.known_defects import groups_ignored, names_of, without_rule
from costmodel.checks.repeated import differs_between_instances
from costmodel.checks.unchanged import on_copies, unchanged
from costmodel.checks.values import differs_between_values
from costmodel.models import Network
from costmodel.models.foreign import foreign
from costmodel.models.inputs import Inputs
from costmodel.models.limits import time_limit
from costmodel.models.names import Name
from costmodel.tracing.calls import Trace, TraceError, UndefinedCostError
from costmodel.tracing.closed_form import closed_form
from costmodel.tracing.form import ClosedForm
from costmodel.tracing.running import positional
from costmodel.tracing.symbolic import Symbols, size_symbol
from costmodel.tracing.trace import trace

FORM_SECONDS = 90.0  # limit of a closed form
# Increments of batch, height and width that most networks accept.
MORE = ((1, 32, 32), (0, 64, 0), (2, 0, 32))
INTEGERS = frozenset(("int64", "int32", "int16", "int8", "uint8", "bool"))


def verify_loaded(network: Network, inputs: Inputs, *, timeout: float | None = None) -> NetworkReport:
    """Verify a network that was built by name; its counters run in separate processes.

    Raises ValueError if the network does not run on the inputs, UndefinedCostError if its cost differs
    from run to run, or each time that it is built.
    """
    title = f"{network.name.text}, input {' and '.join(inputs.shapes)}"
    others = other_sizes(inputs)
    with CountersApart(job_of(network, inputs, others), timeout=timeout) as counters:
        with time_limit(timeout, f"running {network.name.text}"):
            traced = _traced(network, inputs)
            _check_steady(network, inputs, traced)
        form, why = _closed_form(network, inputs) if others else (None, "")
        results = counters.results()
    report = compare_counts(title, traced, results, [why] if why else [])
    if form is None:
        return report
    return replace(report, totals=[*report.totals, *at_sizes(form, others, results, traced)])


def _check_steady(network: Network, inputs: Inputs, traced: Trace) -> None:
    differing = differs_between_instances(network, inputs) or differs_between_values(network, inputs, traced)
    if differing:
        raise UndefinedCostError(differing)


def verify_module(model: nn.Module, args: Sequence[Any], *, title: str = "model") -> NetworkReport:
    """Verify a module in memory; its counters run in this process, on copies of its tensors and inputs.

    The module is left as it was, except that lazy parameters are materialised.

    Raises ValueError if the module does not run on the inputs, UndefinedCostError if its cost depends on
    values.

    >>> import torch
    >>> verify_module(nn.Linear(8, 6), [torch.zeros(3, 8)]).verdict
    'agrees'
    """
    with unchanged(model) as model:
        device = next((p.device.type for p in (*model.parameters(), *model.buffers())), "cpu")
        network = _InMemory(Name(title, "memory"), model, device)
        given = tuple(positional(args))
        inputs = Inputs(made=(given, {}), source=title)
        traced = _traced(network, inputs)
        if differing := differs_between_values(network, inputs, traced):
            raise UndefinedCostError(differing)
        with on_copies(model):
            results: Results = run_here(network, inputs)
    return compare_counts(title, traced, results)


def at_sizes(form: ClosedForm, others: Sequence[Inputs], results: Results, traced: Trace) -> list[TotalRow]:
    """Return the closed form's MACs at other sizes beside those of torch's counter.

    Operators for which it has no rule are left out, by their own formulas. An interpolated form has no
    formulas of operators, so it is not compared where such operators ran.
    """
    watched = results.get("torch")
    if not isinstance(watched, Counted) or uncovered_but_counted(watched, traced.calls):
        return []
    if not form.calls and (without_rule(watched, traced.calls) or groups_ignored(traced.calls)):
        return []
    lost = sp.sympify(sum(call.cost.macs for call in without_rule(watched, form.calls)))
    excess = sp.sympify(sum(call.without_groups for call in form.calls))
    rows = []
    for inputs, count in zip(others, watched.sizes, strict=True):
        n, _, h, w = inputs.given[0].shape
        sizes = {"n": n, "h": h, "w": w}
        if count is not None and form.domain.holds(sizes):
            formula = int(form.value("macs", **sizes))
            values = {size_symbol(name): size for name, size in sizes.items()}
            missed, added = int(lost.subs(values)), int(excess.subs(values))
            defect = names_of(missed, added) if count == formula - missed + added else ""
            rows.append(TotalRow(f"MACs at {inputs.shapes[0]}", formula, "torch", count, defect))
    return rows


def other_sizes(inputs: Inputs) -> list[Inputs]:
    """Return three larger sizes of a single image input; none for other inputs."""
    if len(inputs.given) != 1 or len(inputs.given[0].shape) != 4 or inputs.given[0].dtype in INTEGERS:
        return []
    image = inputs.given[0]
    n, c, h, w = image.shape
    return [
        Inputs((replace(image, shape=(n + more_n, c, h + more_h, w + more_w)),))
        for more_n, more_h, more_w in MORE
    ]


def _closed_form(network: Network, inputs: Inputs) -> tuple[ClosedForm | None, str]:
    """Return the closed form in batch and size, or None and the reason."""
    args, kwargs = inputs.values(network.device)
    key: int | str = inputs.given[0].name or 0
    axes: Symbols = {key: {0: "n", 2: "h", 3: "w"}}
    try:
        with time_limit(FORM_SECONDS, "it", ends=False), foreign("it fails on symbols"):
            return closed_form(network.module, args, axes, kwargs), ""
    except ValueError as error:
        return None, f"no closed form, so no other sizes are compared: {error}"


class _InMemory(Network):
    """A network that can't be rebuilt in another process."""

    def on(self, device: str) -> Network:
        """Return the network itself."""
        del device
        return self


def _traced(network: Network, inputs: Inputs) -> Trace:
    """Trace a network with a training step, or without one if it can't be trained on these inputs."""
    args, kwargs = inputs.values(network.device)
    values = partial(network.with_data, inputs)
    try:
        with foreign(f"{network.name.text} does not run on {' and '.join(inputs.shapes)}"):
            return trace(network.module, args, kwargs, training=True, values=values)
    except ValueError as error:
        if isinstance(error.__cause__, TraceError):
            raise error.__cause__ from None
        raise
