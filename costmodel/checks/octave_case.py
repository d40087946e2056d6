"""An octave layer with symbolic sizes, made by both sides: one run of a proof.

Formulas and code get the same alpha and beta, as ratios of sizes that are only known to lie in their range;
each side splits channels and rounds widths by its own code. The theorem writes c_L for floor(alpha c). It
therefore holds for every alpha, beta and number of channels of its domain, whether alpha c is whole or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import combinations
from typing import Any

import sympy as sp
from torch import Tensor, nn

from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.proof.quotients import size
from costmodel.checks.prove import Case, Sizes
from costmodel.checks.theorems import INSTANCES, h, n, w
from costmodel.operators.octave import PATHS, OctaveLayer, octave_map
from costmodel.operators.pwise_octave import record_pwise_octave
from costmodel.operators.recorder import Operator, Recorder
from costmodel.rounding import hidden, split
from costmodel.sizes import Pair, Size
from pwoct.branches import Octave
from pwoct.pwise_octave import PwiseOctConv

# Channels of the branches of input and output, for each of g groups; alpha = p / q, and beta likewise.
C_H, C_L, F_H, F_L, G = map(size, ("c_H", "c_L", "f_H", "f_L", "g"))
ALPHA_IN, ALPHA_OUT, BETA = (
    tuple(map(size, pair)) for pair in (("p_in", "q_in"), ("p_out", "q_out"), ("p_beta", "q_beta"))
)
K_P, K_Q, D = map(size, ("p", "q", "d"))
WIDTHS = {path: size(f"m_{path}") for path in PATHS}
NARROW = 16  # strided 1x1 convolutions of fewer channels are another class of module
CHANNELS: Mapping[sp.Symbol, int] = {C_H: 101, C_L: 137, F_H: 211, F_L: 307}
SHRINKING: Mapping[sp.Symbol, int] = {C_H: 211, C_L: 307, F_H: 101, F_L: 137}


class OctaveNet(nn.Module):
    """An octave layer as the child `conv` of a model that takes tensors: the branches that exist."""

    def __init__(self, conv: nn.Module, branches: str = "HL") -> None:
        super().__init__()
        self.conv, self.branches = conv, branches

    def forward(self, *tensors: Tensor) -> Octave:
        """Run it."""
        named = dict(zip(self.branches, tensors, strict=True))
        return self.conv(Octave(named.get("H"), named.get("L")))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class ClaimedLayer:
    """An octave layer of a claim: which branches exist, which paths are bottlenecks, and its options.

    `kernel` is a pair of sizes, or None for any odd kernel size from 3x3 up; `dilation` likewise, from 2 up.
    """

    ends: tuple[str, str] = ("HL", "HL")  # branches of the input and of the output
    compressed: tuple[str, ...] = ()
    rule: str = "C"
    stride: int = 1
    kernel: Pair | None = (3, 3)
    dilation: Size | None = 1
    groups: Size | None = 1
    bias: bool = False
    depthwise: bool = False
    exchange: bool = False
    between: str = "none"
    width_rule: str = "out"
    alike: bool = False  # all branches have c_H channels
    small: Mapping[sp.Symbol, int] | None = None  # sizes that are fixed to numbers
    widths: int | None = None  # to which all bottlenecks are rounded
    narrow: bool = False  # fewer than 16 input channels in each branch
    shrinking: bool = False  # for width rule "min": input branches have more channels than output branches

    @property
    def period(self) -> int:
        """The period of image sizes after which behaviour repeats: 2 for the low branch, times the stride."""
        return 2 * self.stride

    @property
    def order(self) -> Mapping[sp.Symbol, int]:
        """The channels of the sample; the width rule "min" is proved for channels in the same order."""
        return SHRINKING if self.shrinking else CHANNELS

    @property
    def group(self) -> sp.Expr:
        """The number of groups."""
        return self.at(G if self.groups is None else self.groups)

    def at(self, size: Size) -> sp.Expr:
        """Return a size with the small sizes substituted."""
        return sp.sympify(size).subs(self.small or {})

    def channels(self) -> tuple[Any, Any]:
        """Return the channels of input and output; 0 where a branch does not exist."""
        symbols = (C_H,) * 4 if self.alike else (C_H, C_L, F_H, F_L)
        high_in, low_in, high_out, low_out = (self.group * self.at(symbol) for symbol in symbols)
        return _pick((high_in, low_in), self.ends[0]), _pick((high_out, low_out), self.ends[1])

    def options(self, v: Sizes) -> dict[str, Any]:
        """Return the options that both sides get."""
        (a, b), (c, d) = self.channels()
        k_h, k_w = self.kernel or (2 * K_P + 1, 2 * K_Q + 1)
        return {
            "c_in": v(a + b),
            "c_out": v(c + d),
            "kernel": (v(self.at(k_h)), v(self.at(k_w))),
            "alpha_in": _alpha(v, (a, b), ALPHA_IN),
            "alpha_out": _alpha(v, (c, d), ALPHA_OUT),
            "beta": Fraction(v(BETA[0]), v(BETA[1])) if self.compressed else Fraction(2),
            "dilation": v(self.at(D if self.dilation is None else self.dilation)),
            "groups": v(self.group),
        }

    def make(self, v: Sizes) -> nn.Module:
        """Return the module."""
        options = self.options(v)
        layer = PwiseOctConv(
            options.pop("c_in"),
            options.pop("c_out"),
            options.pop("kernel"),
            **options,
            paths=self.compressed,
            width_rule=self.width_rule,
            between=self.between,
            stride=self.stride,
            stride_rule=self.rule,
            bias=self.bias,
            depthwise=self.depthwise,
            exchange=self.exchange,
        )
        return OctaveNet(layer, self.ends[0])

    def formulas(self, v: Sizes, image: Pair) -> Sequence[Operator]:
        """Return the operators of the formulas."""
        o = self.options(v)
        layer = OctaveLayer(
            split(o["c_in"], o["alpha_in"]),
            split(o["c_out"], o["alpha_out"]),
            o["kernel"],
            self.stride,
            o["dilation"],
            o["groups"],
            self.bias,
            self.rule,
            self.depthwise,
            self.exchange,
        )
        chosen = [path for path in layer.paths if path in self.compressed]
        widths = {path: hidden(*layer.channels(path), o["beta"], self.width_rule) for path in chosen}
        rec = Recorder(v(self.at(n)))
        x = octave_map(layer.c_in, (v(image[0]), v(image[1])))
        record_pwise_octave(rec, "conv", x, layer, widths, self.between)
        return rec.operators

    def case(self, image: Pair) -> Case:
        """Return the run on an image size."""
        image = self.at(image[0]), self.at(image[1])
        one, _ = self.channels()
        low = tuple(_half(side) for side in image)
        inputs = [
            (self.at(n), channels, *sides)
            for channels, sides in zip(one, (image, low), strict=True)
            if channels != 0
        ]
        numbers = [self.completed(numbers) for numbers in self.trials()]
        domain = self.domain(numbers[0])
        shown = set().union(*(side.free_symbols for side in image))
        least = {x: bound for x, bound in domain.least.items() if x not in {h, w} - shown}
        domain = replace(domain, least=least)
        return Case(
            f"image {image[0]} x {image[1]}",
            domain,
            self.make,
            partial(self.formulas, image=image),
            inputs,
            {symbol: numbers[0][symbol] for symbol in domain.least},
            numbers[1:2],
            work=not all(side.is_Integer and side <= self.period for side in image),
        )

    # What the sizes are.

    def symbols(self) -> list[sp.Symbol]:
        """Return the sizes that are free."""
        found = [n, h, w]
        for pair, ratio in zip(self.channels(), (ALPHA_IN, ALPHA_OUT), strict=True):
            found += sorted(sp.Tuple(*pair).free_symbols, key=str) + list(ratio if 0 not in pair else ())
        found += sorted(self.group.free_symbols, key=str) + ([] if self.kernel else [K_P, K_Q])
        found += [D] * (self.dilation is None) + list(BETA if self.compressed else ())
        return [x for x in dict.fromkeys(found) if x not in (self.small or {})]

    def trials(self) -> list[dict[sp.Symbol, int]]:
        """Return the sample and the instances of the free sizes."""
        base = {n: 5, h: 23, w: 37, **self.order, G: 6, K_P: 3, K_Q: 2, D: 4, BETA[0]: 7, BETA[1]: 2}
        found = [base]
        for turn in range(len(INSTANCES)):
            values = {x: INSTANCES[(i + turn) % 4] for i, x in enumerate((n, h, w, C_H, C_L, F_H, F_L))}
            found.append({**base, **values, G: (8, 7, 11, 5)[turn], BETA[0]: 3 + turn, BETA[1]: 1})
        if self.group != 1:  # widths that the groups divide
            found = [{**numbers, BETA[0]: 1, BETA[1]: 1} for numbers in found]
        if self.width_rule == "min":  # an instance in the order of the sample
            ranked = sorted(self.order, key=lambda x: self.order[x])
            others = dict(zip(ranked, (58, 77, 240, 241), strict=True))
            found = [base, *({**numbers, **others} for numbers in found[1:])]
        if self.narrow:
            found = [{**numbers, C_H: 11 + turn, C_L: 13 - turn} for turn, numbers in enumerate(found)]
        return [{**numbers, **(self.small or {})} for numbers in found]

    def completed(self, numbers: dict[sp.Symbol, int]) -> dict[sp.Symbol, int]:
        """Return the numbers, with alphas that give this split of channels, and with the rounded widths."""
        full = dict(numbers)
        for pair, (above, below) in zip(self.channels(), (ALPHA_IN, ALPHA_OUT), strict=True):
            high, low = (int(channels.subs(numbers)) for channels in map(sp.sympify, pair))
            if high and low:
                exact = Fraction(low, high + low)
                full[above], full[below] = exact.numerator, exact.denominator
        if self.widths is not None:
            full[BETA[0]], full[BETA[1]] = self._beta(numbers)
        for path, quotient in self.quotients().items():
            full[WIDTHS[path]] = int(sp.floor(quotient.subs(full))) // int(self.group.subs(full))
        return full

    def _beta(self, numbers: Mapping[sp.Symbol, int]) -> tuple[int, int]:
        """Return a beta equal to all output channels: every width is then rounded to 0 or 1."""
        return int(sp.Add(*self.channels()[1]).subs(numbers)), 1

    def quotients(self) -> dict[str, sp.Expr]:
        """Return the quotient that is rounded to the width of each existing bottleneck."""
        (a, b), (c, d) = self.channels()
        ends = {"HH": (a, c), "HL": (a, d), "LH": (b, c), "LL": (b, d)}
        existing = {path: pair for path, pair in ends.items() if path in self.compressed and 0 not in pair}
        by_rule: Mapping[str, Callable[[sp.Expr, sp.Expr], sp.Expr]] = {
            "out": lambda _, two: two,
            "in": lambda one, _: one,
            "min": lambda one, two: one if bool(one.subs(self.order) < two.subs(self.order)) else two,
            "mean": lambda one, two: (one + two) / 2,
        }
        ratio = BETA[1] / BETA[0]
        chosen = {p: sp.expand(by_rule[self.width_rule](*pair) * ratio) for p, pair in existing.items()}
        return {path: self.at(quotient) for path, quotient in chosen.items()}

    def domain(self, numbers: Mapping[sp.Symbol, int]) -> SizeDomain:
        """Return the domain of the case: the sizes for which it is a proof."""
        ratios = (*ALPHA_IN, *ALPHA_OUT, *BETA, K_P, K_Q)
        least = {x: 1 if x in ratios else 2 for x in self.symbols()}
        facts: list[sp.Expr] = []
        inputs = [x for x in (C_H, C_L) if x in least and self.compressed and self.stride > 1]
        if self.narrow:
            facts += [NARROW - 1 - x for x in inputs]
        else:
            least.update(dict.fromkeys(inputs, NARROW))
        rounded: dict[sp.Expr, sp.Expr] = {}
        for pair, (above, below) in zip(self.channels(), (ALPHA_IN, ALPHA_OUT), strict=True):
            if 0 not in pair:
                rounded[sp.expand(sp.Add(*pair) * above / below)] = pair[1]
                facts.append(below - above)
        if self.compressed:
            facts += [BETA[0] - BETA[1], BETA[1] * sp.Add(*self.channels()[1]) - BETA[0]]
        for path, quotient in self.quotients().items():
            if numbers[WIDTHS[path]] < 2:
                rounded[quotient] = sp.Integer(numbers[WIDTHS[path]])
            elif quotient not in rounded:  # the width of a bottleneck is a multiple of the groups
                rounded[quotient] = self.group * WIDTHS[path]
                least[WIDTHS[path]] = 2
        if self.width_rule == "min":
            facts += _ordered(self.channels(), self.order, least=int(self.shrinking))
        return SizeDomain(least, tuple(facts), rounded=rounded)


def _ordered(channels: tuple[Any, Any], sample: Mapping[sp.Symbol, int], least: int) -> list[sp.Expr]:
    """Return, as facts, the order of channels that the sample has; they differ by at least that many."""
    every = [sp.sympify(x) for pair in channels for x in pair if x != 0]
    ranked = sorted(every, key=lambda x: int(x.subs(sample)))
    return [bigger - smaller - least for smaller, bigger in combinations(ranked, 2)]


def _pick(channels: tuple[sp.Expr, sp.Expr], branches: str) -> tuple[sp.Expr, sp.Expr]:
    high, low = (x if branch in branches else sp.Integer(0) for branch, x in zip("HL", channels, strict=True))
    return high, low


def _half(side: sp.Expr) -> sp.Expr:
    """Return half of P q + r, rounded up, for an even P."""
    return sp.expand((side + side.as_coeff_Add()[0] % 2) / 2)


def _alpha(v: Sizes, pair: Pair, ratio: Sequence[sp.Symbol]) -> Fraction:
    if pair[1] == 0:
        return Fraction(0)
    return Fraction(1) if pair[0] == 0 else Fraction(v(ratio[0]), v(ratio[1]))
