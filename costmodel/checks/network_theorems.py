"""What is proved of whole networks: every layer, for all widths, alphas, betas and image sizes of the domain.

Both sides get the same options: the formulas are those of `costmodel.networks.resnet.resnet`, which the
calculator prints; the code is `pwoct.resnet.resnet`. This covers all named depths: a stage of b blocks has a
first one, a last one, and b - 2 identical ones in between; `depth_theorems` checks on the built modules that
they are identical.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise, product
from typing import Any
from unittest.mock import patch

import sympy as sp
from torch import nn

from costmodel.checks.octave_case import NARROW
from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.proof.quotients import size
from costmodel.checks.prove import Case, Claim, Sizes
from costmodel.checks.theorems import h, n, residue_sizes, w
from costmodel.networks.resnet import resnet as formulas
from costmodel.networks.stages import STAGES
from costmodel.operators.octave import PATHS
from costmodel.operators.pwise_octave import BETWEEN
from costmodel.operators.recorder import Operator
from costmodel.sizes import Pair, Size
from pwoct import resnet as code

WIDTH, IN_CHANNELS, CLASSES = size("c"), size("c_image"), size("classes")
LOW = [size(f"c_L{stage + 1}") for stage in STAGES]
HIGH = [size(f"c_H{stage + 1}") for stage in STAGES]  # the other part of the width
ALPHA = [(size(f"p_alpha{stage + 1}"), size(f"q_alpha{stage + 1}")) for stage in STAGES]
BETA = [(size(f"p_beta{stage + 1}"), size(f"q_beta{stage + 1}")) for stage in STAGES]
PERIOD = 8  # of image sizes: two strides, and the low branch

TRIALS: Sequence[dict[sp.Symbol, int]] = (
    {WIDTH: 90, IN_CHANNELS: 5, CLASSES: 11, n: 6, h: 3, w: 4},
    {WIDTH: 240, IN_CHANNELS: 3, CLASSES: 10, n: 7, h: 4, w: 11},
    {WIDTH: 77, IN_CHANNELS: 4, CLASSES: 16, n: 8, h: 5, w: 2},
)
RATIOS = (("2/9", "1/3", "3/7"), ("1/4", "3/8", "5/8"), ("3/7", "1/5", "2/11"))  # alphas of each stage
DIVISORS = ("7/2", "3", "4")  # betas


@dataclass(frozen=True)
class ClaimedNetwork:
    """A network of a claim; an entry of `alphas` is "" for any alpha, or the alpha of that stage."""

    paths: tuple[tuple[str, ...], ...] = ((), (), ())
    alphas: tuple[str, ...] = ("", "", "")
    rule: str = "C"
    between: str = "none"
    width_rule: str = "out"
    shortcut: str = "B"

    def options(self, v: Sizes) -> dict[str, Any]:
        """Return the options that both sides get."""
        return {
            "alpha": [Fraction(self.alphas[s] or Fraction(*map(v, ALPHA[s]))) for s in STAGES],
            "beta": [Fraction(*map(v, BETA[s])) if self.paths[s] else Fraction(2) for s in STAGES],
            "paths": [list(paths) for paths in self.paths],
            "width_rule": self.width_rule,
            "stride_rule": self.rule,
            "between": self.between,
            "shortcut": self.shortcut,
            "width": v(WIDTH),
            "classes": v(CLASSES),
            "in_channels": v(IN_CHANNELS),
        }

    def make(self, blocks: int, v: Sizes) -> nn.Module:
        """Return the network, without drawing its initial weights."""
        with patch.object(code, "he_normal_", lambda _: None):
            return code.resnet(6 * blocks + 2, **self.options(v))

    def formulas(self, blocks: int, image: Pair, batch: Size, v: Sizes) -> Sequence[Operator]:
        """Return the operators of the formulas."""
        net = formulas(6 * blocks + 2, size=(v(image[0]), v(image[1])), **self.options(v))
        return net.operators(v(batch))

    def split(self, stage: int) -> Pair:
        """Return the (high, low) channels of a stage."""
        everything = WIDTH * 2**stage
        known = {"0": (everything, sp.Integer(0)), "1": (sp.Integer(0), everything)}
        return known.get(self.alphas[stage], (everything - LOW[stage], LOW[stage]))

    def quotients(self) -> dict[sp.Expr, sp.Symbol]:
        """Return the quotients that are rounded to splits and widths, with the symbols of the results."""
        found: dict[sp.Expr, sp.Symbol] = {}
        for stage in STAGES:
            above, below = ALPHA[stage]
            if not self.alphas[stage]:
                found[sp.expand(WIDTH * 2**stage * above / below)] = LOW[stage]
            for source, path in product((stage - 1, stage), self.paths[stage]):
                if source < 0:
                    continue
                ends = self.split(source)["HL".index(path[0])], self.split(stage)["HL".index(path[1])]
                if 0 in ends:
                    continue
                chosen = {"out": ends[1], "in": ends[0], "mean": (ends[0] + ends[1]) / 2}[self.width_rule]
                quotient = sp.expand(chosen * BETA[stage][1] / BETA[stage][0])
                found.setdefault(quotient, size(f"m_{path}{source + 1}{stage + 1}"))
        return found

    def domain(self) -> SizeDomain:
        """Return the domain of a case: the sizes for which it is a proof."""
        used = [x for s in STAGES if not self.alphas[s] for x in ALPHA[s]]
        used += [x for s in STAGES if self.paths[s] for x in BETA[s]]
        least = {**dict.fromkeys((n, h, w, WIDTH, IN_CHANNELS, CLASSES), 2), **dict.fromkeys(used, 1)}
        facts: list[sp.Expr] = []
        worlds: list[Mapping[sp.Symbol, sp.Expr]] = []
        for s in STAGES:
            if not self.alphas[s]:
                facts += [ALPHA[s][1] - ALPHA[s][0], self.split(s)[0] - NARROW]
                worlds.append({WIDTH: (HIGH[s] + LOW[s]) / 2**s})
                least[HIGH[s]] = NARROW
            if self.paths[s]:
                facts += [BETA[s][0] - BETA[s][1], WIDTH * 2**s * BETA[s][1] - BETA[s][0]]
        if self.shortcut == "A":  # no branch loses channels
            ends = [(a, b) for pair in pairwise(map(self.split, STAGES)) for a, b in zip(*pair, strict=True)]
            facts += [gain for a, b in ends if (gain := sp.sympify(b - a)).free_symbols & {*LOW}]
        least.update(dict.fromkeys(self.quotients().values(), 2))
        # Strided 1x1 convolutions of fewer channels are another class of module: they are checked at points.
        least.update({x: NARROW for x in (WIDTH, *LOW) if x in least})
        return SizeDomain(least, tuple(facts), tuple(worlds), self.quotients())

    def numbers(self, trial: int) -> dict[sp.Symbol, int]:
        """Return sample (0) or instance."""
        full = dict(TRIALS[trial])
        for s in STAGES:
            alpha, beta = Fraction(RATIOS[trial][s]), Fraction(DIVISORS[trial])
            full.update({ALPHA[s][0]: alpha.numerator, ALPHA[s][1]: alpha.denominator})
            full.update({BETA[s][0]: beta.numerator, BETA[s][1]: beta.denominator})
        for quotient, named in self.quotients().items():
            full[named] = int(sp.floor(quotient.subs(full)))
        full.update({HIGH[s]: full[WIDTH] * 2**s - full.get(LOW[s], 0) for s in STAGES})
        return full

    def case(self, blocks: int, image: Pair, instances: int = 1, batch: Size = n) -> Case:
        """Return the run of a network of 6 `blocks` + 2 layers on a batch of images of a size."""
        sides = [sp.sympify(side) for side in image]
        domain = self.domain()
        unused = {n, h, w} - set().union(*(size.free_symbols for size in (*sides, sp.sympify(batch))))
        least = {symbol: least for symbol, least in domain.least.items() if symbol not in unused}
        domain = SizeDomain(least, domain.facts, domain.worlds, domain.rounded)
        return Case(
            f"resnet{6 * blocks + 2}, image {image[0]} x {image[1]}",
            domain,
            partial(self.make, blocks),
            partial(self.formulas, blocks, image, batch),
            [(batch, IN_CHANNELS, *sides)],
            self.numbers(0),
            [self.numbers(trial) for trial in range(1, 1 + instances)],
            work=all(side > 16 for side in sides if side.is_Integer),
        )


PLAIN = ClaimedNetwork(alphas=("0", "0", "0"))
OCT = ClaimedNetwork()
PWISE = ClaimedNetwork((PATHS,) * 3)
MIXED = ClaimedNetwork((("LH",), PATHS, ("HL", "LL")))
ALL_LOW = ClaimedNetwork(alphas=("1", "1", "1"))  # no high map tells the size of the high output
EVEN = (PERIOD * h, PERIOD * w)


def network_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claims about networks; `every` adds depths, residues, rules and patterns of branches."""
    for name, network in {"plain": PLAIN, "Oct": OCT, "PwiseOct, all paths": PWISE}.items():
        blocks = (1, 2, 3, 4) if every else _BLOCKS[name]
        yield Claim(f"ResNet {name}, image 8h x 8w", partial(_depths, network, blocks))
    yield Claim("ResNet-8 PwiseOct, other paths in each stage", partial(_depths, MIXED, (1,)))
    yield Claim("ResNet-8, image 8h+r x 8w+s", partial(_odd, every))
    yield Claim("ResNet-8, images of less than 8", partial(_small, every))
    yield Claim("ResNet-8 Oct, batch 1, image 8h x 8w", lambda: iter([OCT.case(1, EVEN, batch=1)]))
    yield Claim("ResNet, shortcut A, image 8h x 8w", partial(_padded, every))
    yield Claim("ResNet-8, alpha 0 or 1 in single stages", partial(_patterns, every))
    if every:
        yield from _more_claims()


_BLOCKS = {"plain": (1, 2, 3), "Oct": (2,), "PwiseOct, all paths": (2,)}


def _more_claims() -> Iterator[Claim]:
    for rule in "AB":
        network = ClaimedNetwork((PATHS,) * 3, rule=rule)
        yield Claim(f"ResNet-8 PwiseOct, rule {rule}", partial(_depths, network, (1,)))
    for between in BETWEEN[1:]:
        network = ClaimedNetwork((PATHS,) * 3, between=between)
        yield Claim(f"ResNet-8 PwiseOct, between {between}", partial(_depths, network, (1,)))
    for width_rule in ("in", "mean"):
        network = ClaimedNetwork((PATHS,) * 3, width_rule=width_rule)
        yield Claim(f"ResNet-8 PwiseOct, width rule {width_rule}", partial(_depths, network, (1,)))
    for path in PATHS:
        yield Claim(f"ResNet-8 PwiseOct {path}", partial(_depths, ClaimedNetwork(((path,),) * 3), (1,)))


def _depths(network: ClaimedNetwork, blocks: Sequence[int]) -> Iterator[Case]:
    for count in blocks:
        yield network.case(count, EVEN, instances=2 if count == blocks[0] else 1)


def _odd(every: bool) -> Iterator[Case]:
    for network in (PLAIN, OCT, PWISE) if every else (OCT,):
        sizes = residue_sizes(PERIOD, pairs=False)
        for image in sizes if every else sizes[1:2]:
            yield network.case(1, image)
    yield ALL_LOW.case(1, (PERIOD * h + 5, PERIOD * w + 2))


def _small(every: bool) -> Iterator[Case]:
    for side in range(1, 8) if every else (3, 5):
        yield OCT.case(1, (side, (2 * side) % 7 + 1))


def _padded(every: bool) -> Iterator[Case]:
    yield ClaimedNetwork(alphas=("0", "0", "0"), shortcut="A").case(1, EVEN)
    if every:
        yield ClaimedNetwork(shortcut="A").case(2, EVEN)


def _patterns(every: bool) -> Iterator[Case]:
    some = (("", "0", "1"), ("1", "", "0"), ("0", "1", ""))
    patterns = [p for p in product(("", "0", "1"), repeat=3) if p not in (("",) * 3, ("0",) * 3)]
    for alphas in patterns if every else some:
        yield ClaimedNetwork((PATHS,) * 3, alphas=alphas).case(1, EVEN)
