"""What is proved of the transposed convolution, as torch's own module runs it.

Its output must have a row and a column, and torch allows an output padding below the stride. Sizes are
written such that all values of the symbols satisfy this: in one claim the kernel makes up for the padding, in
the other the image. Stride, padding, output padding and dilation are the same along both axes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain, combinations
from typing import Any

import sympy as sp
from torch import nn

from costmodel.checks.prove import Case, Claim, Sizes
from costmodel.checks.theorems import (
    CHANNELS,
    Build,
    Named,
    c_in,
    c_out,
    d,
    g,
    h,
    i,
    j,
    n,
    one_case,
    operators_of,
    p,
    s,
    t,
    w,
)
from costmodel.operators.recorder import Operator
from costmodel.operators.transposed import transposed
from costmodel.sizes import Pair, Size

Values = Mapping[sp.Symbol, Size]


def transposed_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claims about the transposed convolution."""
    for name, sides in _CLAIMS.items():
        text = (
            f"transposed convolution, {name}, any stride, dilation, groups, output padding below the stride"
        )
        yield Claim(text, partial(_cases, partial(_build, sides), every=every))


def _cases(build: Build, *, every: bool) -> Iterator[Case]:
    """Yield the case for all sizes, one for each set of options at torch's defaults, one for each size of 1.

    Without `every`, these sets are single options and those that belong together in most networks.
    """
    subsets = chain.from_iterable(combinations(_DEFAULTS, count) for count in range(len(_DEFAULTS) + 1))
    sets = [one for one in subsets if every or len(one) == 1 or one in _USUAL]
    sizes = [(symbol,) for symbol in _LEAST if symbol not in _DEFAULTS]
    for chosen in [(), *(one for one in sets if one), *sizes, tuple(_LEAST)]:
        yield one_case(_LEAST, {symbol: _LEAST[symbol] - 1 for symbol in chosen}, build)


def _padded_kernel(z: Values) -> tuple[Pair, Pair]:
    """Return size and kernel, which reaches over the padding."""
    return (z[h], z[w]), (2 * z[p] + z[i], 2 * z[p] + z[j])


def _padded_image(z: Values) -> tuple[Pair, Pair]:
    """Return size, which reaches over the padding, and kernel."""
    return (2 * z[p] + z[h], 2 * z[p] + z[w]), (z[i], z[j])


def _build(sides: Callable[[Values], tuple[Pair, Pair]], z: Values) -> Any:
    (size, kernel), channels = sides(z), (z[g] * z[c_in], z[g] * z[c_out])
    chosen = {
        "stride": z[t] + z[s],
        "padding": z[p],
        "output_padding": z[t],
        "dilation": z[d],
        "groups": z[g],
    }

    def options(v: Sizes) -> dict[str, Any]:
        return {name: v(value) for name, value in chosen.items()}

    def make(v: Sizes) -> nn.Module:
        (k_h, k_w), (a, b) = map(v, kernel), map(v, channels)
        return Named(nn.ConvTranspose2d(a, b, (k_h, k_w), bias=False, **options(v)))

    def formulas(v: Sizes) -> list[Operator]:
        a, b = map(v, channels)
        return operators_of(
            ("op", "conv", transposed(a, b, map(v, kernel), map(v, size), batch=v(z[n]), **options(v)))
        )

    return make, formulas, (z[n], channels[0], *size)


# The least value of each symbol; the one below it is covered by cases of its own. A stride is t + s.
_LEAST: Mapping[sp.Symbol, int] = {n: 2, h: 2, w: 2, **CHANNELS, g: 2, i: 2, j: 2, s: 2, d: 2, p: 1, t: 1}
_DEFAULTS = (d, g, t, p, s)
_USUAL = ((d, g), (d, g, t), (d, g, t, p), (d, g, t, p, s), (d, t), (t, p))
_CLAIMS: Mapping[str, Callable[[Values], tuple[Pair, Pair]]] = {
    "kernel 2p+i x 2p+j": _padded_kernel,
    "image 2p+h x 2p+w": _padded_image,
}
