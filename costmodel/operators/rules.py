"""The cost of operators without matrix products, in element operations: one rule for each kind.

A part is what `--count` names. The constants are those of docs/conventions.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from costmodel.operators.contraction import elements
from costmodel.sizes import Size

MULTIPLYING = ("convolution", "linear", "matmul", "attention", "recurrent", "bilinear")
FREE = ("view", "creation", "random", "move", "embedding")  # no arithmetic is counted


@dataclass(frozen=True, slots=True)
class Rule:
    """A cost per element of the input or of the output."""

    part: str
    price: int
    of_input: bool = False

    def ops(self, inputs: Sequence[Sequence[Size]], outputs: Sequence[Sequence[Size]]) -> Size:
        """Return the element operations of a call; the first tensor is the one that counts."""
        shapes = inputs if self.of_input else outputs
        return self.price * elements(shapes[0]) if shapes else 0


RULES: Mapping[str, Rule] = {
    "normalisation": Rule("bn", 2),  # a multiplication and an addition
    "activation": Rule("activation", 1),
    "softmax": Rule("softmax", 3),  # an exponential, an addition, a division
    "pooling": Rule("pool", 1, of_input=True),
    "interpolation": Rule("upsample", 1),
    "reduction": Rule("reduction", 1, of_input=True),
    "add": Rule("add", 1),
    "elementwise": Rule("elementwise", 1),
}

PARTS = ("bias", *dict.fromkeys(rule.part for rule in RULES.values()))
COST_FIELDS: Mapping[str, str] = {part: f"{part}_ops" for part in PARTS}  # of `Cost`, by part
