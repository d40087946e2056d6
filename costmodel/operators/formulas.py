"""The formulas that `pwoct-cost explain` prints: each operator's cost in symbols, one for each part of it."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import sympy as sp

from costmodel.convention import Cost
from costmodel.operators import elementwise
from costmodel.operators.depthwise import depthwise, separable
from costmodel.operators.layer import Layer, path_formulas
from costmodel.operators.octave import PATHS
from costmodel.operators.pointwise import linear, pointwise
from costmodel.operators.standard import convolution
from costmodel.operators.transposed import transposed

c_in, c_out, groups, multiplier, channels, batch = sp.symbols(
    "c_in c_out g q c b", positive=True, integer=True
)
k_h, k_w = sp.symbols("k_h k_w", positive=True, odd=True)
any_k_h, any_k_w, stride = sp.symbols("k_h k_w s", positive=True, integer=True)
padding, output_padding = sp.symbols("p o", nonnegative=True, integer=True)
h, w = sp.symbols("h w", positive=True, integer=True)
QUARTER = Fraction(1, 4)  # any alpha strictly between 0 and 1 gives the same formulas


def of_standard() -> Mapping[str, Cost]:
    """Return the cost of a convolution of stride 1, with the padding that keeps the size."""
    return {"standard": convolution(c_in, c_out, (k_h, k_w), (h, w), groups=groups, batch=batch)}


def of_pointwise() -> Mapping[str, Cost]:
    """Return the cost of a 1x1 convolution."""
    return {"pointwise": pointwise(c_in, c_out, (h, w), batch=batch)}


def of_depthwise() -> Mapping[str, Cost]:
    """Return the cost of a depthwise convolution with a multiplier."""
    return {"depthwise": depthwise(channels, (k_h, k_w), (h, w), multiplier=multiplier, batch=batch)}


def of_separable() -> Mapping[str, Cost]:
    """Return the cost of a depthwise convolution and the pointwise one after it."""
    return {"separable": separable(c_in, c_out, (k_h, k_w), (h, w), batch=batch)}


def of_transposed() -> Mapping[str, Cost]:
    """Return the cost of a transposed convolution for any stride and paddings, without dilation."""
    options = {"stride": stride, "padding": padding, "output_padding": output_padding}
    kernel = any_k_h, any_k_w
    return {"transposed": transposed(c_in, c_out, kernel, (h, w), groups=groups, batch=batch, **options)}


def of_linear() -> Mapping[str, Cost]:
    """Return the cost of a linear layer."""
    return {"linear": linear(c_in, c_out, batch=batch)}


def of_octave() -> Mapping[str, Cost]:
    """Return the costs of the four paths of an octave convolution."""
    return path_formulas(Layer(alpha_in=QUARTER, alpha_out=QUARTER))


def of_pwise() -> Mapping[str, Cost]:
    """Return the costs of the four paths as bottlenecks."""
    return path_formulas(Layer(alpha_in=QUARTER, alpha_out=QUARTER, paths=frozenset(PATHS)))


def of_elementwise() -> Mapping[str, Cost]:
    """Return the costs of operators without matrix products."""
    elements = sp.Symbol("e", positive=True, integer=True)
    return {
        "bn": elementwise.batch_norm(channels, elements),
        "activation": elementwise.activation(elements),
        "pool": elementwise.average_pool(elements, elements / 4),
        "upsample": elementwise.upsample(elements, 4 * elements),
        "add": elementwise.add(elements),
        "concatenate": elementwise.concatenate(elements),
    }
