"""Kinds of layers without branches, as `--op` offers them, with every option at random points.

Each is compared with torch's own modules, and the formulas that `explain` prints with its cost.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import sympy as sp
import torch
from torch import nn

from costmodel.checks.instances import counted_by_module
from costmodel.checks.observe import observe_training
from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.prove import Claim, Compared, Identity
from costmodel.checks.theorems import Named
from costmodel.checks.training_theorems import GRADIENTS, compared, work_pairs
from costmodel.convention import Cost
from costmodel.operators.depthwise import depthwise, separable
from costmodel.operators.layer import Layer
from costmodel.operators.recorder import Operator
from costmodel.operators.registry import layer_cost, operator
from costmodel.operators.standard import convolution
from costmodel.sizes import Pair


def kind_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claims about kinds of layers; `every` takes five times as many points."""
    points = 200 if every else 40
    kinds = ", ".join(MODULES)
    text = f"{points} points each; stride, padding, dilation, bias, batch at random; {kinds}"
    yield Claim("random layers of every kind", partial(_layers, points), "checked", text)
    yield Claim("explained formulas = layers", partial(_explained, points), "checked", text)
    text = (
        f"{points} points each; stride, padding and dilation differ along the axes; {', '.join(_ALONG_AXES)}"
    )
    yield Claim("layers with a pair of each option", partial(_pairs_of_options, points), "checked", text)


def _layers(points: int) -> Iterator[Identity]:
    chosen = random.Random(11)
    for index in range(points):
        for kind in MODULES:
            title, layer = f"{kind} layer {index + 1}", _layer(chosen, kind)
            yield Identity(title, SizeDomain({}), partial(_pairs, kind, layer))


def _layer(chosen: random.Random, kind: str) -> Layer:
    groups = chosen.choice((1, 1, 2, 3)) if kind == "standard" else 1
    c_in = groups * chosen.randrange(1, 8)
    c_out = (c_in if kind == "depthwise" else groups) * chosen.randrange(1, 8)
    sides = (chosen.randrange(7, 16), chosen.randrange(7, 16))  # kernels of up to 3 fit, dilated by 3
    given = kind != "pointwise" and chosen.random() < 0.5
    kernels = (1, 2, 3) if given else (1, 3)
    return Layer(
        c_in,
        c_out,
        sides,
        (1, 1) if kind == "pointwise" else (chosen.choice(kernels), chosen.choice(kernels)),
        chosen.randrange(1, 4),
        (chosen.randrange(3), chosen.randrange(3)) if given else None,
        chosen.randrange(1, 4),
        groups,
        chosen.random() < 0.5,
        batch=chosen.randrange(1, 4),
    )


def _padding(layer: Layer) -> Pair:
    kept = layer.dilation * (layer.kernel[0] - 1) // 2, layer.dilation * (layer.kernel[1] - 1) // 2
    return kept if layer.padding is None else layer.padding


def _spatial(layer: Layer, c_out: int, groups: int, *, bias: bool) -> nn.Module:
    options = {
        "stride": layer.stride,
        "padding": _padding(layer),
        "dilation": layer.dilation,
        "groups": groups,
    }
    return nn.Conv2d(layer.c_in, c_out, layer.kernel, bias=bias, **options)  # type: ignore[arg-type]


def _separable(layer: Layer) -> nn.Module:
    first = _spatial(layer, layer.c_in, layer.c_in, bias=False)
    return nn.Sequential(first, nn.Conv2d(layer.c_in, layer.c_out, 1, bias=layer.bias))


MODULES: Mapping[str, Callable[[Layer], nn.Module]] = {
    "standard": lambda layer: _spatial(layer, layer.c_out, layer.groups, bias=layer.bias),
    "pointwise": lambda layer: nn.Conv2d(layer.c_in, layer.c_out, 1, layer.stride, bias=layer.bias),
    "depthwise": lambda layer: _spatial(layer, layer.c_out, layer.c_in, bias=layer.bias),
    "separable": _separable,
}


def _made(kind: str, layer: Layer) -> nn.Module:
    return Named(MODULES[kind](layer))


def _pairs(kind: str, layer: Layer) -> Iterator[Compared]:
    title, cost = f"{kind} of {layer}", layer_cost(kind, layer)
    make, shape = partial(_made, kind, layer), (layer.batch, layer.c_in, *layer.size)
    counts = counted_by_module(make, [shape])
    for quantity in ("params", "macs", "activations"):
        yield compared(title, quantity, sum(counts[quantity].values()), getattr(cost, quantity))
    with torch.device("meta"):
        model, x = make(), torch.empty(shape, requires_grad=True)
    seen = observe_training(model, [x], GRADIENTS)
    yield compared(title, "training MACs", seen.training_macs, cost.macs_training)
    yield from work_pairs(title, model, [x], [Operator("op", "conv", cost)])


def _pairs_of_options(points: int) -> Iterator[Identity]:
    chosen = random.Random(13)
    for index in range(points):
        options = {
            name: (chosen.randrange(least, 4), chosen.randrange(least, 4))
            for name, least in (("stride", 1), ("padding", 0), ("dilation", 1))
        }
        size, kernel = (
            (chosen.randrange(least, most), chosen.randrange(least, most)) for least, most in _SIDES
        )
        for kind in _ALONG_AXES:
            title = f"{kind} {index + 1}, {kernel} on {size}, {options}"
            pairs = partial(_axis_pairs, title, kind, size, kernel, options)
            yield Identity(title, SizeDomain({}), pairs)


_SIDES = ((7, 16), (1, 4))  # of images and kernels: the largest kernel, dilated by 3, fits the least image
_ALONG_AXES: Mapping[str, Callable[..., Cost]] = {
    "standard": partial(convolution, 4, 6),
    "depthwise": partial(depthwise, 4),
    "separable": partial(separable, 4, 6),
}


def _axis_pairs(
    title: str, kind: str, size: Pair, kernel: Pair, options: Mapping[str, Pair]
) -> Iterator[Compared]:
    cost = _ALONG_AXES[kind](kernel, size, **options)
    c_out, groups = (6, 1) if kind == "standard" else (4, 4)

    def make() -> nn.Module:
        spatial = nn.Conv2d(4, c_out, kernel, groups=groups, bias=False, **options)  # type: ignore[arg-type]
        return nn.Sequential(spatial, *([nn.Conv2d(4, 6, 1, bias=False)] if kind == "separable" else []))

    counts = counted_by_module(make, [(1, 4, *size)])
    for quantity in ("params", "macs", "activations"):
        yield compared(title, quantity, sum(counts[quantity].values()), getattr(cost, quantity))


def _explained(points: int) -> Iterator[Identity]:
    chosen = random.Random(12)
    for index in range(points):
        for kind in MODULES:
            yield Identity(f"{kind} {index + 1}", SizeDomain({}), partial(_explained_pairs, kind, chosen))


def _explained_pairs(kind: str, chosen: random.Random) -> Iterator[Compared]:
    """Yield the quantities of a formula at sizes; the formulas are for stride 1 and the usual padding."""
    c_in, multiplier, groups = chosen.randrange(1, 9), chosen.randrange(1, 4), chosen.choice((1, 2))
    c_in *= groups
    c_out = c_in * multiplier if kind == "depthwise" else groups * chosen.randrange(1, 9)
    size, kernel = (chosen.randrange(1, 20), chosen.randrange(1, 20)), (chosen.choice((1, 3)), 5)
    kernel = (1, 1) if kind == "pointwise" else kernel
    layer = Layer(c_in, c_out, size, kernel, groups=groups, batch=chosen.randrange(1, 5))
    layer_is = {"c_in": c_in, "c": c_in, "c_out": c_out, "q": multiplier, "g": groups, "b": layer.batch}
    values = layer_is | dict(zip(("h", "w", "k_h", "k_w"), (*size, *kernel), strict=True))
    (formula,) = operator(kind).formulas().values()
    cost = layer_cost(kind, layer)
    for quantity in ("params", "macs", "macs_training", "activations", "elements_read", "elements_written"):
        expression = sp.sympify(getattr(formula, quantity))
        found = expression.subs({symbol: values[symbol.name] for symbol in expression.free_symbols})
        yield Compared(f"{kind} of {layer}", quantity, sp.Integer(getattr(cost, quantity)), found)
