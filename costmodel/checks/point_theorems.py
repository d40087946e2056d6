"""What is not proved for all sizes: layers and networks of every option, checked at random points.

The points are the same in every run; `random_options` draws them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import sympy as sp
import torch
from torch import nn

from costmodel.checks.covering import spread_layers
from costmodel.checks.instances import counted_by_module
from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.prove import Claim, Compared, Identity
from costmodel.checks.random_options import (
    built_network,
    draws,
    grouped_options,
    layer_options,
    layer_shapes,
    network_options,
    octave_net,
    spelled,
    without_some,
)
from costmodel.convention import Cost
from costmodel.networks.resnet import resnet as formulas
from costmodel.operators.recorder import Operator
from costmodel.operators.spatial import SpatialLayer, spatial_cost
from costmodel.operators.standard import convolution
from costmodel.operators.transposed import transposed


def point_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claims that are checked at points; `every` takes five times as many points."""
    layers, networks = (2400, 160) if every else (480, 32)
    options = (
        "every option of PwiseOctConv at random: kernels 1 to 7, dilation, groups, channels_last, widths"
    )
    yield Claim("random layers", partial(_layers, layers), "checked", f"{layers} points; {options}")
    grouped = layers // 4
    options = "2, 3, 4 or 8 groups, with a bottleneck; every other option at random"
    cases = partial(_layers, grouped, groups=(2, 3, 4, 8))
    yield Claim("random layers in groups", cases, "checked", f"{grouped} points; {options}")
    options = (
        "alpha, beta, paths of each stage, rules, shortcuts, images of 1 to 40, batches of 1 to 6 at random"
    )
    yield Claim("random networks", partial(_networks, networks), "checked", f"{networks} points; {options}")
    options = "one to three dimensions, transposed or not; any padding, or the one that keeps the size"
    spatial = layers // 8
    yield Claim("random convolutions", partial(_spatial, spatial), "checked", f"{spatial} points; {options}")


def _layers(points: int, groups: tuple[int, ...] = ()) -> Iterator[Identity]:
    def draw(chosen: random.Random) -> Mapping[str, Any]:
        options = grouped_options(chosen, groups) if groups else layer_options(chosen)
        return without_some(chosen, options)

    for index, point in enumerate(spread_layers(random.Random(1), points, draw)):
        make, shapes = partial(octave_net, point.options), layer_shapes(*point)
        pairs = partial(_pairs, str(point.options), make, shapes, point.operators())
        yield Identity(f"layer {index + 1}", SizeDomain({}), pairs)


def _spatial(points: int) -> Iterator[Identity]:
    chosen, padding = random.Random(4), random.Random(16)
    for found in draws(points):
        layer = _spatial_layer(chosen)
        layer = replace(layer, output_padding=_output_padding(padding, layer)) if layer.transposed else layer
        shape, make = (layer.batch, layer.c_in, *layer.size), partial(_spatial_module, layer)
        try:
            operators = [Operator("", "conv", _convolution(layer))]
        except ValueError:
            pairs = partial(_refused, str(layer), make, [shape])
        else:
            found.append(None)
            pairs = partial(_pairs, str(layer), make, [shape], operators)
        yield Identity(f"convolution {len(found)}", SizeDomain({}), pairs)


def _refused(title: str, make: Any, shapes: list[tuple[int, ...]]) -> Iterator[Compared]:
    """Yield that the code refuses what the formulas refuse."""
    try:
        counts = counted_by_module(make, shapes)
    except (RuntimeError, ValueError):
        runs = 0
    else:
        runs = int(any(counts["activations"].values()))  # torch may return a map without elements
    yield Compared(title, "whether it runs", sp.Integer(runs), sp.Integer(0))


def _convolution(layer: SpatialLayer) -> Cost:
    """Return the cost of a convolution; in two dimensions by the other formula, and by symbols."""
    if len(layer.size) != 2:
        return spatial_cost(layer)
    if layer.transposed:
        return _transposed(layer)
    options = {name: getattr(layer, name) for name in _OPTIONS}
    given = {name: value for name, value in options.items() if value != getattr(SpatialLayer, name)}
    cost = convolution(layer.c_in, layer.c_out, layer.kernel, layer.size, **given)
    return cost if layer.groups > 1 else _by_symbols(layer, given)


def _transposed(layer: SpatialLayer) -> Cost:
    options = {name: getattr(layer, name) for name in _OPTIONS if name != "padding"}
    padding = layer.padding or tuple(layer.dilation * (k - 1) // 2 for k in layer.kernel)
    extra = layer.output_padding or (0, 0)
    return transposed(
        layer.c_in, layer.c_out, layer.kernel, layer.size, padding=padding, output_padding=extra, **options
    )


def _by_symbols(layer: SpatialLayer, given: dict[str, Any]) -> Cost:
    """Return the cost of a convolution by its formula in channels, taps and positions."""
    values = (layer.c_in, layer.c_out, *layer.kernel, *layer.size)
    c_in, c_out, *sides = symbols = sp.symbols("c_in c_out k_h k_w h w", positive=True, integer=True)
    formula = convolution(c_in, c_out, sides[:2], sides[2:], **given)
    return formula.subs(dict(zip(symbols, values, strict=True)))


_OPTIONS = ("stride", "padding", "dilation", "groups", "bias", "batch")


def _spatial_layer(chosen: random.Random) -> SpatialLayer:
    dimensions, groups = chosen.randrange(1, 4), chosen.choice((1, 1, 2, 3))
    sizes = [tuple(chosen.randrange(1, most) for _ in range(dimensions)) for most in (12, 6)]
    kept = tuple(2 * (k // 2) + 1 for k in sizes[1])  # odd kernels, for the padding that keeps the size
    given = chosen.random() < 0.5
    return SpatialLayer(
        c_in=groups * chosen.randrange(1, 6),
        c_out=groups * chosen.randrange(1, 6),
        size=sizes[0],
        kernel=sizes[1] if given else kept,
        stride=chosen.randrange(1, 4),
        padding=tuple(chosen.randrange(3) for _ in range(dimensions)) if given else None,
        dilation=chosen.randrange(1, 4),
        groups=groups,
        bias=chosen.random() < 0.5,
        batch=chosen.randrange(1, 4),
        transposed=chosen.random() < 0.5,
    )


def _output_padding(chosen: random.Random, layer: SpatialLayer) -> tuple[int, ...] | None:
    """Return an output padding: torch allows those below the stride, or below the dilation."""
    if chosen.random() < 0.3:
        return None
    return tuple(chosen.randrange(max(layer.stride, layer.dilation)) for _ in layer.size)


def _spatial_module(layer: SpatialLayer) -> nn.Module:
    kind = f"Conv{'Transpose' if layer.transposed else ''}{len(layer.size)}d"
    kept = tuple(layer.dilation * (k - 1) // 2 for k in layer.kernel)
    names = ("stride", "dilation", "groups", "bias")
    options: dict[str, Any] = {name: getattr(layer, name) for name in names}
    padding = kept if layer.padding is None else layer.padding
    if layer.transposed:
        options["output_padding"] = layer.output_padding or (0,) * len(layer.size)
    module: nn.Module = getattr(nn, kind)(layer.c_in, layer.c_out, layer.kernel, padding=padding, **options)
    return module


def _networks(points: int) -> Iterator[Identity]:
    chosen = random.Random(2)
    for found in draws(points):
        depth, batch, image, options = network_options(chosen)
        options = without_some(chosen, spelled(chosen, options))
        try:
            operators = formulas(depth, size=image, **options).operators(batch)
        except ValueError:
            continue  # options that do not fit one another
        found.append(None)
        shape = (batch, options["in_channels"], *image)
        pairs = partial(_pairs, str(options), partial(built_network, depth, options), [shape], operators)
        yield Identity(f"network {len(found)}", SizeDomain({}), pairs)


def _pairs(
    title: str, make: Any, shapes: list[tuple[int, ...]], operators: Sequence[Operator]
) -> Iterator[Compared]:
    last = len(shapes[0]) == 4 and shapes[0][0] % 2  # so that either layout occurs
    layout = torch.channels_last if last else torch.contiguous_format
    with torch.no_grad():
        counts = counted_by_module(make, shapes, layout, "cpu")
    known = {op.name: op.cost for op in operators if op.has_weights or op.part == "bn"}
    for name in dict.fromkeys((*known, *(name for by_name in counts.values() for name in by_name))):
        for quantity, by_name in counts.items():
            formula = getattr(known[name], quantity) if name in known else 0
            pair = sp.Integer(by_name.get(name, 0)), sp.Integer(formula)
            yield Compared(f"{name} of {title}", quantity, *pair)
