"""Words and units beside the numbers: which configuration a row names, its kind, channels and scale.

A right number in a row that names another configuration, or in another unit, is wrong for whoever reads it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from typing import Any

import sympy as sp

from costmodel.checks.covering import Point, spread_layers
from costmodel.checks.prove import Claim, Compared, Identity
from costmodel.checks.random_cells import identity
from costmodel.checks.random_layer_tables import can_be_compared
from costmodel.checks.random_options import layer_of
from costmodel.checks.random_tables import random_networks
from costmodel.convention import QUANTITIES
from costmodel.networks.resnet import ResNetDesign, depth_of, resnet
from costmodel.networks.stages import STAGES
from costmodel.networks.wording import options_of
from costmodel.operators.layer import Layer
from costmodel.operators.recorder import Operator, cost_of
from costmodel.tables.counting import UNITS, Totals
from costmodel.tables.layer import layer_table
from costmodel.tables.measured import Measured
from costmodel.tables.network import configurations_table, network_table

POWERS = {"": 0, "k": 3, "M": 6, "G": 9}
CONVOLUTIONS = Totals(work=frozenset({"conv"}))  # without a grid, whose compilation takes time


def wording_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claim about words and units; `every` takes five times as many points."""
    points = 80 if every else 16
    text = f"{points} networks and {points} layers; every unit"
    yield Claim("words and units fit the numbers", lambda: _cases(points), "checked", text)


def _cases(points: int) -> Iterator[Identity]:
    chosen = random.Random(17)
    for index, (net, _) in enumerate(islice(random_networks(chosen), points)):
        yield identity(f"network {index + 1}", _network, net)
    for index, point in enumerate(spread_layers(chosen, points, accept=_has_joined_channels)):
        yield identity(f"layer {index + 1}", _layer, layer_of(point.options, point.image, point.batch))
    yield identity("units", _units)


def _has_joined_channels(point: Point) -> bool:
    """Return whether a table of paths can show the layer: a depthwise one joins no channels."""
    return not point.options["depthwise"] and can_be_compared(point)


def _holds(title: str, what: str, holds: object) -> Compared:
    return Compared(title, what, sp.Integer(1), sp.Integer(bool(holds)))


def _network(title: str, net: ResNetDesign) -> Iterator[Compared]:
    where, own = f"{title}, {net}", cost_of(net.operators())
    named = cost_of(_by_options(options_of(net)).operators())
    for name in QUANTITIES:
        pair = (sp.Integer(getattr(cost, name)) for cost in (own, named))
        yield Compared(f"{where} by its options", name, *pair)
    kind = network_table(net, Totals()).rows[-1]["network"]
    yield _holds(where, f"kind {kind}", kind == _kind(net.operators()))
    (row,) = configurations_table([net], CONVOLUTIONS).rows
    for key in ("alpha", "beta"):
        values = [getattr(stage, key) for stage in net.stages]
        yield _holds(where, f"{key} {row[key]}", _per_stage(row[key]) == values)


def _per_stage(text: str) -> list[Fraction]:
    values = [Fraction(part) for part in text.split("+")]
    return values * len(STAGES) if len(values) == 1 else values


def _by_options(text: str) -> ResNetDesign:
    """Return the network that options of the command line describe."""
    words = iter(text.split())
    options: dict[str, Any] = {word.removeprefix("--").replace("-", "_"): next(words) for word in words}
    for name in {"width", "classes", "in_channels"} & {*options}:
        options[name] = int(options[name])
    for name in {"alpha", "beta"} & {*options}:
        options[name] = options[name].split("+") if "+" in options[name] else options[name]
    sides = [int(side) for side in options.pop("size", "32").split("x")]
    return resnet(depth_of(options.pop("model")), size=(sides[0], sides[-1]), **options)


def _kind(operators: Sequence[Operator]) -> str:
    if any(op.name.endswith(".reduce") for op in operators):
        return "pwise"
    return "octave" if any(op.place.path for op in operators) else "plain"


def _layer(title: str, layer: Layer) -> Iterator[Compared]:
    operators = layer.operators()
    for row in layer_table(layer, Totals()).rows[:-2]:
        pairs = [
            op.channels or (0, 0) for op in operators if (op.place.path, op.part) == (row["path"], "conv")
        ]
        channels = "→".join(map(str, (pairs[0][0], *(c_out for _, c_out in pairs))))
        yield _holds(f"{row['path']} of {title}, {layer}", row["channels"], row["channels"] == channels)


def _units(title: str) -> Iterator[Compared]:
    for unit in UNITS:
        prefix = unit.removesuffix("mac").removesuffix("flop")
        totals, measured = (
            Totals.read(None, unit),
            Measured.read(["macs", "training-macs"], "float32", unit, None),
        )
        columns = [totals.column, *map(measured.column, measured.names)]
        for column in columns:
            scale = sp.Integer(10 ** POWERS[prefix])
            yield Compared(f"{title}: {unit}", f"scale of {column.key}", scale, sp.Integer(column.scale))
            word = f"{prefix}{unit.removeprefix(prefix).upper()}s"
            yield _holds(f"{title}: {unit}", f"heading {column.heading}", word in column.heading)
