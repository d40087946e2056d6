"""A network's cost as one closed form, in n, the channels c_H and c_L of each stage, and the widths m.

All inner blocks of a stage cost the same, so three blocks per stage are recorded, and the middle one is
counted n - 2 times; this holds for every n >= 2. Substituting the rounding rule gives the form with floors;
omitting the floors gives the form in n, alpha and beta, which is exact if all sizes are integers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import sympy as sp

from costmodel.convention import QUANTITIES, Cost
from costmodel.networks.expansion import expanded
from costmodel.networks.network import Backbone, Design, fold, record_resnet
from costmodel.networks.stages import STAGES, paths_per_stage, per_stage
from costmodel.operators.octave import PATHS, PathConvolution, PathRequest, plain_path
from costmodel.operators.pwise_octave import BETWEEN, compressing
from costmodel.operators.recorder import FeatureMap, Operator, Recorder
from costmodel.rounding import WIDTH_RULES, hidden, split, unrounded_hidden
from costmodel.sizes import Pair, Size, check_choice, pair

FORMS = ("channels", "floors", "whole")
BRANCHES = ("HL", "H", "L")


def _symbol(name: str) -> sp.Symbol:
    return sp.Symbol(name, integer=True, positive=True)


n = _symbol("n")  # blocks per stage
alpha, beta = sp.symbols("alpha beta", positive=True)
# c_H1, c_L1 are the high and low channels of stage 1, and so on.
CHANNELS: tuple[Pair, ...] = tuple((_symbol(f"c_H{s + 1}"), _symbol(f"c_L{s + 1}")) for s in STAGES)


class BottleneckPlace(NamedTuple):
    """The place of a bottleneck: a path from the channels of one stage to those of the same or the next."""

    path: str
    source: int
    stage: int

    def width(self, rule: str) -> sp.Symbol:
        """Return the symbol of its width m.

        With the rule "out" it depends on the output branch: m_H2. With other rules it also depends on the
        input: m_LH2 inside stage 2, m_LH12 from stage 1 to stage 2.
        """
        if rule == "out":
            return _symbol(f"m_{self.path[1]}{self.stage + 1}")
        source = "" if self.source == self.stage else str(self.source + 1)
        return _symbol(f"m_{self.path}{source}{self.stage + 1}")

    def ends(self, channels: Sequence[Pair]) -> Pair:
        """Return its (input, output) channels, given those of the stages."""
        a, b = ("HL".index(branch) for branch in self.path)
        return channels[self.source][a], channels[self.stage][b]


BOTTLENECKS: tuple[BottleneckPlace, ...] = tuple(
    BottleneckPlace(path, source, stage)
    for stage in STAGES
    for source in range(max(0, stage - 1), stage + 1)
    for path in PATHS
)


def choice_symbols(path: str, stage: int) -> tuple[sp.Symbol, sp.Symbol]:
    """Return two symbols, one of them 1 and the other 0: the path is plain, or it is a bottleneck."""
    return _symbol(f"plain_{path}{stage + 1}"), _symbol(f"pwise_{path}{stage + 1}")


@dataclass(frozen=True)
class SymbolicDesign:
    """A design whose channels and widths are symbols.

    `branches` says which branches of a stage have channels: "HL", "H" or "L". Without `paths`, the choice of
    bottlenecks is symbolic too: each path is recorded both ways, each weighted by a symbol that is 0 or 1.
    """

    width: Size
    branches: tuple[str, str, str]
    paths: tuple[frozenset[str], ...] | None = None
    width_rule: str = "out"
    between: str = "none"
    is_plain: bool = False  # all alphas are 0, and HH is never compressed

    def split(self, stage: int) -> Pair:
        """Return the (high, low) channels of a stage; a single branch has them all."""
        branches = self.branches[stage]
        if branches == "HL":
            return CHANNELS[stage]
        everything = self.width * 2**stage
        return (everything, 0) if branches == "H" else (0, everything)

    def channels(self) -> tuple[Pair, ...]:
        """Return the (high, low) channels of each stage."""
        return tuple(self.split(stage) for stage in STAGES)

    def convolve(self, source: int, stage: int) -> PathConvolution:
        """Return the recorder of a path between two stages: as `paths` says, or both ways."""

        def width(request: PathRequest) -> sp.Symbol:
            return BottleneckPlace(request.path, source, stage).width(self.width_rule)

        if self.paths is None:
            return _both_ways(stage, compressing(width, self.between))
        chosen = self.paths[stage]
        return compressing(lambda request: width(request) if request.path in chosen else None, self.between)


def _both_ways(stage: int, bottleneck: PathConvolution) -> PathConvolution:
    """Return the recorder of a path both plain and as a bottleneck, each weighted by its symbol."""

    def convolve(rec: Recorder, request: PathRequest) -> FeatureMap:
        is_plain, is_bottleneck = choice_symbols(request.path, stage)
        _weighted(rec, is_plain, partial(plain_path, rec, request))
        return _weighted(rec, is_bottleneck, partial(bottleneck, rec, request))

    return convolve


def _weighted(rec: Recorder, weight: sp.Symbol, record: Callable[[], FeatureMap]) -> FeatureMap:
    start = len(rec.operators)
    y = record()
    rec.operators[start:] = [replace(op, cost=op.cost * weight) for op in rec.operators[start:]]
    return y


def network_cost(
    backbone: Backbone, design: Design, n: Size, *, stage: int | None = None, batch: Size = 1
) -> Cost:
    """Return the cost of a network with n blocks per stage (a number, or a symbol for any n >= 2), or of the
    blocks of one stage; the backbone's own n is ignored.

    >>> from costmodel.networks.resnet import resnet
    >>> net = resnet(1202)
    >>> network_cost(net.backbone, net, 200).macs == sum(op.cost.macs for op in net.operators())
    True
    """
    costs = costs_of(network_operators(backbone, design, n, batch=batch), stage)
    return Cost(*(sum_of(costs, name) for name in QUANTITIES))


def network_operators(backbone: Backbone, design: Design, n: Size, *, batch: Size = 1) -> list[Operator]:
    """Return the operators of a network with n blocks per stage; alike ones of inner blocks stand once."""
    operators = record_resnet(replace(backbone, n=1 if n == 1 else 3), design, batch)
    return operators if n == 1 else fold(operators, n - 2)


def costs_of(operators: Iterable[Operator], stage: int | None) -> list[Cost]:
    """Return the costs of operators, or of those of one stage. Raises ValueError if there is none such."""
    if stage is not None:
        check_stage(stage)
    return [op.cost for op in operators if stage is None or op.place.stage == stage]


def check_stage(stage: int) -> None:
    """Raise ValueError if there is no such stage."""
    if stage not in STAGES:
        raise ValueError(f"stage must be one of {', '.join(map(str, STAGES))}, got {stage}")


def sum_of(costs: Iterable[Cost], quantity: str) -> Size:
    """Return the sum of a quantity over costs."""
    # One sympy sum of all terms: adding them one by one takes quadratic time.
    values = [getattr(cost, quantity) for cost in costs]
    formulas = [value for value in values if not isinstance(value, int)]
    numbers = sum(value for value in values if isinstance(value, int))
    return sp.Add(numbers, *formulas) if formulas else numbers


def closed_form(
    paths: Iterable[str] | Sequence[Iterable[str]] = (),
    *,
    form: str = "channels",
    branches: str | Sequence[str] = "HL",
    width: Size = 16,
    width_rule: str = "out",
    stride_rule: str = "C",
    between: str = "none",
    shortcut: str = "B",
    classes: Size = 10,
    in_channels: Size = 3,
    size: Size | Iterable[Size] = 32,
    batch: Size = 1,
    stage: int | None = None,
) -> Cost:
    """Return the cost of a CIFAR ResNet, or of one of its stages, as a formula for every n >= 2.

    `paths` are bottlenecks. The form "channels" has the symbols n, c_H1, c_L1, ... and m; "floors" has n,
    alpha and beta with the rounding rule; "whole" is the same without floors, correct where every c_L and m
    is an integer. `branches` says which branches have channels: "HL" for 0 < alpha < 1, "H" for alpha = 0,
    "L" for alpha = 1; one value, or one per stage. Width, classes, channels, batch, and sizes that are
    multiples of 8 may be symbols. With the shortcut "A", a formula holds where no branch loses channels from
    stage to stage; all stages must have the same branches. Raises ValueError if a form, path, rule or branch
    is unknown.

    >>> str(closed_form(form="whole", branches="H").params)
    '97216*n - 19366'
    """
    check_choice("form", form, FORMS)
    check_choice("between", between, BETWEEN)
    check_choice("width rule", width_rule, WIDTH_RULES)
    first, second, third = per_stage(branches if isinstance(branches, str) else tuple(branches), "branches")
    for value in (first, second, third):
        check_choice("branches", value, BRANCHES)
    if shortcut == "A" and len({first, second, third}) > 1:
        raise ValueError(f"shortcut A needs stages with the same branches, got {first}, {second}, {third}")
    bottlenecks = tuple(paths_per_stage(paths))
    is_plain = (first, second, third) == ("H",) * 3 and not any("HH" in paths for paths in bottlenecks)
    design = SymbolicDesign(width, (first, second, third), bottlenecks, width_rule, between, is_plain)
    recorded, sizes = _divisible_by_8(pair(size))
    backbone = Backbone(3, width, classes, in_channels, recorded, stride_rule, shortcut)
    cost = network_cost(backbone, design, n, stage=stage, batch=batch)
    values = sizes
    if form != "channels":
        splits = _splits(design, form)
        values |= splits | {m: sp.sympify(w).xreplace(splits) for m, w in _widths(design, form).items()}
    return cost.map(lambda value: expanded(sp.sympify(value).xreplace(values)))


def _divisible_by_8(size: Pair) -> tuple[Pair, dict[sp.Symbol, Size]]:
    # Three halvings of 8 h' need no rounding; h' = h / 8 is substituted into the finished formula.
    eighths = {value: _symbol(f"{value}_8") for value in size if isinstance(value, sp.Expr)}
    high, wide = (8 * eighths[value] if value in eighths else value for value in size)
    return (high, wide), {eighth: value / 8 for value, eighth in eighths.items()}


def _widths(design: SymbolicDesign, form: str) -> dict[sp.Symbol, Size]:
    rule = hidden if form == "floors" else unrounded_hidden
    return {
        place.width(design.width_rule): rule(*place.ends(design.channels()), beta, design.width_rule)
        for place in BOTTLENECKS
        if 0 not in place.ends(design.channels())
    }


def _splits(design: SymbolicDesign, form: str) -> dict[sp.Symbol, Size]:
    values: dict[sp.Symbol, Size] = {}
    for stage, symbols in enumerate(CHANNELS):
        everything = design.width * 2**stage
        high, low = split(everything, alpha)
        whole = (1 - alpha) * everything, alpha * everything
        values.update(zip(symbols, (high, low) if form == "floors" else whole, strict=True))
    return values
