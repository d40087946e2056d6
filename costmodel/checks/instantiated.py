"""The paper's networks and layers, built by `pwoct` and counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from costmodel.checks.instances import counted
from costmodel.paper.cells import BOTTLENECK, PLAIN, Count
from costmodel.paper.printed import BETA, PrintedRow
from pwoct.octave import OctConv
from pwoct.pwise_octave import PwiseOctConv
from pwoct.resnet import resnet


def network_count(row: PrintedRow) -> Count:
    """Return parameters and MACs of the network of a row."""
    return _count(lambda: resnet(row.depth, alpha=row.alpha, beta=BETA, paths=row.paths), channels=3)


def layer_counts() -> Mapping[str, Count]:
    """Return parameters and MACs of the layer of section 5.3, plain and as a bottleneck.

    >>> {name: count.params for name, count in layer_counts().items()} == {
    ...     "OctConv": 9 * 16 * 16, "PwiseOctConv HH": 16 * 8 + 9 * 8 * 8 + 8 * 16}
    True
    """
    return {
        PLAIN: _count(lambda: OctConv(16, 16), channels=16),
        BOTTLENECK: _count(lambda: PwiseOctConv(16, 16, paths=["HH"], beta=2), channels=16),
    }


def _count(build: Callable[[], nn.Module], channels: int) -> Count:
    """Count a module that runs on an image of 32x32."""
    macs, params = counted(build, [(1, channels, 32, 32)], "cpu")
    return Count(params, macs)
