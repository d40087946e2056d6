"""What `pwoct-cost explain` says: for each operator its derivation, its formulas and its sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from costmodel.convention import Cost
from costmodel.operators import elementwise
from costmodel.operators.depthwise import depthwise, separable
from costmodel.operators.layer import Layer, path_formulas
from costmodel.operators.octave import PATHS
from costmodel.operators.pointwise import linear, pointwise
from costmodel.operators.standard import convolution

c_in, c_out, groups, multiplier, channels, batch = sp.symbols(
    "c_in c_out g q c b", positive=True, integer=True
)
k_h, k_w = sp.symbols("k_h k_w", positive=True, odd=True)
h, w = sp.symbols("h w", positive=True, integer=True)
QUARTER = Fraction(1, 4)  # any alpha strictly between 0 and 1 gives the same formulas


@dataclass(frozen=True)
class Explanation:
    """An operator in words, and its costs as formulas, one a part: the operator itself, or its paths."""

    title: str
    derivation: Sequence[str]
    sources: Sequence[str]
    costs: Callable[[], Mapping[str, Cost]]


def _standard() -> Mapping[str, Cost]:
    return {"standard": convolution(c_in, c_out, (k_h, k_w), (h, w), groups=groups, batch=batch)}


def _pointwise() -> Mapping[str, Cost]:
    return {"pointwise": pointwise(c_in, c_out, (h, w), batch=batch)}


def _depthwise() -> Mapping[str, Cost]:
    return {"depthwise": depthwise(channels, (k_h, k_w), (h, w), multiplier=multiplier, batch=batch)}


def _separable() -> Mapping[str, Cost]:
    return {"separable": separable(c_in, c_out, (k_h, k_w), (h, w), batch=batch)}


def _linear() -> Mapping[str, Cost]:
    return {"linear": linear(c_in, c_out, batch=batch)}


def _octave() -> Mapping[str, Cost]:
    return path_formulas(Layer(alpha_in=QUARTER, alpha_out=QUARTER))


def _pwise() -> Mapping[str, Cost]:
    return path_formulas(Layer(alpha_in=QUARTER, alpha_out=QUARTER, paths=frozenset(PATHS)))


def _elementwise() -> Mapping[str, Cost]:
    elements = sp.Symbol("e", positive=True, integer=True)
    return {
        "bn": elementwise.batch_norm(channels, elements),
        "activation": elementwise.activation(elements),
        "pool": elementwise.average_pool(elements, elements / 4),
        "upsample": elementwise.upsample(elements, 4 * elements),
        "add": elementwise.add(elements),
        "concatenate": elementwise.concatenate(elements),
    }


PAPER = "Inoue and Gotoh, parameter reduction for Octave Convolution"
OCTCONV = "Chen et al., Drop an Octave, ICCV 2019"

EXPLANATIONS: Mapping[str, Explanation] = {
    "standard": Explanation(
        "The standard convolution",
        [
            "An output element is a sum over the k_h·k_w taps of the c_in/g channels of its group.",
            "So a filter has k_h·k_w·c_in/g weights, and c_out filters have c_out times as many.",
            "Each weight is used once at each output position of each of the b images, also where its tap",
            "falls on padding. The formulas are for stride 1 and the padding that keeps the size h x w.",
            "The gradient by the input and the gradient by the weights each meet the same pairs once more.",
        ],
        [f"{PAPER}, section 3.1"],
        _standard,
    ),
    "pointwise": Explanation(
        "The pointwise convolution",
        ["A standard convolution with k = 1: an output element is a weighted sum over channels alone."],
        [f"{PAPER}, section 3.2"],
        _pointwise,
    ),
    "depthwise": Explanation(
        "The depthwise convolution, with multiplier q",
        ["A standard convolution with as many groups as channels: each gives q output channels."],
        [f"{PAPER}, section 3.3 (q = 1)"],
        _depthwise,
    ),
    "separable": Explanation(
        "The depthwise separable convolution",
        ["A depthwise convolution over positions, then a pointwise one over channels: their costs add up."],
        [f"{PAPER}, section 3.3", "Howard et al., MobileNets, 2017, section 3.1"],
        _separable,
    ),
    "linear": Explanation(
        "The linear layer",
        ["A pointwise convolution at a single position, with a bias."],
        [],
        _linear,
    ),
    "octave": Explanation(
        "Octave Convolution, path by path",
        [
            "Channels are split: c_L = floor(alpha·c) low ones at half resolution, c_H = c - c_L high ones.",
            "HH convolves high to high at h x w. HL averages 2x2, then convolves, at h/2 x w/2.",
            "LH convolves at h/2 x w/2, then upsamples. LL convolves low to low at h/2 x w/2.",
            "Each path is a standard convolution between the channels of its two branches; h and w are even.",
            "Together they have k²·(c_H + c_L)² weights, as many as a standard convolution, and with",
            "c_L = alpha·c they do 1 - (3/4)·alpha·(2 - alpha) of its MACs.",
        ],
        [f"{OCTCONV}, section 3", f"{PAPER}, equations (1) to (8)"],
        _octave,
    ),
    "pwise": Explanation(
        "Pointwise Octave Convolution, path by path",
        [
            "On a compressed path a 1x1 convolution leads to m channels, a kxk one keeps m, a 1x1 leads out.",
            "m = max(1, floor(c_out/beta)), where c_in and c_out are the path's own channels.",
            "The three costs add up: c_in·m + k²·m² + m·c_out weights, each used once a position.",
        ],
        [f"{PAPER}, section 5, equations (9) to (14)"],
        _pwise,
    ),
    "elementwise": Explanation(
        "Operators that multiply no matrix, on e input elements",
        [
            "Their work is counted in element operations and never mixed into the MACs: normalisation 2 an",
            "element, activation, adding and upsampling 1 an output element, pooling 1 an input element.",
        ],
        ["the convention of this project, after fvcore's for what both count"],
        _elementwise,
    ),
}

SHOWN = ("params", "macs", "macs_training", "activations", "element_ops", "elements_read", "elements_written")


def explanation(name: str) -> Explanation:
    """Return the explanation of an operator.

    Raises ValueError where there is none of that name.

    >>> explanation("pointwise").costs()["pointwise"].formula("params")
    'c_in*c_out'
    """
    if name not in EXPLANATIONS:
        raise ValueError(f"operator must be one of {', '.join(EXPLANATIONS)}, got {name}")
    return EXPLANATIONS[name]
