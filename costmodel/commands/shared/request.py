"""The calculator's request: built once, from all its options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from costmodel.commands.shared.options import LayerOptions, NetworkOptions
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format
from costmodel.tables.counting import Totals

# Options that apply only to octave layers of depthwise paths, to one convolution, or to a network.
DEPTHWISE_OCTAVE = ("depthwise", "exchange")
SPATIAL = ("dim", "output_padding")
SHAPE = ("kernel", "stride", "padding", "dilation", "groups", "bias", *DEPTHWISE_OCTAVE, *SPATIAL)
LAYER_ONLY = ("c_in", "c_out", *SHAPE, "alpha_in", "alpha_out")
NOT_OF_ONE_LAYER = ("model", "width", "classes", "in_channels", "shortcut", "count", "unit", "per_layer")
# Layer options that need --op, which gives the kind of layer.
OP_ONLY = ("padding", *DEPTHWISE_OCTAVE, *SPATIAL)


@dataclass(frozen=True)
class Request:
    """The options of the calculator, and those of them that have an effect."""

    network: NetworkOptions
    layer: LayerOptions
    totals: Totals
    dtype: str
    per_layer: bool
    format: Format
    question: Question

    def without(self, why: str, names: Sequence[str]) -> Request:
        """Return the request without options that have no effect. Raises ValueError if one was typed."""
        return replace(self, question=self.question.without(f"does not apply here: {why}", names))
