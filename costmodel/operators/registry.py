"""The registry of operators: for each its derivation, formulas and sources, and how a layer of it is costed.

`pwoct-cost explain`, `--op` and the comparison of kinds of layers read it, and tests require that each
operator has a theorem. docs/adding-an-operator.md explains how to add one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from costmodel.convention import Cost
from costmodel.operators import formulas
from costmodel.operators.layer import (
    Layer,
    depthwise_layer,
    octave_layer,
    pointwise_layer,
    pwise_layer,
    separable_layer,
    standard_layer,
)
from costmodel.sizes import Pair, Size, check_choice


@dataclass(frozen=True)
class OperatorEntry:
    """An operator in words and formulas.

    `formulas` gives its costs, one for each part: the operator itself, or its paths. `layer` costs a layer of
    this kind; an operator without it is only explained, though `--op` has a way of its own for transposed
    layers. `fixed` maps a reason to the layer options that this kind does not have; `own` gives the values of
    those that the kind itself determines. `theorem` is the prefix of the names of the theorems about it.
    """

    name: str
    title: str
    derivation: tuple[str, ...]
    sources: tuple[str, ...]
    formulas: Callable[[], Mapping[str, Cost]]
    layer: Callable[[Layer], Cost] | None = None
    has_branches: bool = False
    fixed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own: Callable[[Layer], Mapping[str, Pair | Size]] = lambda _: {}
    theorem: str | None = None


PAPER = "Inoue and Gotoh, parameter reduction for Octave Convolution"
OCTCONV = "Chen et al., Drop an Octave, ICCV 2019"

# Options that apply only to a layer with branches.
BRANCH_OPTIONS = (
    *("alpha_in", "alpha_out", "beta", "paths", "width_rule", "stride_rule", "between"),
    *("depthwise", "exchange"),
)

ENTRIES: tuple[OperatorEntry, ...] = (
    OperatorEntry(
        "standard",
        "The standard convolution",
        (
            "An output element is a sum over the k_h·k_w taps of the c_in/g channels of its group.",
            "So a filter has k_h·k_w·c_in/g weights, and c_out filters have c_out times as many.",
            "Each weight is used once at each output position of each of the b images, even where its tap",
            "falls on padding. The formulas are for stride 1 and the padding that keeps the size h x w.",
            "The input gradient and the weight gradient each take as many MACs again.",
        ),
        (f"{PAPER}, section 3.1",),
        formulas.of_standard,
        layer=standard_layer,
        theorem="standard convolution",
    ),
    OperatorEntry(
        "pointwise",
        "The pointwise convolution",
        ("A standard convolution with k = 1: an output element is a weighted sum over channels alone.",),
        (f"{PAPER}, section 3.2",),
        formulas.of_pointwise,
        layer=pointwise_layer,
        fixed={
            "the groups of a pointwise layer are fixed": ("groups",),
            "a pointwise layer is 1x1": ("kernel", "padding", "dilation"),
        },
        own=lambda _: {"kernel": (1, 1), "padding": (0, 0)},
        theorem="pointwise convolution",
    ),
    OperatorEntry(
        "depthwise",
        "The depthwise convolution, with multiplier q",
        ("A standard convolution with as many groups as channels: each gives q output channels.",),
        (f"{PAPER}, section 3.3 (q = 1)",),
        formulas.of_depthwise,
        layer=depthwise_layer,
        fixed={"the groups of a depthwise layer are fixed": ("groups",)},
        own=lambda layer: {"groups": layer.c_in},
        theorem="depthwise convolution",
    ),
    OperatorEntry(
        "separable",
        "The depthwise separable convolution",
        ("A depthwise convolution over positions, then a pointwise one over channels: their costs add up.",),
        (f"{PAPER}, section 3.3", "Howard et al., MobileNets, 2017, section 3.1"),
        formulas.of_separable,
        layer=separable_layer,
        fixed={"the groups of a separable layer are fixed": ("groups",)},
        theorem="separable convolution",
    ),
    OperatorEntry(
        "transposed",
        "The transposed convolution, of stride s, padding p and output padding o",
        (
            "A standard convolution from c_out to c_in channels has an input gradient: this is its map, used",
            "as a layer. Each input element is spread over the k_h·k_w taps of the c_out/g channels of its",
            "group, so each weight is used once at each input position of each of the b images, even where",
            "its tap is cut off by the padding. The input is h x w, and the output s·(h - 1) + k_h - 2p + o",
            "by s·(w - 1) + k_w - 2p + o, on which the MACs do not depend. A counter that takes the output's",
            "positions, often s² times as many, counts too much by that factor.",
        ),
        ("Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016, chapter 4",),
        formulas.of_transposed,
        theorem="transposed convolution",
    ),
    OperatorEntry(
        "linear",
        "The linear layer",
        ("A pointwise convolution at a single position, with a bias.",),
        (),
        formulas.of_linear,
        theorem="linear layer",
    ),
    OperatorEntry(
        "octave",
        "Octave Convolution, path by path",
        (
            "Channels are split: c_L = floor(alpha·c) low ones at half resolution, c_H = c - c_L high ones.",
            "HH convolves high to high at h x w. HL averages 2x2, then convolves, at h/2 x w/2.",
            "LH convolves at h/2 x w/2, then upsamples. LL convolves low to low at h/2 x w/2.",
            "Each path is a standard convolution between the channels of its two branches; h and w are even.",
            "Together they have k²·(c_H + c_L)² weights, as many as a standard convolution, and with",
            "c_L = alpha·c they take 1 - (3/4)·alpha·(2 - alpha) times its MACs.",
        ),
        (
            f"{OCTCONV}, section 3",
            f"{PAPER}, equations (1) to (8)",
        ),
        formulas.of_octave,
        layer=octave_layer,
        has_branches=True,
        fixed={"an octave layer has no bottlenecks (pwise has)": ("beta", "paths", "width_rule", "between")},
        theorem="OctConv",
    ),
    OperatorEntry(
        "pwise",
        "Pointwise Octave Convolution, path by path",
        (
            "A compressed path: a 1x1 convolution to m channels, a kxk one from m to m, a 1x1 one to c_out.",
            "m = max(1, floor(c_out/beta)), where c_in and c_out are the path's own channels.",
            "The three costs add up: c_in·m + k²·m² + m·c_out weights, each used once per position.",
        ),
        (f"{PAPER}, section 5, equations (9) to (14)",),
        formulas.of_pwise,
        layer=pwise_layer,
        has_branches=True,
        fixed={"a bottleneck is not depthwise (octave may be)": ("depthwise", "exchange")},
        theorem="PwiseOctConv",
    ),
    OperatorEntry(
        "elementwise",
        "Operators without matrix products, on e input elements",
        (
            "Their work is counted in element operations and never mixed into the MACs: normalisation 2 per",
            "element, activation, addition and upsampling 1 per output element, pooling 1 per input element.",
        ),
        ("the convention of this project, after fvcore's for what both count",),
        formulas.of_elementwise,
    ),
)

_REGISTRY: dict[str, OperatorEntry] = {}


def register(entry: OperatorEntry) -> OperatorEntry:
    """Register an operator for the command line and the explanations.

    Raises ValueError if there is one of that name.
    """
    if entry.name in _REGISTRY:
        raise ValueError(f"there is already an operator {entry.name}")
    _REGISTRY[entry.name] = entry
    return entry


def unregister(name: str) -> None:
    """Remove an operator from the registry."""
    del _REGISTRY[name]


def operators() -> tuple[str, ...]:
    """Return the names of all operators."""
    return tuple(_REGISTRY)


def layer_kinds() -> tuple[str, ...]:
    """Return the names of the operators that a layer can be made of.

    >>> layer_kinds()
    ('standard', 'pointwise', 'depthwise', 'separable', 'octave', 'pwise')
    """
    return tuple(name for name, entry in _REGISTRY.items() if entry.layer)


def costed_kinds() -> tuple[str, ...]:
    """Return the kinds of layers that `--op` costs: those, and transposed ones, costed in their own way."""
    return (*layer_kinds(), "transposed")


def operator(name: str) -> OperatorEntry:
    """Return an operator.

    Raises ValueError if there is none of that name.

    >>> operator("pointwise").formulas()["pointwise"].formula("params")
    'c_in*c_out'
    """
    check_choice("operator", name, _REGISTRY)
    return _REGISTRY[name]


def layer_cost(kind: str, layer: Layer) -> Cost:
    """Return the cost of a layer of a kind.

    Raises ValueError if the kind is unknown or cannot have these sizes.

    >>> layer_cost("standard", Layer()).weights
    2304
    """
    check_choice("op", kind, layer_kinds())
    cost = _REGISTRY[kind].layer
    assert cost is not None  # or it would be no kind of layer
    return cost(layer)


for _entry in ENTRIES:
    register(_entry)
