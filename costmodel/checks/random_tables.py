"""Tables of random layers, networks, sweeps and pairs of networks, with random choices of what is counted.

The tables of chosen examples are compared elsewhere; a column that is wrong for one option, such as groups or
a dtype, needs a table in which that option is not the default.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import islice
from typing import Any

import sympy as sp

from costmodel.checks.prove import Claim, Compared, Identity
from costmodel.checks.random_cells import DTYPES, against, cells, identity, random_totals, relative
from costmodel.checks.random_options import ALPHAS, BETAS, network_options
from costmodel.checks.recounted import recounted, remeasured, without_bottlenecks
from costmodel.grids.quantities import NAMED
from costmodel.networks.resnet import ResNetDesign, resnet
from costmodel.operators.octave import PATHS
from costmodel.operators.recorder import Operator, cost_of
from costmodel.search.space import space
from costmodel.tables.counting import Totals
from costmodel.tables.diff import diff_table, totals_table
from costmodel.tables.measured import Measured
from costmodel.tables.network import configurations_table, network_table, per_layer_table
from costmodel.tables.sweep import sweep_table


def random_table_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claims about tables at random points; `every` takes five times as many points."""
    networks = 30 if every else 6
    text = f"{networks} points; options of all stages, unit, batch and choice of what is counted at random"
    yield Claim("tables of random networks = operators()", partial(_networks, networks), "checked", text)
    text = f"{networks} sweeps and {networks} diffs; options, dtype, quantities and choice of what is counted"
    yield Claim(
        "random sweeps and diffs = operators()", partial(_sweeps, networks), "checked", f"{text} at random"
    )


# Networks.


def random_networks(chosen: random.Random) -> Iterator[tuple[ResNetDesign, dict[str, Any]]]:
    """Yield networks of random options, and the options that are not per stage, without end."""
    while True:
        depth, _, image, options = network_options(chosen)
        try:
            net = resnet(depth, size=image, **options)
        except ValueError:
            continue  # options that do not fit one another
        yield (
            net,
            {
                **{key: options[key] for key in options if key not in ("alpha", "beta", "paths")},
                "size": image,
            },
        )


def _networks(points: int) -> Iterator[Identity]:
    chosen = random.Random(15)
    for index, (net, _) in enumerate(islice(random_networks(chosen), points)):
        yield identity(f"network {index + 1}", _network_pairs, net, random_totals(chosen))


def _network_pairs(title: str, net: ResNetDesign, totals: Totals) -> Iterator[Compared]:
    where = f"{title}, {net}, {totals}"
    others = [without_bottlenecks(net, alpha=False), without_bottlenecks(net, alpha=True)]
    counts = [recounted(one.operators(), totals) for one in (*others, net)]
    rows = network_table(net, totals).rows
    for row, own in ((rows[0], counts[0]), (rows[-1], counts[2])):
        yield from cells(where, _compared(own, *counts[:2]), row)
    for row, own in zip(configurations_table([others[1], net], totals).rows, counts[1:], strict=True):
        yield from cells(f"configurations of {where}", _compared(own, *counts[:2]), row)
    yield from _per_layer(where, net, totals)


def _compared(own: Mapping[str, int], plain: Mapping[str, int], octave: Mapping[str, int]) -> dict[str, Any]:
    return {**own, **against("plain", own, plain), **against("octave", own, octave)}


def _per_layer(where: str, net: ResNetDesign, totals: Totals) -> Iterator[Compared]:
    operators = net.operators()
    whole, table = recounted(operators, totals), per_layer_table(net, totals)
    for row in (*table.rows, table.total or {}):
        inside = [op for op in operators if stands_in(op.name, row["layer"])]
        counts, cost = recounted(inside, totals), cost_of(inside)
        shares = {
            f"{key}_share": Fraction(count, whole[key]) if whole[key] else None
            for key, count in counts.items()
        }
        activations = totals.batch * cost.activations
        wanted = {**counts, **shares, "activations": activations, "calls": cost.calls}
        yield from cells(f"{row['layer']} of {where}", wanted, row)
    shown = sum(row["calls"] for row in table.rows)
    yield Compared(where, "calls of all rows", sp.Integer(cost_of(operators).calls), sp.Integer(shown))


def stands_in(name: str, layer: str) -> bool:
    """Whether an operator belongs to a row: to the layer of that name, or to the sum."""
    return layer == "sum" or f"{name}.".startswith(f"{layer}.")


# Sweeps and diffs.


def _sweeps(points: int) -> Iterator[Identity]:
    chosen = random.Random(16)
    nets = random_networks(chosen)
    for index in range(points):
        (a, options), (b, _) = next(nets), next(nets)
        yield identity(
            f"sweep {index + 1}", _sweep_pairs, a, options, chosen.randrange(1000), _measured(chosen)
        )
        yield identity(f"diff {index + 1}", _diff_pairs, a, b, _measured(chosen))


def _measured(chosen: random.Random) -> Measured:
    totals = replace(random_totals(chosen), batch=1)
    names = chosen.sample([name for name in NAMED if name not in ("macs", "flops")], 3)
    return Measured((totals.key, *names), chosen.choice(DTYPES), totals)


def _sweep_pairs(
    title: str, net: ResNetDesign, options: Mapping[str, Any], seed: int, measured: Measured
) -> Iterator[Compared]:
    chosen, others = random.Random(seed), {key: options[key] for key in options if key != "width_rule"}
    alphas, betas = ([chosen.choice(ALPHAS), Fraction(1, 2)], chosen.sample(BETAS, 2))
    sets = [(), chosen.sample(PATHS, 2), PATHS]
    depth, rule, dtype = net.backbone.depth, net.width_rule, measured.dtype
    if others["shortcut"] == "A":
        alphas = alphas[:1] if alphas[0] < 1 else [Fraction(0)]
    table = sweep_table(space([depth], alphas, betas, sets, [rule], **others), measured)
    plain = remeasured(resnet(depth, **others).operators(), measured.names, dtype, measured.totals)
    for row in table.rows:
        one = resnet(
            depth, alpha=row["alpha"], beta=row["beta"] or 2, paths=row["paths"], width_rule=rule, **others
        )
        own = remeasured(one.operators(), measured.names, dtype, measured.totals)
        yield from cells(f"{title}, {options}, {measured}", {**own, **against("plain", own, plain)}, row)
    wanted = sp.Integer(len(set(alphas)) * (1 + len(betas) * len(sets[1:])))
    yield Compared(title, "rows", wanted, sp.Integer(len(table.rows)))


def _diff_pairs(title: str, a: ResNetDesign, b: ResNetDesign, measured: Measured) -> Iterator[Compared]:
    table, both = diff_table(a, b, measured, unchanged=True), (a.operators(), b.operators())
    for row in (*table.rows, table.total or {}):
        groups = [[op for op in ops if stands_in(op.name, row["layer"])] for ops in both]
        old, new = (remeasured(ops, measured.names, measured.dtype, measured.totals) for ops in groups)
        for name in measured.names:
            wanted: dict[str, Any] = {
                f"{name}_a": old[name] if groups[0] else None,
                f"{name}_b": new[name] if groups[1] else None,
                f"{name}_difference": new[name] - old[name],
                f"{name}_change": relative(new[name], old[name]),
            }
            yield from cells(f"{row['layer']} of {title}, {measured}", wanted, row)
        if row["layer"] != "sum" and all(groups):
            is_named = sp.Integer(all(text in row["what"] for text in _changes(*groups)))
            yield Compared(f"{row['layer']} of {title}", "changes named", sp.Integer(1), is_named)
    for row in totals_table(table, measured).rows:
        last = {
            key: (table.total or {})[f"{row['quantity']}_{key}"] for key in ("a", "b", "difference", "change")
        }
        yield from cells(f"totals of {title}", last, row)


def _changes(a: Sequence[Operator], b: Sequence[Operator]) -> Iterator[str]:
    """Yield what happened to the paths of a layer, by the names of its convolutions."""
    ways = {"added": (0, 1), "gone": (1, 0), "compressed": (1, 3), "uncompressed": (3, 1)}
    for verb, (before, after) in ways.items():
        paths = [path for path in PATHS if (_count(a, path), _count(b, path)) in _variants(before, after)]
        if paths:
            yield f"{verb} {','.join(paths)}"


def _variants(before: int, after: int) -> tuple[tuple[int, int], ...]:
    """A path that is added or gone may have one convolution, or the three of a bottleneck."""
    return ((before, after), (3 * before, 3 * after)) if 0 in (before, after) else ((before, after),)


def _count(operators: Sequence[Operator], path: str) -> int:
    """Return the convolutions of a path; those of a plain layer are HH."""
    return sum(op.has_weights and (op.place.path or "HH") == path for op in operators)
