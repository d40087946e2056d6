"""The outcome of a conversion for each convolution, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pwoct.conversion.layout import BranchLayout

DENSE, DEPTHWISE, BLOCKS = "dense", "depthwise", "whole groups"


@dataclass(frozen=True)
class ConvSpec:
    """An octave layer that replaces a convolution.

    `kind`: "dense" has all paths between branches with channels; "depthwise" and "whole groups" keep groups
    of channels apart and have only HH and LL. `widths` holds the hidden channels of compressed paths. `size`
    is the size of the input's high branch during planning.
    """

    name: str
    layout_in: BranchLayout
    layout_out: BranchLayout
    kernel: tuple[int, int]
    stride: int
    dilation: int
    groups: int
    bias: bool
    kind: str = DENSE
    widths: Mapping[str, int] = field(default_factory=dict)
    closes: bool = False
    same: bool = False  # its padding depends on the input size: more at the end than at the beginning
    size: tuple[int, int] = (0, 0)
    batch: int = 1


@dataclass(frozen=True)
class Carried:
    """The fraction of a trained kernel's squared norm that low-rank paths lose.

    `lost` is the fraction that each bottleneck path loses of its kernel, `norms` the squared norms of these
    kernels, and `whole` that of the layer's. A layer that was not `carried` starts from random weights.
    """

    lost: Mapping[str, float] = field(default_factory=dict)
    norms: Mapping[str, float] = field(default_factory=dict)
    whole: float = 0.0
    note: str = ""
    carried: bool = True

    @property
    def share(self) -> float:
        """The fraction of the whole kernel's squared norm that is lost."""
        if not self.carried:
            return 1.0
        lost = sum(self.lost[path] * self.norms[path] for path in self.lost)
        return lost / self.whole if self.whole else 0.0


@dataclass(frozen=True)
class LayerReport:
    """One convolution of the original: its replacement, or the reason why it stays."""

    name: str
    spec: ConvSpec | None = None
    reason: str = ""
    carried: Carried | None = None


@dataclass(frozen=True)
class Conversion:
    """The convolutions of a network in execution order, and how they were converted."""

    layers: tuple[LayerReport, ...]
    inputs: tuple[tuple[int, ...], ...] = ()  # shapes used for planning

    @property
    def converted(self) -> tuple[LayerReport, ...]:
        """The convolutions that became octave layers."""
        return tuple(layer for layer in self.layers if layer.spec is not None)

    @property
    def kept(self) -> tuple[LayerReport, ...]:
        """The convolutions that stay unchanged, each with its reason."""
        return tuple(layer for layer in self.layers if layer.spec is None)
