"""One layer of any kind: its sizes and choices, what it costs, and the formulas of its paths."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import sympy as sp

from costmodel.convention import Cost
from costmodel.operators.depthwise import depthwise, separable
from costmodel.operators.octave import OctaveLayer, octave_map, record_octave
from costmodel.operators.pointwise import pointwise
from costmodel.operators.pwise_octave import record_pwise_octave
from costmodel.operators.recorder import Operator, Recorder, cost_of
from costmodel.operators.standard import convolution
from costmodel.rounding import hidden, split, split_note, width_note
from costmodel.sizes import Pair, Size, ceil_div, check_sizes, exact_div


@dataclass(frozen=True)
class Layer:
    """The sizes and choices of one layer; `size` is the input's (h, w), `padding` what each side gets."""

    c_in: Size = 16
    c_out: Size = 16
    size: Pair = (32, 32)
    kernel: Pair = (3, 3)
    stride: int = 1
    padding: Pair | None = None  # on each side; None: the padding that keeps the size at stride 1
    dilation: int = 1
    groups: int = 1
    bias: bool = False
    alpha_in: Fraction = Fraction(0)
    alpha_out: Fraction = Fraction(0)
    beta: Fraction = Fraction(2)
    paths: frozenset[str] = frozenset()
    width_rule: str = "out"
    stride_rule: str = "C"
    between: str = "none"
    batch: int = 1
    depthwise: bool = False  # of an octave layer: depthwise convolutions, in the paths HH and LL
    exchange: bool = False  # with depthwise: in HL and LH too

    def __post_init__(self) -> None:
        check_sizes(c_in=self.c_in, c_out=self.c_out, size=self.size, batch=self.batch)
        if self.paths and isinstance(self.c_out, int) and self.beta > self.c_out:
            raise ValueError(
                f"beta must be at most the layer's {self.c_out} output channels, got {self.beta}"
            )

    def octave(self) -> OctaveLayer:
        """Return the layer as an octave convolution, with its channels split.

        Raises ValueError if a padding is given: that of an octave layer always keeps the size.
        """
        if self.padding is not None:
            raise ValueError("an octave layer's padding keeps its size; it can't be chosen")
        return OctaveLayer(
            split(self.c_in, self.alpha_in),
            split(self.c_out, self.alpha_out),
            self.kernel,
            self.stride,
            self.dilation,
            self.groups,
            self.bias,
            self.stride_rule,
            self.depthwise,
            self.exchange,
        )

    def widths(self) -> dict[str, Size]:
        """Return the width m of each compressed path that exists."""
        octave = self.octave()
        ends = {path: octave.channels(path) for path in octave.paths if path in self.paths}
        return {path: hidden(*channels, self.beta, self.width_rule) for path, channels in ends.items()}

    def operators(self) -> list[Operator]:
        """Return the operators of the layer as a pointwise octave convolution."""
        octave, rec = self.octave(), Recorder(self.batch)
        record_pwise_octave(
            rec, "conv", octave_map(octave.c_in, self.size), octave, self.widths(), self.between
        )
        return rec.operators


def standard_layer(layer: Layer) -> Cost:
    """Return what the layer costs as a standard or grouped convolution."""
    return convolution(
        layer.c_in,
        layer.c_out,
        layer.kernel,
        layer.size,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
        bias=layer.bias,
        batch=layer.batch,
    )


def pointwise_layer(layer: Layer) -> Cost:
    """Return what the layer costs as a 1x1 convolution."""
    return pointwise(
        layer.c_in, layer.c_out, layer.size, stride=layer.stride, bias=layer.bias, batch=layer.batch
    )


def depthwise_layer(layer: Layer) -> Cost:
    """Return what the layer costs as a depthwise convolution; c_out is a multiple of c_in."""
    if isinstance(layer.c_out, int) and isinstance(layer.c_in, int) and layer.c_out % layer.c_in:
        channels = f"{layer.c_in} -> {layer.c_out}"
        raise ValueError(f"a depthwise convolution needs c_out to be a multiple of c_in, got {channels}")
    return depthwise(
        layer.c_in,
        layer.kernel,
        layer.size,
        multiplier=exact_div(layer.c_out, layer.c_in),
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        bias=layer.bias,
        batch=layer.batch,
    )


def separable_layer(layer: Layer) -> Cost:
    """Return what the layer costs as a depthwise convolution and a pointwise one."""
    return separable(
        layer.c_in,
        layer.c_out,
        layer.kernel,
        layer.size,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        bias=layer.bias,
        batch=layer.batch,
    )


def octave_layer(layer: Layer) -> Cost:
    """Return what the layer costs as an octave convolution without bottlenecks."""
    return cost_of(replace(layer, paths=frozenset()).operators())


def pwise_layer(layer: Layer) -> Cost:
    """Return what the layer costs as an octave convolution with its bottlenecks."""
    return cost_of(layer.operators())


def path_formulas(layer: Layer) -> dict[str, Cost]:
    """Return each existing path's cost as a formula.

    c_H and c_L are the branches' channels (with _in and _out where these differ), m the width of a
    bottleneck, k the kernel (k_h and k_w where not square), h and w the size of the output's high branch.
    Where that is odd, the low branch's ceiling(h/2) and ceiling(w/2) stay in the formula.

    >>> path_formulas(Layer(alpha_in=Fraction(1, 4), alpha_out=Fraction(1, 4)))["HL"].formula("macs")
    'c_H*c_L*h*k**2*w/4'
    """
    numbers = layer.octave()
    symbols = replace(
        numbers, c_in=_channels(layer, "in"), c_out=_channels(layer, "out"), kernel=_kernel(layer)
    )
    h, w = map(_side, "hw", (ceil_div(side, layer.stride) for side in layer.size))
    rec, x = Recorder(), octave_map(symbols.c_in, (layer.stride * h, layer.stride * w))
    m = sp.Symbol("m", positive=True, integer=True)
    widths: dict[str, Size] = dict.fromkeys(layer.widths(), m)
    if widths:
        record_pwise_octave(rec, "conv", x, symbols, widths, layer.between)
    else:
        record_octave(rec, "conv", x, symbols)
    return {path: cost_of(op for op in rec.operators if op.place.path == path) for path in symbols.paths}


def _side(name: str, number: Size) -> sp.Symbol:
    """A symbol that is even where the number is even, so that it halves without rounding."""
    parity = {"even": True} if isinstance(number, int) and number % 2 == 0 else {"integer": True}
    return sp.Symbol(name, positive=True, **parity)


def _channels(layer: Layer, end: str) -> Pair:
    same = layer.c_in == layer.c_out and layer.alpha_in == layer.alpha_out
    numbers = layer.octave().c_in if end == "in" else layer.octave().c_out
    suffix = "" if same else f"_{end}"
    high, low = (
        n if n == 0 else sp.Symbol(f"c_{branch}{suffix}", positive=True, integer=True)
        for n, branch in zip(numbers, "HL", strict=True)
    )
    return high, low


def _kernel(layer: Layer) -> Pair:
    if layer.kernel[0] == layer.kernel[1]:
        k = sp.Symbol("k", positive=True, odd=True)
        return k, k
    k_h, k_w = (sp.Symbol(name, positive=True, odd=True) for name in ("k_h", "k_w"))
    return k_h, k_w


def layer_notes(layer: Layer) -> list[str]:
    """Return one note for each size that the rounding rule changed; none if all sizes are integers."""
    ends = dict.fromkeys(((layer.c_in, layer.alpha_in), (layer.c_out, layer.alpha_out)))
    notes = [split_note(channels, alpha) for channels, alpha in ends]
    octave = layer.octave()
    notes += [
        width_note(path, *octave.channels(path), layer.beta, layer.width_rule)
        for path in octave.paths
        if path in layer.paths
    ]
    return [note for note in notes if note]


def uncompressed_note(layer: Layer) -> list[str]:
    """Return a note where a layer with bottlenecks has none, since no such path exists; else nothing."""
    if layer.widths():
        return []
    return ["no path is compressed: a pwise layer needs paths that exist at its alpha"]
