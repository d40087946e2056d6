"""The description of an option, and the closed sets of values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from costmodel.convention import DTYPE_BYTES
from costmodel.networks.network import SHORTCUTS
from costmodel.networks.resnet import MODELS
from costmodel.operators.octave import PATHS, STRIDE_RULES
from costmodel.operators.pwise_octave import BETWEEN
from costmodel.operators.registry import costed_kinds
from costmodel.operators.rules import MULTIPLYING, PARTS
from costmodel.rounding import WIDTH_RULES
from costmodel.speed.stopwatch import MODES
from costmodel.tables.counting import COUNTS, UNITS

QUANTITIES = (
    *("params", "macs", "activations", "bytes", "training-macs", "element-ops", "calls"),
    *("flops", "training-flops"),
)
CONSTRAINTS = (
    *("keep-hh", "keep-hl", "keep-lh", "keep-ll"),
    *("same-alpha", "same-beta", "same-paths"),
)
PLANS = ("auto", "reference", "lean", "blocked", "folded", "native")
COMPUTED = ("float32", "bfloat16")  # dtypes in which networks are timed and trained

# The closed sets of values.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "model": tuple(MODELS),
    "op": costed_kinds(),
    "paths": (*PATHS, "all", "none"),
    "width-rule": tuple(WIDTH_RULES),
    "stride-rule": STRIDE_RULES,
    "between": BETWEEN,
    "shortcut": SHORTCUTS,
    "dtype": tuple(DTYPE_BYTES),
    "unit": UNITS,
    "count": COUNTS,
    "quantity": QUANTITIES,
    "objective": (*QUANTITIES, "latency", "width", "depth"),
    "constraint": CONSTRAINTS,
    "as": ("text", "latex", "json", "python", "javascript"),
    "by": ("module", "operator", "kind"),
    "sort": ("order", "macs", "params", "training", "activations", "element-ops", "bytes", "calls"),
    "traced-count": ("conv", *MULTIPLYING[1:], *PARTS),
    "mode": (*MODES, "both"),
    "plan": PLANS,
    "init": ("random", "pretrained"),
    "recipe": ("fast", "paper", "keras"),
    "dataset": ("cifar10", "cifar100", "synthetic"),
    "device": ("cpu", "cuda", "mps"),
    "computed": COMPUTED,
}


@dataclass(frozen=True)
class Word:
    """An option: its spellings, its help, and the name of the closed set of its values, if it has one."""

    key: str
    spelled: str
    help: str
    choices: str | None = None

    @property
    def spellings(self) -> tuple[str, ...]:
        """Its spellings, the long one first."""
        return tuple(self.spelled.split())

    def values(self) -> tuple[str, ...]:
        """Return the closed set of values; empty if any text is allowed."""
        return CHOICES[self.choices] if self.choices else ()
