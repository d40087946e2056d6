"""Numbers that are printed on request: other counts, batches, stages, depths, sweeps and diffs.

Each is compared with `operators()`. What is counted follows from the name and cost of an operator, not from
the code that prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import isqrt
from typing import Any

import sympy as sp

from costmodel.checks.prove import Claim, Compared, Identity
from costmodel.checks.random_cells import identity
from costmodel.checks.random_tables import stands_in
from costmodel.checks.recounted import recounted
from costmodel.convention import QUANTITIES, Cost
from costmodel.grids.evaluate import evaluate, evaluate_networks
from costmodel.grids.grid import grid
from costmodel.networks.closed_form import network_cost
from costmodel.networks.resnet import resnet
from costmodel.operators.layer import Layer, path_formulas
from costmodel.operators.octave import PATHS
from costmodel.operators.recorder import Operator, cost_of
from costmodel.search.space import space
from costmodel.tables.counting import Totals
from costmodel.tables.diff import diff_table
from costmodel.tables.layer import layer_table
from costmodel.tables.measured import Measured
from costmodel.tables.network import network_table, per_layer_table
from costmodel.tables.sweep import sweep_table

TOTALS: Sequence[Totals] = (
    Totals(frozenset({"conv", "linear"}), frozenset({"conv", "linear"}), batch=3),
    Totals(frozenset({"shortcut", "bn"}), frozenset({"shortcut", "bn"}), "flop"),
    Totals(frozenset({"bias", "upsample", "pool"}), frozenset({"bias"})),
)
NETWORKS: Sequence[dict[str, Any]] = (
    {"alpha": "1/4", "beta": 2, "paths": ["HL", "LH", "LL"]},
    {
        "alpha": ["1/8", "1", "3/8"],
        "paths": list(PATHS),
        "between": "bn",
        "stride_rule": "B",
        "size": (33, 18),
    },
)
LAYERS: Sequence[Layer] = (
    Layer(stride=2, stride_rule="B", alpha_in=Fraction(1, 4), alpha_out=Fraction(1, 4), bias=True, batch=3),
    Layer(12, 20, stride=2, stride_rule="A", alpha_in=Fraction(1, 3), alpha_out=Fraction(2, 5)),
)
COUNTED = ("params", "macs", "macs_training", "element_ops", "elements_read")
# Blocks of a stage: all of these, one by one, by folding; the first ones recorded whole, too.
MOST_IN_A_ROW = 40
DEEP = (*range(4, MOST_IN_A_ROW + 1), 66, 99, 100, 101, 166, 200, 333)
RECORDED = 18  # ResNet-110
# Alphas, paths and the counted stage: a bound is closest where the last stage has most of the weights.
WIDE: Sequence[tuple[Any, Any, int | None]] = (
    ("0", (), None),
    ("0", (("HH",), (), ()), None),
    (("0", "0", "1/1024"), (), None),
    ("1/1024", (), 2),
)
SIDES = (1, 3, 5, 7, 9, 15, 18, 33)  # of outputs, whose low branch is rounded up


def printed_claims(*, every: bool = False) -> Iterator[Claim]:  # noqa: ARG001 - there are no others
    """Yield the claims about totals of another choice, of deep networks, and in sweeps and diffs."""
    text = f"{len(TOTALS)} choices of what is counted; {len(NETWORKS)} networks and {len(LAYERS)} layers"
    yield Claim("chosen counts = operators()", _chosen, "checked", text)
    deeper = ", ".join(str(blocks) for blocks in DEEP if blocks > MOST_IN_A_ROW)
    text = f"{len(NETWORKS)} networks of 4 to {MOST_IN_A_ROW}, {deeper} blocks per stage"
    yield Claim("networks grow by an inner block", _deep, "checked", text)
    text = "4 networks, and stages of them; batches of 1 and 3, shortcuts A and B, bottlenecks of one channel"
    yield Claim("grids of stages and batches = operators()", _grids, "checked", text)
    text = f"24 sizes and 24 widths around the limit, 2 and {len(WIDE)} networks"
    yield Claim("grids refuse counts beyond 64 bits", _overflow, "checked", text)
    sides = ", ".join(map(str, SIDES))
    yield Claim("formulas of paths at odd sizes = operators()", _odd, "checked", f"outputs of {sides} pixels")
    yield Claim("sweeps and diffs = operators()", _compared_networks, "checked", "18 rows of sweeps, 2 diffs")


def _chosen() -> Iterator[Identity]:
    for totals in TOTALS:
        yield identity(f"{', '.join(sorted(totals.work))}", _chosen_pairs, totals)


def _chosen_pairs(title: str, totals: Totals) -> Iterator[Compared]:
    for options in NETWORKS:
        net = resnet(14, **options)
        operators = net.operators()
        (*_, row) = network_table(net, totals).rows
        yield from _row(f"{options}, {title}", row, recounted(operators, totals))
        for row in per_layer_table(net, totals).rows:
            inside = [op for op in operators if f"{op.name}.".startswith(f"{row['layer']}.")]
            inside += [op for op in operators if op.name == f"{row['layer']}_pool"]
            wanted = {**recounted(inside, totals), "activations": totals.batch * cost_of(inside).activations}
            yield from _row(f"{row['layer']} of {options}, {title}", row, wanted)
    for layer in LAYERS:
        yield from _layer_rows(title, layer, totals)


def _layer_rows(title: str, layer: Layer, totals: Totals) -> Iterator[Compared]:
    plain = Layer(
        layer.c_in, layer.c_out, layer.size, layer.kernel, layer.stride, bias=layer.bias
    ).operators()
    one = Layer(**{name: getattr(layer, name) for name in layer.__dataclass_fields__ if name != "batch"})
    wanted = {"standard": plain, "all paths": one.operators()}
    for row in layer_table(layer, totals).rows:
        inside = wanted.get(row["path"], [op for op in one.operators() if op.place.path == row["path"]])
        yield from _row(f"{row['path']} of {layer}, {title}", row, recounted(inside, totals))


def _row(title: str, row: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[Compared]:
    for quantity, count in wanted.items():
        yield Compared(title, quantity, sp.Integer(count), sp.Integer(row[quantity]))


def _deep() -> Iterator[Identity]:
    for options in NETWORKS:
        yield identity(f"{options}", _deep_pairs, options)


def _deep_pairs(title: str, options: Mapping[str, Any]) -> Iterator[Compared]:
    three, four = (cost_of(resnet(depth, **options).operators()) for depth in (20, 26))
    for blocks in DEEP:
        net = resnet(6 * blocks + 2, **options)
        wanted = three + (four - three) * (blocks - 3)
        costs = [cost_of(net.folded()), network_cost(net.backbone, net, blocks)]
        costs += [cost_of(net.operators())] if blocks <= RECORDED else []
        for cost, name in product(costs, QUANTITIES):
            pair = sp.Integer(getattr(wanted, name)), sp.Integer(getattr(cost, name))
            yield Compared(f"{blocks} blocks, {title}", name, *pair)


def _grids() -> Iterator[Identity]:
    for rule, shortcut in (("mean", "A"), ("out", "B")):
        yield identity(f"grid by {rule}, shortcut {shortcut}", _grid_pairs, rule, shortcut)


def _grid_pairs(title: str, rule: str, shortcut: str) -> Iterator[Compared]:
    nets = grid(["3/10", "2/3"], [3], [PATHS], [14], [4])
    setting: dict[str, Any] = {"width_rule": rule, "shortcut": shortcut, "size": (9, 14)}
    built = [nets.network(i, **setting) for i in range(len(nets))]
    for stage, batch in ((None, 3), (0, 3), (2, 1)):
        found = evaluate(nets, COUNTED, stage=stage, batch=batch, **setting)
        for i, net in enumerate(built):
            where = f"{title}, network {i + 1}, stage {stage}, batch {batch}"
            wanted = cost_of(op for op in net.operators(batch) if stage in (None, op.place.stage))
            formula = network_cost(net.backbone, net, net.backbone.n, stage=stage, batch=batch)
            yield from _costs(where, wanted, formula)
            for name in COUNTED:
                count = sp.Integer(getattr(wanted, name))
                yield Compared(where, name, count, sp.Integer(int(found[name][i])))
    for name, values in evaluate_networks(built).items():
        count = sum(getattr(cost_of(net.operators()), name) for net in built)
        yield Compared(f"{title}, as networks", name, sp.Integer(count), sp.Integer(int(values.sum())))


def _costs(title: str, wanted: Cost, found: Cost) -> Iterator[Compared]:
    for name in QUANTITIES:
        yield Compared(title, name, sp.Integer(getattr(wanted, name)), sp.Integer(getattr(found, name)))


def _overflow() -> Iterator[Identity]:
    yield identity("large images", _overflow_pairs)
    yield identity("wide networks", _wide_pairs)


def _overflow_pairs(title: str) -> Iterator[Compared]:
    """Yield exact counts for images up to far beyond 64 bits: printed as they are, or refused."""
    refused = 0
    # Each size has twice the pixels of the one before, so that a bound that is too low is met.
    for power, (depth, paths) in product(range(36, 60), ((6002, ()), (20, ("HH",)))):
        one = grid(["0"], [2], [paths], [depth], [16])
        size = (2 ** (power // 2), 2 ** (power - power // 2))
        try:
            (found,) = evaluate(one, ("macs",), size=size)["macs"]
        except ValueError:
            refused += 1
            continue
        net = one.network(0, size=size)
        wanted = network_cost(net.backbone, net, net.backbone.n).macs
        yield Compared(f"{title} of {size}", "macs", sp.Integer(wanted), sp.Integer(int(found)))
    yield Compared(title, "refusals", sp.Integer(1), sp.Integer(0 < refused < 48))


def _wide_pairs(title: str) -> Iterator[Compared]:
    """Yield exact parameters for widths up to far beyond 64 bits: printed as they are, or refused."""
    refused = 0
    # Each width has twice the products of the one before.
    for power, (alpha, paths, stage) in product(range(46, 70), WIDE):
        one = grid([alpha], [2], [paths], [8], [isqrt(2**power)])
        try:
            (found,) = evaluate(one, ("params",), stage=stage)["params"]
        except ValueError:
            refused += 1
            continue
        wanted = cost_of(op for op in one.network(0).operators() if stage in (None, op.place.stage)).params
        where = f"{title} of {alpha}, stage {stage}, width {isqrt(2**power)}"
        yield Compared(where, "params", sp.Integer(wanted), sp.Integer(int(found)))
    yield Compared(title, "refusals", sp.Integer(1), sp.Integer(0 < refused < 24 * len(WIDE)))


def _odd() -> Iterator[Identity]:
    for stride in (1, 2):
        for side in SIDES:
            yield identity(f"{side} pixels, stride {stride}", _odd_pairs, side, stride)


def _odd_pairs(title: str, side: int, stride: int) -> Iterator[Compared]:
    layer = Layer(12, 12, (stride * side, stride * (side + 1)), (5, 3), stride, alpha_in=Fraction(1, 4))
    layer = Layer(**{**vars(layer), "alpha_out": Fraction(1, 4)})
    high, low = layer.octave().c_in
    values = {"c_H": high, "c_L": low, "h": side, "w": side + 1, "k_h": 5, "k_w": 3}
    for path, cost in path_formulas(layer).items():
        wanted = cost_of(op for op in layer.operators() if op.place.path == path)
        formula = sp.sympify(cost.macs)
        found = formula.subs({symbol: values[symbol.name] for symbol in formula.free_symbols})
        yield Compared(f"{title} {path}", "macs", sp.Integer(wanted.macs), found)


def _compared_networks() -> Iterator[Identity]:
    for names in (("params", "macs", "bytes"), ("flops", "calls")):
        measured = Measured(names, "float16")
        yield identity(f"sweep of {', '.join(names)}", _sweep_pairs, measured)
        yield identity(f"diff of {', '.join(names)}", _diff_pairs, measured)


def _quantities(operators: Sequence[Operator]) -> dict[str, int]:
    cost = cost_of(operators)
    moved = 2 * (cost.elements_read + cost.elements_written)
    counted = {"params": cost.params, "macs": cost.macs, "flops": 2 * cost.macs, "calls": cost.calls}
    return {**counted, "bytes": moved}


def _sweep_pairs(title: str, measured: Measured) -> Iterator[Compared]:
    options: dict[str, Any] = {"width": 12, "size": (24, 40), "classes": 7}
    sets = [(), ("HL", "LL"), PATHS]
    rows = sweep_table(space([14], ["0", "1/3", "1"], ["3/2"], sets, **options), measured).rows
    yield Compared(title, "rows", sp.Integer(9), sp.Integer(len(rows)))
    plain = _quantities(resnet(14, **options).operators())
    for row in rows:
        net = resnet(14, alpha=row["alpha"], beta=row["beta"] or 2, paths=row["paths"], **options)
        wanted = {name: _quantities(net.operators())[name] for name in measured.names}
        where = f"{row['paths']} at {row['alpha']}, {title}"
        yield from _row(where, row, wanted)
        for name, count in wanted.items():
            change = sp.Rational(count - plain[name], plain[name])
            yield Compared(where, f"{name} against plain", change, sp.Rational(row[f"{name}_vs_plain"]))


def _diff_pairs(title: str, measured: Measured) -> Iterator[Compared]:
    a, b = resnet(20), resnet(14, alpha="1/4", paths=("LH",), size=(30, 30))
    table = diff_table(a, b, measured, unchanged=True)
    both = {"a": a.operators(), "b": b.operators()}
    for row in (*table.rows, table.total or {}):
        for side, operators in both.items():
            inside = [op for op in operators if stands_in(op.name, row["layer"])]
            for name in measured.names:
                shown = row[f"{name}_{side}"] or 0
                count = sp.Integer(_quantities(inside)[name])
                yield Compared(f"{row['layer']}, {title}", f"{name} of {side}", count, sp.Integer(shown))
        for name in measured.names:
            difference = sp.Integer((row[f"{name}_b"] or 0) - (row[f"{name}_a"] or 0))
            shown = sp.Integer(row[f"{name}_difference"])
            yield Compared(f"{row['layer']}, {title}", f"{name}: B - A", difference, shown)
