"""Grids under every option, changed one at a time, and at ratios that leave whole numbers of channels.

A grid is compiled once and kept for later calls, so what it gives for one option must not depend on what was
asked before. Its rounding is integer arithmetic of its own; products that are whole show whether it is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import partial
from itertools import product
from typing import Any

import sympy as sp

from costmodel.checks.prove import Claim, Compared, Identity
from costmodel.checks.random_cells import identity
from costmodel.convention import Cost
from costmodel.grids.evaluate import evaluate
from costmodel.grids.grid import Grid, grid
from costmodel.networks.closed_form import network_cost
from costmodel.networks.network import SHORTCUTS
from costmodel.networks.stages import STAGES
from costmodel.operators.octave import PATHS, STRIDE_RULES
from costmodel.operators.pwise_octave import BETWEEN
from costmodel.operators.recorder import cost_of
from costmodel.rounding import WIDTH_RULES, as_ratio, hidden, split
from pwoct.channels import as_ratio as code_ratio
from pwoct.channels import hidden_channels, split_channels

COUNTED = ("params", "elements_read")  # every option changes one of them
BASE: Mapping[str, Any] = {"size": (9, 14), "classes": 7, "in_channels": 2, "width_rule": "mean"}
OTHERS: Mapping[str, tuple[Any, ...]] = {
    "size": ((10, 14),),
    "classes": (8,),
    "in_channels": (3,),
    "batch": (3,),
    "stage": STAGES[1:],
    "width_rule": tuple(WIDTH_RULES),
    "stride_rule": STRIDE_RULES,
    "between": BETWEEN,
    "shortcut": SHORTCUTS,
}
WIDTHS = (25, 49)  # 25 * 4 * 0.29 and 49 * (1 / 49) are below whole numbers in floating point
CHANNELS, DENOMINATORS = range(1, 26), range(1, 9)


def grid_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claims about grids and about rounding; `every` takes more widths of networks."""
    text = f"{', '.join(name.replace('_', ' ') for name in OTHERS)}, one at a time"
    yield Claim("grids where one option changes = operators()", _changed, "checked", text)
    widths = (*WIDTHS, 7, 13, 31) if every else WIDTHS
    text = f"base widths {', '.join(map(str, widths))}; every alpha and beta that leaves whole channels"
    yield Claim("grids at whole channels = operators()", partial(_ratios, widths), "checked", text)
    text = f"{len(_LARGE)} networks, {len(_PLACES)} of them compared"
    yield Claim("grids of several blocks = operators()", _blocks, "checked", text)
    text = "alphas and betas whose parts have up to 62 bits"
    yield Claim("grids refuse ratios beyond 64 bits", _precise, "checked", text)
    text = f"1 to {CHANNELS[-1]} channels; denominators up to {DENOMINATORS[-1]}; decimals as ratios"
    yield Claim("both roundings agree", _roundings, "checked", text)


def _ratios(widths: tuple[int, ...]) -> Iterator[Identity]:
    yield identity("ratios", _whole, widths)


def _roundings() -> Iterator[Identity]:
    yield identity("rounding", _rounded)
    yield identity("reading", _read)


def _changed() -> Iterator[Identity]:
    octave, plain = (
        grid(alphas, ["3"], sets, [14], [4]) for alphas, sets in ((["1/3", "2/3"], [(), PATHS]), ([0], [()]))
    )
    for nets in (octave, plain):
        yield identity("base", _setting, nets, BASE)
    for name, values in OTHERS.items():
        nets = octave if name in ("width_rule", "stride_rule", "between") else plain  # which compiles faster
        for value in values:
            yield identity(f"{name} {value}", _setting, nets, {**BASE, name: value})


def _setting(title: str, nets: Grid, setting: Mapping[str, Any]) -> Iterator[Compared]:
    found = evaluate(nets, COUNTED, **setting)
    batch, stage = setting.get("batch", 1), setting.get("stage")
    options = {name: value for name, value in setting.items() if name not in ("batch", "stage")}
    for i in range(len(nets)):
        operators = nets.network(i, **options).operators(batch)
        cost = cost_of(op for op in operators if stage in (None, op.place.stage))
        yield from _counts(f"network {i + 1}, {title}", cost, {name: found[name][i] for name in COUNTED})


def _counts(title: str, cost: Cost, found: Mapping[str, Any]) -> Iterator[Compared]:
    for name, count in found.items():
        yield Compared(title, name, sp.Integer(getattr(cost, name)), sp.Integer(int(count)))


def _whole(title: str, widths: tuple[int, ...]) -> Iterator[Compared]:
    for width in widths:
        channels = width * 2 ** STAGES[-1]
        alphas = [Fraction(low, channels) for low in range(channels + 1)]
        betas = [Fraction(width, m) for m in range(1, width + 1)]
        for nets in (grid(alphas, depths=[8], widths=[width]), grid([0], betas, [("HH",)], [8], [width])):
            found = evaluate(nets, ("macs",))
            for i in range(len(nets)):
                cost = cost_of(nets.network(i).operators())
                yield from _counts(f"{nets.name(i)}, {title}", cost, {"macs": found["macs"][i]})


def _blocks() -> Iterator[Identity]:
    yield identity("large grid", _large_pairs)


# Three kinds of networks; some blocks have two.
_LARGE = grid([0, "1/2", 1], widths=range(2, 800, 2), depths=range(14, 68, 6))
_PLACES = range(0, len(_LARGE), 193)


def _large_pairs(title: str) -> Iterator[Compared]:
    found = evaluate(_LARGE, ("macs",))["macs"]
    for i in _PLACES:
        net = _LARGE.network(i)
        cost = network_cost(net.backbone, net, net.backbone.n)
        yield from _counts(f"{_LARGE.name(i)} in a {title}", cost, {"macs": found[i]})


def _precise() -> Iterator[Identity]:
    yield identity("precise ratios", _precise_pairs)


def _precise_pairs(title: str) -> Iterator[Compared]:
    """Yield exact counts at ratios of ever larger numbers: given as they are, or refused."""
    refused = 0
    for bits in range(46, 62):
        ratio = Fraction(2**bits - 1, 2**bits)
        for alpha, beta, paths in ((ratio, 2, ()), (0, 1 / ratio, ("HH",))):
            try:
                one = grid([alpha], [beta], [paths], [8], [48])
            except ValueError:
                refused += 1
                continue
            cost = cost_of(one.network(0).operators())
            yield from _counts(f"{bits} bits, {title}", cost, {"macs": evaluate(one, ("macs",))["macs"][0]})
    yield Compared(title, "refusals", sp.Integer(1), sp.Integer(0 < refused < 32))


def _rounded(title: str) -> Iterator[Compared]:
    """Yield splits and widths of both copies of the rule; a symbolic width is at least 1, too."""
    ratios = sorted({Fraction(p, q) for q in DENOMINATORS for p in range(q + 1)})
    for c, ratio in product(CHANNELS, ratios):
        pairs = zip(split_channels(c, ratio), split(c, ratio), strict=True)
        for branch, (code, formula) in zip("HL", pairs, strict=True):
            yield Compared(title, f"{branch} of {c} at {ratio}", sp.Integer(code), sp.Integer(formula))
        if ratio:
            yield from _widths(f"{c} channels by {1 / ratio}, {title}", c, 1 / ratio)


def _read(title: str) -> Iterator[Compared]:
    """Yield ratios as both sides read them from texts and from floats, most of which are not exact."""
    for thousandths in range(0, 3001, 7):
        exact, text = Fraction(thousandths, 1000), f"{thousandths / 1000}"
        for given in (text, float(text), f"{thousandths}e-3", f"{exact.numerator}/{exact.denominator}"):
            for side in (code_ratio, as_ratio):
                yield Compared(title, f"{given!r}", sp.Rational(exact), sp.Rational(side(given)))


def _widths(title: str, c: int, beta: Fraction) -> Iterator[Compared]:
    ends = c, (5 * c) % 17 + 1
    values = {_BETA: sp.Rational(beta), **dict(zip(_ENDS, ends, strict=True))}
    for rule in WIDTH_RULES:
        code = sp.Integer(hidden_channels(*ends, beta, rule))
        yield Compared(title, f"width by rule {rule}", code, sp.Integer(hidden(*ends, beta, rule)))
        if c % 4 == 1:
            symbolic = sp.sympify(hidden(_ENDS[0], _ENDS[1], _BETA, rule)).xreplace(values)
            yield Compared(title, f"symbolic width by rule {rule}", code, symbolic)


_ENDS = sp.symbols("c_in c_out", positive=True, integer=True)
_BETA = sp.Symbol("beta", positive=True)
