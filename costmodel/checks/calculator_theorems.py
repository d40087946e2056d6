"""Every route by which numbers are printed: folded networks, closed forms, grids, formulas of paths.

The other theorems compare `operators()` with the code. The calculator prints sums of `folded()`, which counts
an inner block of each stage b - 2 times; a closed form gives them in symbols, and a grid for many networks at
once. Each of these is compared with `operators()` here, in all quantities of a cost.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import sympy as sp

from costmodel.checks.network_theorems import EVEN, MIXED, OCT, PLAIN, PWISE, ClaimedNetwork
from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.proof.ratios import unreduced_ratios
from costmodel.checks.proof.recorded import SizeRecord, expression
from costmodel.checks.prove import Claim, Compared, Identity, Sizes
from costmodel.convention import QUANTITIES, Cost
from costmodel.grids.evaluate import SUMS, evaluate_networks
from costmodel.networks.closed_form import BOTTLENECKS, CHANNELS, alpha, beta, closed_form, network_cost
from costmodel.networks.closed_form import n as blocks_symbol
from costmodel.networks.resnet import ResNetDesign, resnet, rounding_notes
from costmodel.networks.stages import STAGES
from costmodel.operators.layer import Layer, path_formulas
from costmodel.operators.octave import PATHS
from costmodel.operators.pwise_octave import BETWEEN
from costmodel.operators.recorder import cost_of
from costmodel.rounding import hidden

DEPTHS = (8, 14, 20, 26, 32, 44, 56, 110, 1202)
NETWORKS = {"plain": PLAIN, "Oct": OCT, "PwiseOct": PWISE, "other paths in each stage": MIXED}


def calculator_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claims about what the calculator prints."""
    yield Claim("folded() = operators() in all sizes", partial(_folded, every))
    depths = DEPTHS if every else DEPTHS[:-1]
    yield Claim(
        "folded() and network_cost() = operators() at named depths",
        partial(_at_depths, depths),
        "checked",
        f"depths {', '.join(map(str, depths))}; {len(_CONFIGURATIONS)} configurations",
    )
    closed = _CLOSED if every else _CLOSED[:-1]
    yield Claim(
        "closed forms = operators()", partial(_closed, closed), "checked", f"{len(closed)} forms; b = 2 to 5"
    )
    yield Claim(
        "closed forms in channels and widths = operators()",
        partial(_in_channels, 12 if every else 4),
        "checked",
        f"{12 if every else 4} forms, alpha, beta and paths per stage, every width rule; b = 2 and 5",
    )
    settings = 20 if every else 4
    yield Claim(
        "grids = operators()",
        partial(_grids, settings),
        "checked",
        f"{6 * settings} networks, every width rule, n = 1 to 6 (plain ones up to 200), base width 1 to 40, "
        "beta up to all channels of a stage",
    )
    yield Claim("formulas of paths = operators()", _paths, "checked", f"{len(_LAYERS)} layers")


def _folded(every: bool) -> Iterator[Identity]:
    for name, network in NETWORKS.items() if every else [*NETWORKS.items()][-1:]:
        for count in (1, 2, 3, 4, 5) if every else (4,):
            title = f"resnet{6 * count + 2} {name}"
            yield _folded_identity(title, network, count)


def _folded_identity(title: str, network: ClaimedNetwork, blocks: int) -> Identity:
    domain = network.domain()
    record = SizeRecord({sp.expand(q): sp.sympify(r) for q, r in domain.rounded.items()})
    numbers = network.numbers(0)
    pairs = partial(_folded_pairs, title, network, blocks, Sizes(numbers, record))
    return Identity(title, domain, pairs, record, {symbol: numbers[symbol] for symbol in domain.least})


def _folded_pairs(title: str, network: ClaimedNetwork, blocks: int, v: Sizes) -> Iterator[Compared]:
    with unreduced_ratios():
        net = resnet(6 * blocks + 2, size=(v(EVEN[0]), v(EVEN[1])), **network.options(v))
        folded, whole = cost_of(net.folded()), cost_of(net.operators())
    yield from _costs(title, folded, whole)


def _costs(title: str, found: Cost, wanted: Cost) -> Iterator[Compared]:
    for quantity in (*QUANTITIES, *SUMS):
        pair = (expression_of(getattr(cost, quantity)) for cost in (found, wanted))
        yield Compared(title, quantity, *pair)


def expression_of(value: Any) -> sp.Expr:
    """Return a size, recorded, plain or an expression, as an expression."""
    return value if isinstance(value, sp.Expr) else expression(value)


_CONFIGURATIONS: Sequence[dict[str, Any]] = (
    {},
    {"alpha": "1/4"},
    {"alpha": "1/4", "beta": 2, "paths": ["HL", "LH", "LL"]},
    {
        "alpha": ["1/8", "0", "3/8"],
        "beta": [2, 3, 5],
        "paths": [["HH"], ["LH", "HL"], list(PATHS)],
        "size": (33, 47),
    },
    {"alpha": "1", "paths": list(PATHS), "width_rule": "mean", "between": "bn_relu", "stride_rule": "B"},
)


def _at_depths(depths: Sequence[int]) -> Iterator[Identity]:
    for depth in depths:
        yield Identity(f"resnet{depth}", SizeDomain({}), partial(_depth_pairs, f"resnet{depth}", depth))


def _depth_pairs(title: str, depth: int) -> Iterator[Compared]:
    for options in _CONFIGURATIONS:
        net = resnet(depth, **options)
        operators = net.operators()
        whole = cost_of(operators)
        yield from _costs(title, cost_of(net.folded()), whole)
        yield from _costs(title, network_cost(net.backbone, net, net.backbone.n), whole)
        for stage in STAGES:
            wanted = cost_of([op for op in operators if op.name.startswith(f"stages.{stage}.")])
            found = network_cost(net.backbone, net, net.backbone.n, stage=stage)
            yield from _costs(f"{title}, stage {stage + 1}", found, wanted)


_WIDTH_RULES = ("mean", "in", "out", "min")
_CLOSED: Sequence[tuple[str, dict[str, Any], dict[str, Any]]] = (
    ("H", {}, {}),
    ("HL", {"alpha": "1/4"}, {}),
    ("HL", {"alpha": "3/8", "beta": 3}, {"paths": ["HL", "LH", "LL"]}),
    ("HL", {"alpha": "1/3", "beta": 4}, {"paths": list(PATHS), "stride_rule": "A", "between": "bn"}),
    ("L", {"alpha": "1", "beta": 2}, {"paths": ["LL"], "stride_rule": "B"}),
    ("HL", {"alpha": "1/2", "beta": 2}, {"paths": [["HH"], ["LL"], list(PATHS)], "width_rule": "mean"}),
    (
        "HL",
        {"alpha": "2/7", "beta": "5/2"},
        {"paths": list(PATHS), "width_rule": "in", "between": "bn", "batch": 3},
    ),
    ("HL", {"alpha": "1/2", "beta": 2}, {"paths": list(PATHS), "width_rule": "min", "width": 20}),
)


def _closed(closed: Sequence[tuple[str, dict[str, Any], dict[str, Any]]]) -> Iterator[Identity]:
    for index, (branches, ratios, options) in enumerate(closed):
        title = f"closed form {index + 1}"
        yield Identity(title, SizeDomain({}), partial(_closed_pairs, title, branches, ratios, options))


def _closed_pairs(
    title: str, branches: str, ratios: dict[str, Any], options: dict[str, Any]
) -> Iterator[Compared]:
    others = dict(options)
    batches = others.pop("batch", 1)
    values = {alpha: sp.Rational(ratios.get("alpha", "0")), beta: sp.Rational(ratios.get("beta", 2))}
    floors = closed_form(form="floors", branches=branches, **options)
    whole = closed_form(form="whole", branches=branches, **options)
    for count in (2, 3, 4, 5):
        net = resnet(6 * count + 2, **ratios, **others)
        wanted = cost_of(net.operators(batches))
        yield from _costs(title, floors.subs({**values, blocks_symbol: count}), wanted)
        if _is_whole(net):
            yield from _costs(title, whole.subs({**values, blocks_symbol: count}), wanted)


def _is_whole(net: ResNetDesign) -> bool:
    """Return whether no split and no width of a network is rounded."""
    return not rounding_notes(net)


def _in_channels(forms: int) -> Iterator[Identity]:
    chosen = random.Random(3)
    for index in range(forms):
        stages = _random_stages(chosen, between=True)
        stages["width_rule"] = _WIDTH_RULES[index % 4]
        stages["between"] = chosen.choice(BETWEEN)
        title = f"form {index + 1} in channels"
        yield Identity(title, SizeDomain({}), partial(_channel_pairs, title, stages))


def _channel_pairs(title: str, options: dict[str, Any]) -> Iterator[Compared]:
    rules = {key: options[key] for key in ("paths", "width", "width_rule", "between")}
    net = resnet(14, **options)
    form = closed_form(form="channels", branches=[_branches(net.split(stage)) for stage in STAGES], **rules)
    values = _channels_and_widths(net)
    for count in (2, 5):
        wanted = cost_of(resnet(6 * count + 2, **options).operators())
        yield from _costs(title, form.subs({**values, blocks_symbol: count}), wanted)


def _branches(channels: Sequence[Any]) -> str:
    return "".join(branch for branch, count in zip("HL", channels, strict=True) if count)


def _channels_and_widths(net: ResNetDesign) -> dict[sp.Symbol, Any]:
    """Return the values of the symbols of a form: c_H1, m_H1 and so on, by stage, path and source."""
    values: dict[sp.Symbol, Any] = {}
    for stage, symbols in enumerate(CHANNELS):
        values.update(zip(symbols, net.split(stage), strict=True))
    for place in BOTTLENECKS:
        c_in = net.split(place.source)["HL".index(place.path[0])]
        c_out = net.split(place.stage)["HL".index(place.path[1])]
        if c_in and c_out:
            width = hidden(c_in, c_out, net.stages[place.stage].beta, net.width_rule)
            values[place.width(net.width_rule)] = width
    return values


def _grids(settings: int) -> Iterator[Identity]:
    yield Identity("grid", SizeDomain({}), partial(_grid_pairs, settings))


def _grid_pairs(settings: int) -> Iterator[Compared]:
    chosen = random.Random(settings)
    for index in range(settings):
        setting: dict[str, Any] = {
            "size": (chosen.randrange(1, 50), chosen.randrange(1, 50)),
            "width_rule": _WIDTH_RULES[index % 4],
            "stride_rule": "CAB"[index % 3],
            "between": chosen.choice(BETWEEN),
            "classes": chosen.randrange(1, 20),
            "in_channels": chosen.randrange(1, 5),
        }
        nets = [
            resnet(8 + 6 * chosen.randrange(6), **_random_stages(chosen, between=place > 1), **setting)
            for place in range(5)
        ]
        nets.append(resnet((14, 56, 110, 1202)[index % 4], **setting))  # plain: not octave with one branch
        found = evaluate_networks(nets, (*QUANTITIES, *SUMS))
        for place, net in enumerate(nets):
            cost = cost_of(net.operators())
            for quantity, values in found.items():
                pair = sp.Integer(int(values[place])), sp.Integer(getattr(cost, quantity))
                yield Compared(f"grid {index + 1}, network {place + 1}", quantity, *pair)


def _random_stages(chosen: random.Random, *, between: bool) -> dict[str, Any]:
    """Return options of three stages; `between` keeps alpha strictly between 0 and 1."""
    width = chosen.choice((chosen.randrange(1, 9), chosen.randrange(4, 41)))

    def alpha() -> Fraction:
        below = chosen.randrange(2, 12)
        return Fraction(chosen.randrange(1, below) if between else chosen.randrange(below + 1), below)

    def beta(most: int) -> Fraction:
        below = chosen.randrange(1, 6)
        return 1 + (min(most, chosen.choice((4, most))) - 1) * Fraction(chosen.randrange(below + 1), below)

    return {
        "alpha": [alpha() for _ in STAGES],
        "beta": [beta(width * 2**stage) for stage in STAGES],
        "paths": [[path for path in PATHS if chosen.random() < 0.6] for _ in STAGES],
        "width": width,
    }


_QUARTER = Fraction(1, 4)
_LAYERS: Sequence[Layer] = (
    Layer(),
    Layer(alpha_in=_QUARTER, alpha_out=_QUARTER),
    Layer(8, 24, (31, 46), (5, 5), 2, groups=2, alpha_in=_QUARTER, alpha_out=Fraction(1, 2)),
    Layer(alpha_in=_QUARTER, alpha_out=_QUARTER, paths=frozenset(PATHS), bias=True),
    Layer(12, 20, (28, 28), (3, 3), 2, alpha_in=Fraction(1, 3), alpha_out=Fraction(2, 5), stride_rule="A"),
    Layer(12, 20, (30, 26), (3, 5), 2, alpha_in=Fraction(1), alpha_out=Fraction(2, 5), stride_rule="B"),
)


def _paths() -> Iterator[Identity]:
    for index, layer in enumerate(_LAYERS):
        title = f"layer {index + 1}"
        yield Identity(title, SizeDomain({}), partial(_path_pairs, title, layer))


def _path_pairs(title: str, layer: Layer) -> Iterator[Compared]:
    octave = layer.octave()
    operators = layer.operators()
    for path, cost in path_formulas(layer).items():
        wanted = cost_of(op for op in operators if op.place.path == path)
        values = _values(layer, path, octave.c_in, octave.c_out)
        for quantity in ("macs", "weights", "biases", "activations", "macs_weight_grad", "calls"):
            formula = expression_of(getattr(cost, quantity))
            formula = formula.subs({symbol: values[symbol.name] for symbol in formula.free_symbols})
            yield Compared(f"{title} {path}", quantity, formula, sp.Integer(getattr(wanted, quantity)))


def _values(layer: Layer, path: str, c_in: Any, c_out: Any) -> dict[str, Any]:
    k_h, k_w = layer.kernel
    high, wide = (-(-int(side) // layer.stride) for side in layer.size)
    values = {"h": high, "w": wide, "k": k_h, "k_h": k_h, "k_w": k_w, "m": layer.widths().get(path, 0)}
    for branch, one, two in zip("HL", c_in, c_out, strict=True):
        values.update({f"c_{branch}": one, f"c_{branch}_in": one, f"c_{branch}_out": two})
    return {name: value for name, value in values.items() if value}
