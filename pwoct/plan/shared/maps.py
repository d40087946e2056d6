"""What each convolution of an octave layer reads and where its output goes, whatever the plan."""

from typing import NamedTuple

from torch import Tensor, nn

from pwoct.branches import Octave, pool
from pwoct.octave import OctConv
from pwoct.plan.shared.resample import halve

# Where the output of a path is added: to the high or low branch, or to the high branch after upsampling.
HIGH, DOUBLED, LOW = "high", "doubled", "low"


class Term(NamedTuple):
    """One path: a convolution, the branch it reads and how that is pooled, where the output goes."""

    path: str
    conv: nn.Module
    source: str
    pools: tuple[int, ...]
    target: str


def terms(layer: OctConv) -> list[Term]:
    """Return the paths of `layer` in the order in which the reference adds them.

    >>> [(t.path, t.pools, t.target) for t in terms(OctConv(4, 4, alpha_in=0.5, alpha_out=0.5))]
    [('hh', (), 'high'), ('hl', (2,), 'low'), ('lh', (), 'doubled'), ('ll', (), 'low')]
    """
    pooled = () if layer.stride == 1 or layer.stride_rule == "C" else (layer.stride,)
    at_high_size = layer.stride_rule == "A" and layer.stride == 2
    across = HIGH if at_high_size else DOUBLED
    found: list[tuple[str, nn.Module | None, str, tuple[int, ...], str]] = [
        ("hh", layer.hh, "high", pooled, HIGH),
        ("hl", layer.hl, "high", (*pooled, 2), LOW),
        ("lh", layer.lh, "low", () if at_high_size else pooled, across),
        ("ll", layer.ll, "low", pooled, LOW),
    ]
    return [
        Term(path, conv, source, pools, to) for path, conv, source, pools, to in found if conv is not None
    ]


def octave_layer(layer: nn.Module) -> OctConv:
    """Return a layer that is known to be an octave convolution."""
    assert isinstance(layer, OctConv)
    return layer


class Maps:
    """An octave feature map and its pooled copies, each made once, for all layers that read it."""

    def __init__(self, x: Octave) -> None:
        self.x = x
        self._pooled: dict[tuple[str, tuple[int, ...]], Tensor] = {}

    def __call__(self, source: str, pools: tuple[int, ...] = ()) -> Tensor:
        """Return a branch, pooled by each of `pools` in turn."""
        if not pools:
            x = self.x.high if source == "high" else self.x.low
            if x is None:
                raise ValueError(f"this layer needs a {source} branch, got none")
            return x
        key = source, pools
        if key not in self._pooled:
            x = self(source, pools[:-1])
            self._pooled[key] = halve(x) if pools[-1] == 2 else pool(x, pools[-1])
        return self._pooled[key]
