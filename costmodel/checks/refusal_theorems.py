"""What the formulas refuse, the code refuses, and nothing else: at random options that may not fit.

A cost of what cannot be built is as wrong as a refusal of what can be. Most options are those of the other
points; one or two of them are replaced by values at the edge of what is accepted, or beyond it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import sympy as sp
import torch
from torch import nn

from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.prove import Claim, Compared, Identity
from costmodel.checks.random_options import (
    built_network,
    grouped_options,
    layer_of,
    layer_options,
    layer_shapes,
    network_options,
    octave_net,
)
from costmodel.networks.resnet import depth_of, resnet
from costmodel.operators.octave import PATHS
from costmodel.sizes import Pair
from pwoct.resnet import build

Edges = Mapping[str, Sequence[Any]]

GROUPS = (2, 3, 4, 6, 8)
LAYER_EDGES: Edges = {
    "kernel_size": [(2, 3), (3, 4), (1, 1), (0, 3)],
    "alpha_in": [Fraction(0), Fraction(1)],
    "alpha_out": [Fraction(0), Fraction(1)],
    "beta": [Fraction(1), Fraction(7), Fraction(20)],
    "stride": [0, 1, 2, 3],
    "dilation": [0, 1],
    "groups": [0, 1, 2, 3],
    "stride_rule": ["D", "A"],
    "depthwise": [True],
    "exchange": [True],
    "c_in": [0, 1],
    "c_out": [0, 1],
}
NETWORK_EDGES: Edges = {
    "alpha": [
        *("9/8", "-1/8", 0, 1, 5e-324, "nan", "x"),
        *([0, 0, 1], [0, 0, "1/4"], ["1/2", "1/4", "1/2"], [0, 0]),
    ],
    "beta": ["1/2", 1, 7, 20, [1, 20, 30], [2, 2, "7/8"], [2, 2]],
    "paths": [["HX"], [], list(PATHS), [["HH"], [], []]],
    "width": [0, 1, 2, 3],
    "classes": [0, 1],
    "in_channels": [0, 1],
    "width_rule": ["max", "min"],
    "between": ["relu", "bn"],
    "stride_rule": ["A", "B", "D"],
    "shortcut": ["A", "B", "C"],
}
NAMES = (
    *("resnet8", "resnet14", "resnet20", "resnet56", "resnet110", "resnet2", "resnet0", "resnet18"),
    *("resnet-4", "resnet", "net20", "20", "resnet20.0", "ResNet20", "resnet20 "),
)


def refusal_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claims about refusals; `every` takes five times as many points."""
    points = 600 if every else 120
    for kind, cases, edges in (("layers", _layers, LAYER_EDGES), ("networks", _networks, NETWORK_EDGES)):
        count = sum(map(len, edges.values()))
        text = f"{points} random points, and {count} values at the edge of what is accepted, and beyond it"
        yield Claim(f"{kind} that formulas and code refuse", partial(cases, points), "checked", text)
    yield Claim("names that formulas and code refuse", _names, "checked", f"{len(NAMES)} names")


def _layers(points: int) -> Iterator[Identity]:
    chosen = random.Random(8)
    for index in range(points):
        options = grouped_options(chosen, GROUPS) if index % 2 else layer_options(chosen)
        options = _edged(chosen, options, LAYER_EDGES)
        yield _layer(options, (chosen.randrange(1, 9), chosen.randrange(1, 9)), chosen.randrange(1, 3))
    for name, value in _single(LAYER_EDGES):
        for depthwise in (False, True):
            yield _layer({**_LAYER, "depthwise": depthwise, name: value}, (8, 6), 1)


_HALF = Fraction(1, 2)
_LAYER: Mapping[str, Any] = {
    "c_in": 12,
    "c_out": 24,
    "kernel_size": (3, 3),
    "alpha_in": _HALF,
    "alpha_out": _HALF,
    "paths": ["HL"],
    "beta": Fraction(2),
    "stride": 2,
    "dilation": 1,
    "groups": 1,
    "stride_rule": "C",
}


def _layer(options: Mapping[str, Any], image: Pair, batch: int) -> Identity:
    formula = partial(_costed_layer, options, image, batch)
    return _identity(f"layer of {options}", formula, partial(_run_layer, options, image, batch))


def _costed_layer(options: Mapping[str, Any], image: Pair, batch: int) -> None:
    layer_of(options, image, batch).operators()


def _run_layer(options: Mapping[str, Any], image: Pair, batch: int) -> None:
    with torch.device("meta"):
        _run(octave_net(options), layer_shapes(options, image, batch))


def _networks(points: int) -> Iterator[Identity]:
    chosen = random.Random(9)
    for index in range(points):
        depth, batch, image, options = network_options(chosen)
        if index % 2 == 0:
            depth, options = chosen.randrange(2, 22), {**options, "shortcut": "B"}
        else:  # branches that grow, shrink or end from stage to stage, for shortcut A
            depth, alphas = chosen.choice((8, 14)), [chosen.choice(_ALPHAS) for _ in options["alpha"]]
            options |= {"alpha": alphas, "shortcut": "A", "stride_rule": "C"}
        yield _network(depth, options, image, batch)
    for name, value in _single(NETWORK_EDGES):
        yield _network(8, {**_NETWORK, name: value}, (16, 24), 1)


_ALPHAS = (Fraction(0), Fraction(1, 4), Fraction(1, 2))
_NETWORK: Mapping[str, Any] = {"alpha": "1/4", "beta": 2, "paths": ["HL"], "width": 12, "in_channels": 3}


def _network(depth: int, options: Mapping[str, Any], image: Pair, batch: int) -> Identity:
    formula = partial(_costed_network, depth, options, image, batch)
    code = partial(_run_network, depth, options, image, batch)
    return _identity(f"network of depth {depth}, {options}", formula, code)


def _costed_network(depth: int, options: Mapping[str, Any], image: Pair, batch: int) -> None:
    resnet(depth, size=image, **options).operators(batch)


def _run_network(depth: int, options: Mapping[str, Any], image: Pair, batch: int) -> None:
    with torch.device("meta"):
        _run(built_network(depth, options), [(batch, options["in_channels"], *image)])


def _run(model: nn.Module, shapes: Sequence[tuple[Any, ...]]) -> None:
    """Run a model in eval mode; it may return a map without elements only in error."""
    with torch.no_grad():
        model.eval()(*map(torch.empty, shapes))


def _names() -> Iterator[Identity]:
    for name in NAMES:
        yield _identity(f"name {name!r}", partial(depth_of, name), partial(_built, name))


def _built(name: str) -> None:
    with torch.device("meta"):
        build(name)


def _single(edges: Edges) -> Iterator[tuple[str, Any]]:
    yield from ((name, value) for name, values in edges.items() for value in values)


def _edged(chosen: random.Random, options: Mapping[str, Any], edges: Edges) -> dict[str, Any]:
    """Return options of which none, one or two are replaced."""
    names = chosen.sample(sorted(edges), chosen.randrange(3))
    return {**options, **{name: chosen.choice(edges[name]) for name in names}}


def _identity(title: str, formula: Callable[[], Any], code: Callable[[], Any]) -> Identity:
    return Identity(title, SizeDomain({}), partial(_pairs, title, formula, code))


def _pairs(title: str, formula: Callable[[], Any], code: Callable[[], Any]) -> Iterator[Compared]:
    yield Compared(title, "whether it is refused", *(sp.Integer(_refuses(side)) for side in (code, formula)))


def _refuses(make: Callable[[], Any]) -> bool:
    """Return whether it raises ValueError; any other error is raised, and is a failure of the claim."""
    try:
        make()
    except ValueError:
        return True
    return False
