"""What a training step costs, and what every operator does besides MACs, at random points.

The theorems compare a forward pass. Here the same modules run forward and backward: MACs with both gradients,
and the bytes that each module saves for the backward pass. Calls, traffic and element operations of each kind
of operator are compared at the same points. Tensors have shapes, but no data.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from math import prod
from typing import Any

import sympy as sp
import torch
from torch import Tensor, nn

from costmodel.checks.covering import Point, spread_layers
from costmodel.checks.dispatched import Dispatched, Work, work_by_formula
from costmodel.checks.observe import observe_training
from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.prove import Claim, Compared, Identity
from costmodel.checks.random_options import (
    built_network,
    draws,
    kept_alphas,
    layer_shapes,
    network_options,
    octave_net,
)
from costmodel.checks.verify import formulas_by_module
from costmodel.convention import dtype_bytes
from costmodel.networks.resnet import resnet
from costmodel.operators.recorder import Operator, cost_of, saved_elements
from costmodel.sizes import Pair

Shapes = Sequence[tuple[int, ...]]


def training_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claims about training steps; `every` takes five times as many points."""
    layers, networks = (600, 100) if every else (120, 20)
    text = "points; MACs with gradients, bytes saved by each module, calls, traffic, element operations"
    for kind, points, cases in (("layers", layers, _layers), ("networks", networks, _networks)):
        yield Claim(f"random {kind} in training", partial(cases, points), "checked", f"{points} {text}")
    points = 30 if every else 5
    text = f"{points} networks in which a branch may gain no channels; the same, and images of 1 to 40"
    yield Claim("random shortcuts A in training", partial(_padded, points), "checked", text)


def _layers(points: int) -> Iterator[Identity]:
    for index, point in enumerate(spread_layers(random.Random(6), points, accept=_trainable)):
        layer, shapes, operators = point.options, layer_shapes(*point), point.operators()
        pairs = partial(_pairs, str(layer), partial(octave_net, layer), shapes, operators, inputs=True)
        yield Identity(f"layer {index + 1}", SizeDomain({}), pairs)


def _networks(points: int) -> Iterator[Identity]:
    chosen = random.Random(7)
    for found in draws(points):
        depth, batch, image, options = network_options(chosen)
        if options["shortcut"] == "B":
            depth = 8  # each kind of block, and no more of them
        if len(found) % 2:  # maps of a single pixel, and stages of one branch
            image = chosen.randrange(1, 17), chosen.randrange(1, 17)
            options["alpha"] = [chosen.choice(_BRANCHES) for _ in options["alpha"]]
        yield from _network(found, depth, batch, image, options)


def _padded(points: int) -> Iterator[Identity]:
    chosen = random.Random(15)
    for found in draws(points):
        _, batch, image, options = network_options(chosen)
        options |= {"shortcut": "A", "stride_rule": "C", "alpha": kept_alphas(chosen), "paths": []}
        yield from _network(found, 14, batch, image, options)


def _network(
    found: list[None], depth: int, batch: int, image: Pair, options: Mapping[str, Any]
) -> Iterator[Identity]:
    """Yield the comparison of a network, and note it in `found`, where it can be built and trained."""
    try:
        operators = resnet(depth, size=image, **options).operators(batch)
    except ValueError:
        return  # options that do not fit one another
    if _can_be_trained(operators):
        found.append(None)
        make, shape = partial(built_network, depth, options), (batch, options["in_channels"], *image)
        pairs = partial(_pairs, f"{image}, {options}", make, [shape], operators)
        yield Identity(f"network {len(found)}", SizeDomain({}), pairs)


_BRANCHES = (Fraction(0), Fraction(1, 2), Fraction(1))


def _trainable(point: Point) -> bool:
    return _can_be_trained(point.operators())


def _can_be_trained(operators: Sequence[Operator]) -> bool:
    """Return whether every normalisation has several values per channel, as torch requires."""
    costs = [op.cost for op in operators if op.part == "bn"]
    return all(2 * cost.other_outputs > cost.bn_weights for cost in costs)


def _pairs(
    title: str,
    make: Callable[[], nn.Module],
    shapes: Shapes,
    operators: Sequence[Operator],
    inputs: bool = False,
) -> Iterator[Compared]:
    """Yield what is compared of one module; `inputs` says whether its inputs need gradients."""
    with torch.device("meta"):
        model = make()
        tensors = [torch.empty(shape, requires_grad=inputs) for shape in shapes]
    yield from work_pairs(title, model, tensors, operators)
    seen = observe_training(model, tensors, GRADIENTS)
    yield compared(title, "training MACs", seen.training_macs, cost_of(operators).macs_training)
    bytes_saved = sum(seen.saved_bytes.values())
    yield compared(title, "saved bytes", bytes_saved, dtype_bytes("float32") * saved_elements(operators))
    formulas = formulas_by_module(operators, dict(model.named_modules()))
    for name in dict.fromkeys((*formulas, *seen.saved_bytes)):
        saved = formulas[name].saved_bytes if name in formulas else 0
        yield compared(f"{name or '(model)'} of {title}", "saved bytes", seen.saved_bytes[name], saved)


def _gradient_flops(outputs: Sequence[int], _x: Any, weight: Sequence[int], *others: Any, **_: Any) -> int:
    """Return the operations of a convolution's gradients, 2 per MAC.

    Each gradient needs as many MACs as the forward pass. Torch's own rule ignores the groups.
    """
    gradients = sum(map(bool, others[-1][:2]))  # of the input and of the weight; that of the bias has no MACs
    return 2 * gradients * prod(outputs) * prod(weight[1:])


GRADIENTS = {torch.ops.aten.convolution_backward: _gradient_flops}  # for `observe_training`


def work_pairs(
    title: str, model: nn.Module, tensors: Sequence[Tensor], operators: Sequence[Operator]
) -> Iterator[Compared]:
    """Yield calls, traffic and element operations of each kind of operator."""
    if any(map(_repeats_a_pixel, operators)):
        return  # torch repeats a single pixel without the copy that the formulas count, and adds read it once
    model.eval()
    with torch.no_grad(), Dispatched() as seen:
        model(*tensors)
    formulas = work_by_formula(operators)
    for part in dict.fromkeys((*formulas, *seen.work)):
        pairs = zip(Work._fields, seen.work.get(part, Work()), formulas.get(part, Work()), strict=True)
        for what, code, formula in pairs:
            yield compared(f"all {part} operators of {title}", what, code, formula)


def _repeats_a_pixel(operator: Operator) -> bool:
    return operator.part == "upsample" and operator.size is not None and max(operator.size) <= 2


def compared(title: str, quantity: str, code: Any, formula: Any) -> Compared:
    """Return the pair of a count by the code and one by the formula, both integers."""
    return Compared(title, quantity, sp.Integer(code), sp.Integer(formula))
