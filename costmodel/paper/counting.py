"""Readings: how a network is built and what of it is counted, where the paper is silent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from costmodel.paper.inventory import CONV_KINDS, Amounts, Build, NetworkVariant, inventory
from costmodel.paper.printed import PrintedRow, matches

OCTAVE_BIASES = ("none", "branch", "path", "kernel")


@dataclass(frozen=True)
class Counting:
    """What of a network is counted; by default every convolution and linear kernel, and nothing else."""

    reduce: bool = True  # the first 1x1 convolutions of bottlenecks
    expand: bool = True  # their second 1x1 convolutions
    shortcuts: bool = True
    head: bool = True
    stem_bias: bool = False
    plain_bias: bool = False  # of standard convolutions other than the stem
    octave_bias: str = "none"  # one per output channel of each branch, of each path, or of each convolution
    head_bias: bool = False
    bn: int = 0  # numbers per channel
    bn_inner: bool = False  # as many behind the first two convolutions of a bottleneck

    def coefficients(self) -> Mapping[str, int]:
        """Return how many times each kind of an inventory is counted.

        >>> Counting(reduce=False, bn=4).coefficients()["bn"]
        4
        """
        conv = {
            **dict.fromkeys(CONV_KINDS, 1),
            "reduce": int(self.reduce),
            "expand": int(self.expand),
            "bias_plain": int(self.plain_bias),
            "bias_branch": int(self.octave_bias == "branch"),
            "bias_path": int(self.octave_bias in ("path", "kernel")),
            "bias_inner": int(self.octave_bias == "kernel"),
        }
        shortcuts = {f"shortcut_{kind}": self.shortcuts * times for kind, times in conv.items()}
        return {
            **conv,
            **shortcuts,
            "stem": 1,
            "stem_bias": int(self.stem_bias),
            "head": int(self.head),
            "head_bias": int(self.head and self.head_bias),
            "bn": self.bn,
            "bn_inner": self.bn * self.bn_inner,
        }

    def of(self, amounts: Amounts) -> int:
        """Return the count of an inventory's parameters or MACs."""
        coefficients = self.coefficients()
        return sum(coefficients[kind] * amount for kind, amount in amounts.items())


@dataclass(frozen=True)
class Reading:
    """One network, and what is counted as its parameters and as its MACs."""

    build: Build
    params: Counting
    macs: Counting
    rounding: str = "rounded"

    def count(self, row: PrintedRow, quantity: str) -> int:
        """Return the count, params or macs, of a row's network under this reading."""
        there = inventory(subject(row), self.build)
        return self.params.of(there.params) if quantity == "params" else self.macs.of(there.macs)

    def matches(self, row: PrintedRow, quantity: str) -> bool:
        """Return whether the printed count of a row follows from this reading."""
        printed = row.printed(quantity)
        return printed is not None and matches(self.count(row, quantity), printed, quantity, self.rounding)

    def with_pointwise(self) -> Reading:
        """Return the same reading with both 1x1 convolutions of every bottleneck counted."""
        return self._counting_pointwise(True)

    def without_pointwise(self) -> Reading:
        """Return the same reading with neither 1x1 convolution of a bottleneck counted."""
        return self._counting_pointwise(False)

    def _counting_pointwise(self, counted: bool) -> Reading:
        params, macs = (replace(one, reduce=counted, expand=counted) for one in (self.params, self.macs))
        return replace(self, params=params, macs=macs)


def described(choice: Build | Counting) -> dict[str, Any]:
    """Return a choice as plain values, by axis."""
    return {field.name: getattr(choice, field.name) for field in fields(choice)}


def subject(row: PrintedRow) -> NetworkVariant:
    """Return the network of a row."""
    return NetworkVariant(row.depth // 6, row.alpha, row.paths)


# The reading from which all 40 printed counts follow; `search` finds it.
PRINTED = Reading(
    Build(),
    Counting(reduce=False, expand=False, stem_bias=True, plain_bias=True, head_bias=True, bn=4),
    Counting(shortcuts=False),
)
# The network of this project, counted in full.
BUILT = Reading(Build(), Counting(head_bias=True, bn=2), Counting())
