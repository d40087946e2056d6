"""What is proved of octave layers: each path alone, every set of bottlenecks, every pattern of branches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import chain, combinations, product
from typing import Any

import sympy as sp
from torch import Tensor, nn

from costmodel.checks.prove import Case, Claim
from costmodel.checks.symbolic import Dimensions, size
from costmodel.checks.theorems import IMAGE, n, residue_sizes
from costmodel.operators.octave import PATHS, OctaveLayer, octave_map
from costmodel.operators.pwise_octave import BETWEEN, record_pwise_octave
from costmodel.operators.recorder import Recorder
from costmodel.sizes import Pair, Size, exact_div
from pwoct.branches import Octave
from pwoct.pwise_octave import PwiseOctConv

SUBSETS = tuple(chain.from_iterable(combinations(PATHS, count) for count in range(len(PATHS) + 1)))
STRIDES = (("C", 1), ("C", 2), ("B", 2), ("A", 2))  # at stride 1 all rules are one

# Channels of the branches, and the widths of the bottlenecks.
HIGH_IN, LOW_IN, HIGH_OUT, LOW_OUT = map(size, ("c_H", "c_L", "f_H", "f_L"))
WIDTHS = {path: size(f"m_{path}") for path in PATHS}
BETA = 3
NUMBERS = (
    {HIGH_IN: 101, LOW_IN: 137, HIGH_OUT: 211, LOW_OUT: 307},
    {HIGH_IN: 61, LOW_IN: 89, HIGH_OUT: 113, LOW_OUT: 173},
)


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
    """An octave layer of a claim: which branches exist, which paths are bottlenecks, how it is strided."""

    ends: tuple[str, str] = ("HL", "HL")  # branches of the input and of the output
    compressed: tuple[str, ...] = ()
    rule: str = "C"
    stride: int = 1
    kernel: Pair = (3, 3)
    options: Mapping[str, Any] = field(default_factory=dict)
    symbols: tuple[Size, Size, Size, Size] = (HIGH_IN, LOW_IN, HIGH_OUT, LOW_OUT)
    between: str = "none"  # the convolutions of a bottleneck

    @property
    def period(self) -> int:
        """The period after which image sizes behave alike: 2 for the low branch, times the stride."""
        return 2 * self.stride

    def channels(self) -> tuple[Pair, Pair]:
        """Return the channels of input and output in symbols; 0 where a branch does not exist."""
        high_in, low_in, high_out, low_out = self.symbols
        return _pick((high_in, low_in), self.ends[0]), _pick((high_out, low_out), self.ends[1])

    def case(self, image: Pair) -> Case:
        """Return the run on an image size."""
        one, two = self.channels()
        formula = OctaveLayer(
            one, two, self.kernel, stride=self.stride, stride_rule=self.rule, **self.options
        )
        rec, x = Recorder(n), octave_map(one, image)
        widths: dict[str, Size] = {path: WIDTHS[path] for path in self.compressed}
        record_pwise_octave(rec, "conv", x, formula, widths, self.between)
        inputs = [(n, branch.channels, *branch.size) for branch in x if branch]
        return Case(self.build, self.dimensions(), inputs, rec.operators, IMAGE)

    def build(self, v: Mapping[sp.Symbol, int]) -> nn.Module:
        """Return the module with numbers for channels."""
        (a, b), (c, d) = ([int(sp.sympify(x).subs(v)) for x in pair] for pair in self.channels())
        layer = PwiseOctConv(
            a + b,
            c + d,
            self.kernel,
            alpha_in=Fraction(b, a + b),
            alpha_out=Fraction(d, c + d),
            paths=self.compressed,
            beta=BETA,
            width_rule="mean",  # gives every path a width of its own
            between=self.between,
            stride=self.stride,
            stride_rule=self.rule,
            **self.options,
        )
        return OctaveNet(layer, self.ends[0])

    def dimensions(self) -> Dimensions:
        """Return the sizes that parameters may have."""
        one, two = self.channels()
        groups = self.options.get("groups", 1)
        inside = [exact_div(x, groups) for x in one if x != 0]  # of a kernel
        sizes = [x for x in (*one, *two) if x != 0] + [WIDTHS[path] for path in self.compressed]
        return Dimensions(tuple(dict.fromkeys(inside + sizes)), tuple({**v, **_widths(v)} for v in NUMBERS))


def _pick(channels: Pair, branches: str) -> Pair:
    high, low = (x if branch in branches else 0 for branch, x in zip("HL", channels, strict=True))
    return high, low


def _widths(v: Mapping[sp.Symbol, int]) -> dict[sp.Symbol, int]:
    ends = {"H": (HIGH_IN, HIGH_OUT), "L": (LOW_IN, LOW_OUT)}
    return {WIDTHS[path]: (v[ends[path[0]][0]] + v[ends[path[1]][1]]) // (2 * BETA) for path in PATHS}


def octave_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claims about octave layers; `every` takes all pairs of residues everywhere."""
    for path in PATHS:
        yield _claim(f"path {path}", _strided(ends=(path[0], path[1])), every)
        yield _claim(f"path {path}, bottleneck", _strided(ends=(path[0], path[1]), compressed=(path,)), every)
    for compressed in SUBSETS:
        name = f"PwiseOctConv {','.join(compressed)}" if compressed else "OctConv"
        yield _claim(name, _strided(compressed=compressed), every, short=True)
    for between in BETWEEN[1:]:
        name = f"PwiseOctConv {','.join(PATHS)}, between {between}"
        yield _claim(name, _strided(compressed=PATHS, between=between), every, short=True)
    yield from _branch_claims(every)
    yield from _option_claims(every)


def _strided(**options: Any) -> list[ClaimedLayer]:
    return [ClaimedLayer(rule=rule, stride=stride, **options) for rule, stride in STRIDES]


def _branch_claims(every: bool) -> Iterator[Claim]:
    for ends in (("H", "HL"), ("L", "HL"), ("HL", "H"), ("HL", "L")):
        existing = tuple(path for path in PATHS if path[0] in ends[0] and path[1] in ends[1])
        layers = [ClaimedLayer(ends, compressed, options={"bias": True}) for compressed in ((), existing)]
        text = " to ".join("+".join(end) for end in ends)
        yield _claim(f"from {text}, plain and bottlenecks, with bias", layers, every)


def _option_claims(every: bool) -> Iterator[Claim]:
    yield _claim("OctConv, stride 3, rules B and C", [ClaimedLayer(rule=r, stride=3) for r in "BC"], every)
    kernels = [ClaimedLayer(kernel=(k_h, k_w)) for k_h, k_w in product((1, 3), repeat=2)]
    yield _claim(
        "OctConv, any odd kernel",
        kernels,
        every,
        short=True,
        grid="k_h, k_w in {1, 3}: degree 1 in each, since a weight has k_h k_w taps a channel pair and the "
        "padding keeps the output size",
    )
    grouped = [
        ClaimedLayer(options={"groups": g}, symbols=(g * HIGH_IN, g * LOW_IN, g * HIGH_OUT, g * LOW_OUT))
        for g in (1, 2)
    ]
    yield _claim(
        "OctConv, any number of groups",
        grouped,
        every,
        short=True,
        grid="g in {1, 2}, with channels g c and g f: degree 1, since a weight has g f c k^2 elements",
    )
    depthwise = ClaimedLayer(options={"depthwise": True, "exchange": True}, symbols=(HIGH_IN,) * 4)
    yield _claim("OctConv, depthwise with exchange, all branches alike", [depthwise], every)


def _claim(
    name: str, layers: Sequence[ClaimedLayer], every: bool, *, short: bool = False, grid: str = ""
) -> Claim:
    """Return a claim about layers; a short one meets two pairs of residues, as others meet them all."""
    sizes = [s for layer in layers for s in layer.dimensions().sizes]
    symbols = sorted({str(symbol) for s in sizes for symbol in sp.sympify(s).free_symbols})
    periods = sorted({layer.period for layer in layers})
    images = " or ".join(f"{period}h + r, {period}w + s" for period in periods)
    which = "all pairs r, s" if every else "r, s = 0, 1 and 1, 2" if short else "each r, each s"
    for_all = f"n, {', '.join(symbols)}; image {images} ({which})"
    return Claim(name, for_all, partial(_cases, layers, every, short), grid)


def _cases(layers: Sequence[ClaimedLayer], every: bool, short: bool) -> list[Case]:
    most = 2 if short and not every else None
    return [
        layer.case(image) for layer in layers for image in residue_sizes(layer.period, pairs=every)[:most]
    ]
