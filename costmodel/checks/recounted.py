"""Totals of a choice of parts, counted again from names and costs of operators; networks to compare with.

`costmodel.tables.counting` has its own way, which the tables print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from costmodel.convention import dtype_bytes
from costmodel.networks.resnet import ResNetDesign
from costmodel.operators.recorder import Operator, cost_of
from costmodel.tables.counting import ELEMENT_PARTS, Totals


def recounted(operators: Sequence[Operator], totals: Totals) -> dict[str, int]:
    """Return parameters and work of the chosen parts, work for the batch of the totals."""
    params = work = 0
    for op in operators:
        cost = op.cost
        part = "shortcut" if op.part == "conv" and ".shortcut" in op.name else op.part
        params += cost.weights * (part in totals.params) + cost.biases * ("bias" in totals.params)
        params += cost.bn_weights * ("bn" in totals.params)
        work += cost.macs * (part in totals.work) * (2 if totals.unit == "flop" else 1)
        work += sum(getattr(cost, f"{name}_ops") for name in ELEMENT_PARTS if name in totals.work)
    return {"params": params, totals.key: totals.batch * work}


def remeasured(
    operators: Sequence[Operator], names: Sequence[str], dtype: str, totals: Totals
) -> dict[str, Any]:
    """Return named quantities; parameters and MACs are those of the chosen parts."""
    cost, size = cost_of(operators), dtype_bytes(dtype)
    gradients = cost.macs_input_grad + cost.macs_weight_grad
    elements = [getattr(cost, f"{part}_ops") for part in ELEMENT_PARTS]
    values: Mapping[str, Any] = {
        "params": cost.weights + cost.biases + cost.bn_weights,
        "macs": cost.macs,
        "flops": 2 * cost.macs,
        "training-macs": cost.macs + gradients,
        "training-flops": 2 * (cost.macs + gradients),
        "activations": cost.activations,
        "bytes": size * (cost.elements_read + cost.elements_written),
        "element-ops": sum(elements),
        "calls": cost.calls,
    }
    return {name: ({**values, **recounted(operators, totals)})[name] for name in names}


def without_bottlenecks(net: ResNetDesign, *, alpha: bool) -> ResNetDesign:
    """Return a network without bottlenecks, and without low branches unless `alpha` is true."""
    first, second, third = (
        replace(stage, alpha=stage.alpha if alpha else Fraction(0), paths=frozenset()) for stage in net.stages
    )
    return replace(net, stages=(first, second, third))
