"""What is proved of operators and octave layers: every claim, with the runs that it rests on.

An image size is P q + r: the sizes behind strides and poolings are then polynomials in q. Residues r run from
0 to P - 1 along both axes; a claim says whether in all pairs, or each with another along the second axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any

import sympy as sp
from torch import Tensor, nn

from costmodel.checks.prove import Case, Claim
from costmodel.checks.symbolic import Dimensions, size
from costmodel.convention import Cost
from costmodel.operators.depthwise import depthwise, separable
from costmodel.operators.pointwise import linear, pointwise
from costmodel.operators.recorder import Operator
from costmodel.operators.standard import convolution
from costmodel.sizes import Pair

n, h, w = size("n"), size("h"), size("w")
IMAGE: Mapping[sp.Symbol, int] = {n: 5, h: 23, w: 37}


def residue_sizes(period: int, *, pairs: bool) -> list[Pair]:
    """Return image sizes P h + r, P w + s that meet every residue along both axes."""
    residues = range(period)
    chosen = product(residues, residues) if pairs else ((r, (r + 1) % period) for r in residues)
    return [(period * h + r, period * w + s) for r, s in chosen]


def residue_text(period: int, *, pairs: bool) -> str:
    """Return what `residue_sizes` takes, in words."""
    which = "all pairs r, s" if pairs else "each r, each s"
    return f"image {period}h + r, {period}w + s ({which})"


class Named(nn.Module):
    """A module under a name, so that counts and formulas have one to share."""

    def __init__(self, op: nn.Module) -> None:
        super().__init__()
        self.op = op

    def forward(self, x: Tensor) -> Tensor:
        """Run it."""
        return self.op(x)  # type: ignore[no-any-return]


def operator_claims(*, pairs: bool = False) -> Iterator[Claim]:
    """Yield the claims about single operators, as torch's own modules run them."""
    yield Claim("standard convolution", "n, c_in, c_out, h, w, odd k_h, k_w, dilation", lambda: [_standard()])
    yield Claim(
        "standard convolution, any stride and padding",
        "n, c_in, c_out, h, w > dilation (k - 1), k, stride, padding, dilation",
        lambda: [_any_stride()],
    )
    for stride in (2, 3):
        cases = partial(_strided, stride, pairs)
        domain = f"n, c_in, c_out; {residue_text(stride, pairs=pairs)}"
        yield Claim(f"standard 3x3 convolution, stride {stride}", domain, cases)
    yield Claim("grouped convolution", "n, groups, channels per group, h, w, odd k", lambda: [_grouped()])
    yield Claim("depthwise convolution", "n, channels, multiplier, h, w, odd k", lambda: [_depthwise()])
    yield Claim("pointwise convolution", "n, c_in, c_out, h, w", lambda: [_pointwise()])
    yield Claim("separable convolution", "n, c_in, c_out, h, w, odd k", lambda: [_separable()])
    yield Claim("linear layer", "n, c_in, c_out", lambda: [_linear()])


c_in, c_out, p, q, d, g, t, s = map(size, ("c_in", "c_out", "p", "q", "d", "g", "t", "s"))
K_H, K_W = 2 * p + 1, 2 * q + 1
CHANNELS = ({c_in: 101, c_out: 137}, {c_in: 61, c_out: 89})
KERNELS = ({p: 3, q: 5}, {p: 4, q: 6})
STRIDED = ({size("k"): 7, s: 3, p: 4, d: 6}, {size("k"): 9, s: 4, p: 2, d: 3})
GROUPS = ({g: 19, c_in: 23, c_out: 29}, {g: 17, c_in: 31, c_out: 37})


def _samples(*parts: tuple[Mapping[sp.Symbol, int], Mapping[sp.Symbol, int]]) -> tuple[Any, Any]:
    first: dict[sp.Symbol, int] = {}
    second: dict[sp.Symbol, int] = {}
    for one, two in parts:
        first.update(one)
        second.update(two)
    return first, second


def _one(name: str, part: str, cost: Cost) -> Operator:
    return Operator(name, part, cost)


def _standard() -> Case:
    samples = _samples(CHANNELS, KERNELS, ({d: 3}, {d: 2}))
    return Case(
        lambda v: Named(nn.Conv2d(v[c_in], v[c_out], (2 * v[p] + 1, 2 * v[q] + 1), dilation=v[d])),
        Dimensions((c_in, c_out, K_H, K_W), samples),
        [(n, c_in, h, w)],
        [_one("op", "conv", convolution(c_in, c_out, (K_H, K_W), (h, w), dilation=d, bias=True, batch=n))],
        IMAGE,
        {"op.padding": (d * p, d * q), "op.dilation": (d, d)},
    )


def _any_stride() -> Case:
    k = size("k")
    image = d * (k - 1) + h, d * (k - 1) + w
    cost = convolution(c_in, c_out, k, image, stride=s, padding=p, dilation=d, batch=n)
    return Case(
        lambda v: Named(nn.Conv2d(v[c_in], v[c_out], v[k], v[s], v[p], v[d], bias=False)),
        Dimensions(
            (c_in, c_out, k), _samples(CHANNELS, ({k: 7, s: 3, p: 4, d: 6}, {k: 9, s: 4, p: 2, d: 3}))
        ),
        [(n, c_in, *image)],
        [_one("op", "conv", cost)],
        IMAGE,
        {"op.padding": (p, p), "op.dilation": (d, d), "op.stride": (s, s)},
    )


def _strided(stride: int, pairs: bool) -> list[Case]:
    return [
        Case(
            lambda v: Named(nn.Conv2d(v[c_in], v[c_out], 3, stride, padding=1, bias=False)),
            Dimensions((c_in, c_out), CHANNELS),
            [(n, c_in, *image)],
            [_one("op", "conv", convolution(c_in, c_out, 3, image, stride=stride, batch=n))],
            IMAGE,
        )
        for image in residue_sizes(stride, pairs=pairs)
    ]


def _grouped() -> Case:
    cost = convolution(g * c_in, g * c_out, (K_H, K_W), (h, w), groups=g, batch=n)
    return Case(
        lambda v: Named(
            nn.Conv2d(v[g] * v[c_in], v[g] * v[c_out], (2 * v[p] + 1, 2 * v[q] + 1), groups=v[g], bias=False)
        ),
        Dimensions((c_in, g * c_in, g * c_out, K_H, K_W), _samples(GROUPS, KERNELS)),
        [(n, g * c_in, h, w)],
        [_one("op", "conv", cost)],
        IMAGE,
        {"op.padding": (p, q), "op.groups": g},
    )


def _depthwise() -> Case:
    cost = depthwise(c_in, (K_H, K_W), (h, w), multiplier=t, batch=n)
    return Case(
        lambda v: Named(
            nn.Conv2d(v[c_in], v[t] * v[c_in], (2 * v[p] + 1, 2 * v[q] + 1), groups=v[c_in], bias=False)
        ),
        Dimensions((c_in, t * c_in, K_H, K_W), _samples(CHANNELS, KERNELS, ({t: 3}, {t: 2}))),
        [(n, c_in, h, w)],
        [_one("op", "conv", cost)],
        IMAGE,
        {"op.padding": (p, q), "op.groups": c_in},
    )


def _pointwise() -> Case:
    return Case(
        lambda v: Named(nn.Conv2d(v[c_in], v[c_out], 1, bias=False)),
        Dimensions((c_in, c_out), CHANNELS),
        [(n, c_in, h, w)],
        [_one("op", "conv", pointwise(c_in, c_out, (h, w), batch=n))],
        IMAGE,
    )


def _separable() -> Case:
    def build(v: Mapping[sp.Symbol, int]) -> nn.Module:
        kernel = (2 * v[p] + 1, 2 * v[q] + 1)
        first = nn.Conv2d(v[c_in], v[c_in], kernel, groups=v[c_in], bias=False)
        return nn.Sequential(first, nn.Conv2d(v[c_in], v[c_out], 1, bias=False))

    first = depthwise(c_in, (K_H, K_W), (h, w), batch=n)
    both = separable(c_in, c_out, (K_H, K_W), (h, w), batch=n)
    return Case(
        build,
        Dimensions((c_in, c_out, K_H, K_W), _samples(CHANNELS, KERNELS)),
        [(n, c_in, h, w)],
        [_one("0", "conv", first), _one("1", "conv", both - first)],
        IMAGE,
        {"0.padding": (p, q), "0.groups": c_in},
    )


def _linear() -> Case:
    return Case(
        lambda v: Named(nn.Linear(v[c_in], v[c_out])),
        Dimensions((c_in, c_out), CHANNELS),
        [(n, c_in)],
        [_one("op", "linear", linear(c_in, c_out, batch=n))],
        IMAGE,
    )
