"""The assignment of a feature map's channels to branches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pwoct.channels import Ratio, split_channels


@dataclass(frozen=True)
class BranchLayout:
    """The channels of the high and of the low branch, by their indices in the whole feature map.

    >>> BranchLayout.split(8, "1/4")
    BranchLayout(high=(0, 1, 2, 3, 4, 5), low=(6, 7))
    """

    high: tuple[int, ...]
    low: tuple[int, ...]

    @classmethod
    def plain(cls, channels: int) -> BranchLayout:
        """Return the layout without a low branch."""
        return cls(tuple(range(channels)), ())

    @classmethod
    def split(cls, channels: int, alpha: Ratio) -> BranchLayout:
        """Return the layout whose last channels, a fraction alpha, are low."""
        high = split_channels(channels, alpha).high
        return cls(tuple(range(high)), tuple(range(high, channels)))

    @property
    def channels(self) -> int:
        """The number of channels of both branches."""
        return len(self.high) + len(self.low)

    @property
    def is_plain(self) -> bool:
        """Whether there is no low branch, and the channels are in order."""
        return not self.low and self.high == tuple(range(len(self.high)))

    @cached_property
    def merged_order(self) -> tuple[int, ...]:
        """For each channel of the whole map, its index in the concatenation of high and low."""
        place = {channel: k for k, channel in enumerate((*self.high, *self.low))}
        return tuple(place[channel] for channel in range(self.channels))

    def selected(self, channels: Sequence[int]) -> BranchLayout:
        """Return the layout of a map of some of the channels, renumbered in that order."""
        place = {channel: k for k, channel in enumerate(channels)}
        return BranchLayout(
            tuple(place[c] for c in self.high if c in place), tuple(place[c] for c in self.low if c in place)
        )

    def renumbered(self, number_of: Sequence[int]) -> BranchLayout:
        """Return the layout in which channel c has the index `number_of[c]`; no data moves."""
        return BranchLayout(tuple(number_of[c] for c in self.high), tuple(number_of[c] for c in self.low))

    def shifted(self, by: int) -> BranchLayout:
        """Return the layout with every index increased."""
        return BranchLayout(tuple(c + by for c in self.high), tuple(c + by for c in self.low))

    def repeated(self, times: int) -> BranchLayout:
        """Return the layout in which each channel is repeated into several adjacent ones."""
        return BranchLayout(tuple(_each(self.high, times)), tuple(_each(self.low, times)))


def _each(channels: Sequence[int], times: int) -> Iterator[int]:
    for channel in channels:
        yield from range(channel * times, (channel + 1) * times)


def take(x: Tensor, channels: Sequence[int], dim: int = 1) -> Tensor:
    """Return some channels of a tensor; a view if they are adjacent.

    >>> take(torch.tensor([[5, 6, 7]]), (1, 2)), take(torch.tensor([[5, 6, 7]]), (2, 0))
    (tensor([[6, 7]]), tensor([[7, 5]]))
    """
    if is_run(channels):
        whole = len(channels) == x.shape[dim]
        return x if whole else x.narrow(dim, channels[0] if channels else 0, len(channels))
    return x.index_select(dim, torch.tensor(channels, device=x.device))


def is_run(channels: Sequence[int]) -> bool:
    """Whether channels are adjacent and in order."""
    return not channels or tuple(channels) == tuple(range(channels[0], channels[0] + len(channels)))
