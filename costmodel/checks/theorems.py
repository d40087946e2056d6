"""What is proved of single operators, as torch's own modules run them.

An image size is P q + r: sizes after strides and poolings are then polynomials in q. Residues r run from 0 to
P - 1 along both axes; a claim says whether in all pairs, or each with a different one along the second axis.
What torch treats specially (a single channel, no padding, dilation 1, a map of one row) has its own cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, combinations, product
from typing import Any

import sympy as sp
from torch import Tensor, nn

from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.proof.quotients import size
from costmodel.checks.prove import Case, Claim, Sizes
from costmodel.convention import Cost
from costmodel.operators.depthwise import depthwise, separable
from costmodel.operators.layer import Layer
from costmodel.operators.pointwise import linear
from costmodel.operators.recorder import Operator, Part
from costmodel.operators.registry import layer_cost
from costmodel.operators.standard import convolution
from costmodel.sizes import Pair, Size

n, h, w = map(size, "nhw")
c_in, c_out, p, q, d, g, t, s, k, i, j = map(size, ("c_in", "c_out", *"pqdgtskij"))

# Instances cover residue 0 and others modulo 2, 3, 4, 5, 7, 8, 11 and 16: 240 = 3 * 5 * 16, 77 = 7 * 11, 241
# is prime.
INSTANCES = (240, 77, 241, 58)
SAMPLES = (19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71)  # distinct, and without small divisors


def residue_sizes(period: int, *, pairs: bool) -> list[Pair]:
    """Return image sizes P h + r, P w + s that cover every residue along both axes."""
    residues = range(period)
    chosen = product(residues, residues) if pairs else ((r, (r + 1) % period) for r in residues)
    return [(period * h + r, period * w + s) for r, s in chosen]


def spread(symbols: Sequence[sp.Symbol], values: Sequence[int] = INSTANCES) -> list[dict[sp.Symbol, int]]:
    """Return one set of numbers per value, such that every symbol takes every value in turn."""
    return [
        {symbol: values[(i + turn) % len(values)] for i, symbol in enumerate(symbols)}
        for turn in range(len(values))
    ]


class Named(nn.Module):
    """A module under a name that counts and formulas share."""

    def __init__(self, op: nn.Module) -> None:
        super().__init__()
        self.op = op

    def forward(self, x: Tensor) -> Tensor:
        """Run it."""
        return self.op(x)  # type: ignore[no-any-return]


def operator_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claims about single operators."""
    for name, (symbols, small, build) in _OPERATORS.items():
        yield Claim(name, partial(_small_cases, symbols, small, build, every=every))
    for stride in (2, 3):
        yield Claim(
            f"standard convolution, stride {stride}, any odd kernel and dilation",
            partial(_strided, stride, every),
        )


# An operator for sizes that are symbols or small numbers: its module, formulas and input.
Build = Callable[[Mapping[sp.Symbol, Size]], tuple[Callable[[Sizes], nn.Module], Any, tuple[Size, ...]]]


def _small_cases(
    symbols: Mapping[sp.Symbol, int], small: Mapping[sp.Symbol, int], build: Build, *, every: bool
) -> Iterator[Case]:
    """Yield the case for all sizes, and one for each set of sizes at their minimum.

    Without `every`, these sets are the single sizes, and all sizes together.
    """
    sets = list(chain.from_iterable(combinations(small, count) for count in range(len(small) + 1)))
    for chosen in sets if every else [one for one in sets if len(one) in (0, 1, len(small))]:
        yield one_case(symbols, {symbol: small[symbol] for symbol in chosen}, build)


def one_case(symbols: Mapping[sp.Symbol, int], fixed: Mapping[sp.Symbol, int], build: Build) -> Case:
    """Return the case for all values of the symbols that are not fixed."""
    free = [symbol for symbol in symbols if symbol not in fixed]
    make, formulas, shape = build({**{symbol: symbol for symbol in symbols}, **fixed})
    domain = SizeDomain({symbol: symbols[symbol] for symbol in free})
    text = ", ".join(f"{symbol} = {value}" for symbol, value in fixed.items())
    sample = dict(zip(free, SAMPLES, strict=False))
    inputs = [tuple(sp.sympify(extent) for extent in shape)]
    return Case(text, domain, make, formulas, inputs, sample, spread(free))


def operators_of(*parts: tuple[str, Part, Cost]) -> list[Operator]:
    """Return operators by name, part and cost, which save nothing."""
    return [Operator(*part) for part in parts]


def _standard(z: Mapping[sp.Symbol, Size]) -> Any:
    kernel = 2 * z[p] + 1, 2 * z[q] + 1

    def make(v: Sizes) -> nn.Module:
        padding = v(z[d]) * v(z[p]), v(z[d]) * v(z[q])
        k_h, k_w = map(v, kernel)
        return Named(nn.Conv2d(v(z[c_in]), v(z[c_out]), (k_h, k_w), padding=padding, dilation=v(z[d])))

    def formulas(v: Sizes) -> list[Operator]:
        k_h, k_w = map(v, kernel)
        layer = Layer(
            v(z[c_in]),
            v(z[c_out]),
            (v(z[h]), v(z[w])),
            (k_h, k_w),
            dilation=v(z[d]),
            bias=True,
            batch=v(z[n]),
        )
        return operators_of(("op", "conv", layer_cost("standard", layer)))

    return make, formulas, (z[n], z[c_in], z[h], z[w])


def _any_stride(z: Mapping[sp.Symbol, Size]) -> Any:
    # Every image that leaves at least two rows and columns: h + 1 and w + 1, plus what padding adds.
    reach = z[d] * (z[k] - 1) + 1
    image = reach + z[s] * z[h] + z[i], reach + z[s] * z[w] + z[j]

    def make(v: Sizes) -> nn.Module:
        return Named(nn.Conv2d(v(z[c_in]), v(z[c_out]), v(z[k]), v(z[s]), v(z[p]), v(z[d]), bias=False))

    def formulas(v: Sizes) -> list[Operator]:
        options = {"stride": v(z[s]), "padding": v(z[p]), "dilation": v(z[d]), "batch": v(z[n])}
        cost = convolution(v(z[c_in]), v(z[c_out]), v(z[k]), (v(image[0]), v(image[1])), **options)
        return operators_of(("op", "conv", cost))

    return make, formulas, (z[n], z[c_in], *image)


def _grouped(z: Mapping[sp.Symbol, Size]) -> Any:
    kernel, channels = (2 * z[p] + 1, 2 * z[q] + 1), (z[g] * z[c_in], z[g] * z[c_out])

    def make(v: Sizes) -> nn.Module:
        (k_h, k_w), (a, b) = map(v, kernel), map(v, channels)
        return Named(nn.Conv2d(a, b, (k_h, k_w), padding=(v(z[p]), v(z[q])), groups=v(z[g]), bias=False))

    def formulas(v: Sizes) -> list[Operator]:
        (k_h, k_w), (a, b) = map(v, kernel), map(v, channels)
        layer = Layer(a, b, (v(z[h]), v(z[w])), (k_h, k_w), groups=v(z[g]), batch=v(z[n]))
        return operators_of(("op", "conv", layer_cost("standard", layer)))

    return make, formulas, (z[n], channels[0], z[h], z[w])


def _depthwise(z: Mapping[sp.Symbol, Size]) -> Any:
    kernel = 2 * z[p] + 1, 2 * z[q] + 1

    def make(v: Sizes) -> nn.Module:
        k_h, k_w = map(v, kernel)
        c, padding = v(z[c_in]), (v(z[p]), v(z[q]))
        return Named(nn.Conv2d(c, v(z[t] * z[c_in]), (k_h, k_w), padding=padding, groups=c, bias=False))

    def formulas(v: Sizes) -> list[Operator]:
        k_h, k_w = map(v, kernel)
        layer = Layer(v(z[c_in]), v(z[t] * z[c_in]), (v(z[h]), v(z[w])), (k_h, k_w), batch=v(z[n]))
        return operators_of(("op", "conv", layer_cost("depthwise", layer)))

    return make, formulas, (z[n], z[c_in], z[h], z[w])


def _pointwise(z: Mapping[sp.Symbol, Size]) -> Any:
    def make(v: Sizes) -> nn.Module:
        return Named(nn.Conv2d(v(z[c_in]), v(z[c_out]), 1, bias=False))

    def formulas(v: Sizes) -> list[Operator]:
        layer = Layer(v(z[c_in]), v(z[c_out]), (v(z[h]), v(z[w])), batch=v(z[n]))
        return operators_of(("op", "conv", layer_cost("pointwise", layer)))

    return make, formulas, (z[n], z[c_in], z[h], z[w])


def _separable(z: Mapping[sp.Symbol, Size]) -> Any:
    kernel = 2 * z[p] + 1, 2 * z[q] + 1

    def make(v: Sizes) -> nn.Module:
        (k_h, k_w), c, padding = map(v, kernel), v(z[c_in]), (v(z[p]), v(z[q]))
        first = nn.Conv2d(c, c, (k_h, k_w), padding=padding, groups=c, bias=False)
        return nn.Sequential(first, nn.Conv2d(c, v(z[c_out]), 1, bias=False))

    def formulas(v: Sizes) -> list[Operator]:
        (k_h, k_w), image, batch = map(v, kernel), (v(z[h]), v(z[w])), v(z[n])
        first = depthwise(v(z[c_in]), (k_h, k_w), image, batch=batch)
        both = separable(v(z[c_in]), v(z[c_out]), (k_h, k_w), image, batch=batch)
        return operators_of(("0", "conv", first), ("1", "conv", both - first))

    return make, formulas, (z[n], z[c_in], z[h], z[w])


def _linear(z: Mapping[sp.Symbol, Size]) -> Any:
    def make(v: Sizes) -> nn.Module:
        return Named(nn.Linear(v(z[c_in]), v(z[c_out])))

    def formulas(v: Sizes) -> list[Operator]:
        return operators_of(("op", "linear", linear(v(z[c_in]), v(z[c_out]), batch=v(z[n]))))

    return make, formulas, (z[n], z[c_in])


PLACES = {n: 2, h: 2, w: 2}
ONES = {n: 1, h: 1, w: 1}
CHANNELS = {c_in: 2, c_out: 2}
KERNEL = {p: 1, q: 1}
_POINT = {p: 0, q: 0}
# By name: the least value of each symbol, and the values below it, which are covered one by one.
_OPERATORS: Mapping[str, tuple[Mapping[sp.Symbol, int], Mapping[sp.Symbol, int], Build]] = {
    "standard convolution, odd kernel 2p+1 x 2q+1, dilation d": (
        {**PLACES, **CHANNELS, **KERNEL, d: 2},
        {**ONES, c_in: 1, c_out: 1, **_POINT, d: 1},
        _standard,
    ),
    "standard convolution, any kernel, stride and padding, image d(k-1)+1+sh+i x d(k-1)+1+sw+j": (
        {n: 2, h: 1, w: 1, i: 0, j: 0, **CHANNELS, k: 2, s: 2, p: 1, d: 2},
        {n: 1, c_in: 1, c_out: 1, k: 1, s: 1, p: 0, d: 1},
        _any_stride,
    ),
    "grouped convolution, g groups": (
        {**PLACES, **CHANNELS, **KERNEL, g: 2},
        {**ONES, c_in: 1, c_out: 1, **_POINT, g: 1},
        _grouped,
    ),
    "depthwise convolution, multiplier t": (
        {**PLACES, c_in: 2, **KERNEL, t: 2},
        {**ONES, c_in: 1, **_POINT, t: 1},
        _depthwise,
    ),
    "pointwise convolution": ({**PLACES, **CHANNELS}, {**ONES, c_in: 1, c_out: 1}, _pointwise),
    "separable convolution": (
        {**PLACES, **CHANNELS, **KERNEL},
        {**ONES, c_in: 1, c_out: 1, **_POINT},
        _separable,
    ),
    "linear layer": ({n: 2, **CHANNELS}, {n: 1, c_in: 1, c_out: 1}, _linear),
}


def _strided(stride: int, pairs: bool) -> Iterator[Case]:
    symbols = {n: 1, h: 1, w: 1, c_in: 2, c_out: 2, p: 1, d: 2}
    for image in residue_sizes(stride, pairs=pairs):
        yield one_case(symbols, {}, partial(_strided_build, stride, image))
    yield one_case(symbols, {d: 1}, partial(_strided_build, stride, residue_sizes(stride, pairs=False)[0]))


def _strided_build(stride: int, image: Pair, z: Mapping[sp.Symbol, Size]) -> Any:
    kernel = 2 * z[p] + 1

    def make(v: Sizes) -> nn.Module:
        options = {"padding": v(z[d]) * v(z[p]), "dilation": v(z[d]), "bias": False}
        return Named(nn.Conv2d(v(z[c_in]), v(z[c_out]), v(kernel), stride, **options))

    def formulas(v: Sizes) -> list[Operator]:
        sides = v(kernel), v(kernel)
        layer = Layer(
            v(z[c_in]),
            v(z[c_out]),
            (v(image[0]), v(image[1])),
            sides,
            stride,
            dilation=v(z[d]),
            batch=v(z[n]),
        )
        return operators_of(("op", "conv", layer_cost("standard", layer)))

    return make, formulas, (z[n], z[c_in], *image)
