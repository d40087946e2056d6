"""Verification of any `nn.Module`: its convolutions, linear layers and normalisations; the rest is listed.

A 1-d convolution is a 2-d one of width 1. What no formula covers is never counted as agreed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload

from costmodel.checks.comparison import Report, Row, Uncovered, total_row
from costmodel.checks.factory import ForeignErrors
from costmodel.checks.observe import Observation, ObservedCall, observe_forward, result_is_unused
from costmodel.checks.verify import Counts, CountsOfModel, Formula, compare, measure
from costmodel.convention import Cost, total
from costmodel.operators.elementwise import batch_norm
from costmodel.operators.pointwise import linear
from costmodel.operators.standard import convolution
from costmodel.sizes import Pair

# Saved bytes are left out: they depend on operators that no formula here covers.
QUANTITIES = ("macs", "macs_training", "params", "activations")

# Operators without MACs that are neither element-wise nor views: they pool, normalise, move or make elements.
_WITHOUT_MACS = frozenset(
    {
        "_adaptive_avg_pool2d", "_log_softmax", "_softmax", "_to_copy", "_unsafe_view", "amax", "arange",
        "avg_pool2d", "cat", "clone", "constant_pad_nd", "copy_", "empty", "embedding", "full",
        "index_select", "max_pool2d_with_indices", "mean", "native_batch_norm", "native_dropout",
        "native_group_norm", "native_layer_norm", "new_zeros", "ones", "stack", "sum",
        "upsample_bilinear2d", "upsample_nearest2d", "zeros",
    }
)  # fmt: skip


def verify_module(model: nn.Module, inputs: Sequence[Tensor], *, title: str = "model") -> Report:
    """Verify what the formulas cover of any module, layer by layer, and list what they do not cover.

    Raises ValueError where the model does not run on the inputs.
    """
    shapes = " and ".join("x".join(map(str, x.shape)) for x in inputs)
    with ForeignErrors(f"{title} does not run on {shapes}"):
        observed = observe_forward(model, inputs)
    formulas = layer_formulas(model, observed)
    with ForeignErrors(f"the counters can't follow {title}"):
        measured = measure(model, inputs, observed)
    is_unused = partial(result_is_unused, model, inputs)
    rows = [
        compare(name, formula, _compared(measured, name), model.get_submodule(name), partial(is_unused, name))
        for name, formula in formulas.items()
    ]
    uncovered = [*_uncovered_modules(model, measured, formulas), *_uncovered_operators(observed, formulas)]
    return Report(title, rows, _total(rows, measured, uncovered), uncovered)


def layer_formulas(model: nn.Module, observed: Observation) -> dict[str, Formula]:
    """Return the formulas of all covered layers that ran, in the model's order."""
    formulas = {}
    for name, module in model.named_modules():
        kind, calls = kind_of(module), observed.calls.get(name, [])
        if kind == "bn":
            formulas[name] = Formula(kind, batch_norm(module.num_features, 0))
        elif kind and calls:
            formulas[name] = Formula(kind, _cost_of_calls(module, calls))
    return formulas


def kind_of(module: nn.Module) -> str | None:
    """Return which formula covers a module: conv, linear or bn; None where none does.

    >>> kind_of(nn.Conv1d(1, 1, 3)), kind_of(nn.Conv3d(1, 1, 3))
    ('conv', None)
    """
    if not isinstance(module._parameters.get("weight"), nn.Parameter):
        return None  # the weight is computed from other parameters, or there is none
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        return "conv"
    if isinstance(module, nn.Linear):
        return "linear"
    return "bn" if isinstance(module, nn.modules.batchnorm._BatchNorm) else None


def _cost_of_calls(module: nn.Module, calls: Sequence[ObservedCall]) -> Cost:
    costs = [
        _linear_cost(module, c) if isinstance(module, nn.Linear) else _conv_cost(module, c) for c in calls
    ]
    cost = replace(total(costs), weights=costs[0].weights, biases=costs[0].biases)
    return cost if module.get_parameter("weight").requires_grad else replace(cost, macs_weight_grad=0)


def _linear_cost(module: Any, call: ObservedCall) -> Cost:
    positions = prod(call.shape[:-1])
    cost = linear(module.in_features, module.out_features, bias=module.bias is not None, batch=positions)
    return cost if call.input_grad else replace(cost, macs_input_grad=0)


def _conv_cost(module: Any, call: ObservedCall) -> Cost:
    axes = len(module.kernel_size)
    size, padding = call.shape[-axes:], module.padding
    if isinstance(padding, str):
        around = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        size = tuple(s + a for s, a in zip(size, around, strict=True)) if padding == "same" else size
        padding = (0,) * axes
    return convolution(
        module.in_channels,
        module.out_channels,
        _two(module.kernel_size, 1),
        _two(size, 1),
        stride=_two(module.stride, 1),
        padding=_two(padding, 0),
        dilation=_two(module.dilation, 1),
        groups=module.groups,
        bias=module.bias is not None,
        batch=call.shape[0] if len(call.shape) == axes + 2 else 1,
        input_grad=call.input_grad,
    )


def _two(values: Sequence[int], other: int) -> Pair:
    """Return a pair for the two axes of the formulas; a 1-d layer has `other` along the second."""
    first, second = (*values, other)[:2]
    return first, second


def _compared(measured: CountsOfModel, name: str) -> Counts:
    counts = measured.of(name)
    return {quantity: counts[quantity] for quantity in QUANTITIES}


def _total(rows: Sequence[Row], measured: CountsOfModel, uncovered: Sequence[Uncovered]) -> Row:
    """The counters' own totals can be compared only where nothing else ran."""
    return total_row(rows, {} if uncovered else {"macs": measured.totals["macs"]})


def _uncovered_modules(
    model: nn.Module, measured: CountsOfModel, formulas: Mapping[str, Formula]
) -> Iterator[Uncovered]:
    for name, count in measured.params.items():
        if name not in formulas:
            module = model.get_submodule(name)
            reason = "not run by this input" if kind_of(module) else f"no formula for {type(module).__name__}"
            yield Uncovered(name, f"{count:,} parameters", reason)


def _uncovered_operators(observed: Observation, formulas: Mapping[str, Formula]) -> Iterator[Uncovered]:
    for (name, operator), calls in observed.operators.items():
        if name not in formulas and not _is_without_macs(operator):
            what = f"{operator.overloadpacket}, {calls} calls"
            yield Uncovered(name, what, "an operator outside the covered layers")


def _is_without_macs(operator: OpOverload) -> bool:
    simple = operator.is_view or torch.Tag.pointwise in operator.tags
    return simple or operator.overloadpacket.__name__ in _WITHOUT_MACS
