"""What is proved of the transposed convolution, as torch's own module runs it.

Its output must have a row and a column, and torch allows an output padding below the stride or below the
dilation. Sizes are written such that all values of the symbols satisfy this: in one claim the kernel makes up
for the padding, in the other the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import sympy as sp
from torch import nn

from costmodel.checks.prove import Claim, Sizes
from costmodel.checks.theorems import (
    CHANNELS,
    Named,
    c_in,
    c_out,
    d,
    g,
    h,
    i,
    j,
    n,
    operators_of,
    p,
    s,
    small_cases,
    t,
    w,
)
from costmodel.operators.transposed import transposed
from costmodel.sizes import Size

Values = Mapping[sp.Symbol, Size]


def transposed_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claims about the transposed convolution."""
    for name, layer, least in _CLAIMS:
        small = {symbol: value - 1 for symbol, value in least.items()}
        yield Claim(
            f"transposed convolution, {name}",
            partial(small_cases, least, small, partial(_build, layer), every=every),
        )


def _padded_kernel(z: Values) -> Mapping[str, Any]:
    """Return a layer whose kernel reaches over the padding, with an output padding below the stride."""
    return {
        "size": (z[h], z[w]),
        "kernel": (2 * z[p] + z[i], 2 * z[p] + z[j]),
        "stride": z[t] + z[s],
        "output_padding": z[t],
        "dilation": z[d],
    }


def _padded_image(z: Values) -> Mapping[str, Any]:
    """Return a layer whose image reaches over the padding, with an output padding below the dilation."""
    return {
        "size": (2 * z[p] + z[h], 2 * z[p] + z[w]),
        "kernel": (z[i], z[j]),
        "stride": z[s],
        "output_padding": z[t],
        "dilation": z[t] + z[d],
    }


def _build(layer: Callable[[Values], Mapping[str, Any]], z: Values) -> Any:
    parts, channels = layer(z), (z[g] * z[c_in], z[g] * z[c_out])
    names = ("stride", "output_padding", "dilation")

    def options(v: Sizes) -> dict[str, Any]:
        return {"padding": v(z[p]), "groups": v(z[g]), **{name: v(parts[name]) for name in names}}

    def make(v: Sizes) -> nn.Module:
        (k_h, k_w), (a, b) = map(v, parts["kernel"]), map(v, channels)
        return Named(nn.ConvTranspose2d(a, b, (k_h, k_w), bias=False, **options(v)))

    def formulas(v: Sizes) -> Any:
        kernel, size = map(v, parts["kernel"]), map(v, parts["size"])
        cost = transposed(v(channels[0]), v(channels[1]), kernel, size, batch=v(z[n]), **options(v))
        return operators_of(("op", "conv", cost))

    return make, formulas, (z[n], channels[0], *parts["size"])


# The values of all symbols begin at 2, those of paddings at 1; what lies below is covered one by one.
_LEAST: Mapping[sp.Symbol, int] = {n: 2, h: 2, w: 2, **CHANNELS, g: 2, i: 2, j: 2, s: 2, d: 2, p: 1, t: 1}
_CLAIMS = (
    ("kernel 2p+i x 2p+j, stride t+s, output padding t, dilation, groups", _padded_kernel, _LEAST),
    ("image 2p+h x 2p+w, dilation t+d, output padding t, stride, groups", _padded_image, _LEAST),
)
