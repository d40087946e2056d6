"""The weights of convolutions in the order in which compiled kernels read them."""

import ctypes

import torch
from torch import Tensor
from torch.nn.functional import pad

from pwoct.plan.compiled import operations
from pwoct.plan.compiled.library import load

NOTHING = -1  # the place of a weight that is zero

# Winograd's F(2x2, 3x3) multiplies transformed filters G g G' (Lavin and Gray, 2016, section 4.1).
G = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))
# Their positions in the order of the parts of `multiply_tile` in winograd.h.
PARTS = (
    ((1, 1), (1, 2), (2, 1), (2, 2)),
    ((0, 1), (0, 2), (3, 1), (3, 2)),
    ((1, 0), (1, 3), (2, 0), (2, 3)),
    ((0, 0), (0, 3), (3, 0), (3, 3)),
)
HALVED = (0, 1)  # parts whose sums are doubled later


def winograd_transform() -> Tensor:
    """Return the (16, 9) transform of 9 taps, in the order of `PARTS`; row and column 3 are negated."""
    g = torch.tensor(G, dtype=torch.float64, device="cpu")
    signed = g * torch.tensor([1.0, 1.0, 1.0, -1.0], dtype=torch.float64, device="cpu")[:, None]
    rows = [
        torch.outer(signed[row], signed[column]).flatten() * (0.5 if part in HALVED else 1.0)
        for part, positions in enumerate(PARTS)
        for row, column in positions
    ]
    return torch.stack(rows)


class Weights:
    """The weights of all convolutions of a training step, by the places of their filters in all parameters.

    Args:
        group: channels that share a vector.
    """

    def __init__(self, group: int) -> None:
        self.group = group
        self._count = 0
        self._parts: list[tuple[Tensor, bool]] = []  # places, and whether they refer to transformed filters
        self._taps: list[Tensor] = []  # places of the taps of transformed filters: (filters, 9)

    def add(self, places: Tensor) -> int:
        """Add a filter bank (c_out, c_in, k_h, k_w) of places; return where its weights begin."""
        return self._add(operations.arrange(places, self.group, self.group, missing=NOTHING), False)

    def add_winograd(self, places: Tensor) -> int:
        """Add a filter bank (c_out, c_in, 3, 3) of places that is multiplied by Winograd's method."""
        c_out, c_in = places.shape[:2]
        first = 16 * sum(len(taps) for taps in self._taps)
        self._taps.append(places.reshape(-1, 9))
        numbers = first + torch.arange(16 * c_out * c_in, device="cpu").view(c_out, c_in, 4, 4)
        return self._add(arrange_winograd(numbers, self.group, self.group, missing=NOTHING), True)

    def _add(self, places: Tensor, is_winograd: bool) -> int:
        begin = self._count // self.group
        self._parts.append((places, is_winograd))
        self._count += len(places)
        return begin

    def arrangement(self, parameter_count: int) -> Tensor:
        """Return the place of each weight among all parameters, a zero and all transformed filters."""
        zero, begin = parameter_count, parameter_count + 1
        parts = (
            torch.where(places == NOTHING, zero, places + (begin if is_winograd else 0))
            for places, is_winograd in self._parts
        )
        nothing = torch.empty(0, dtype=torch.int32, device="cpu")
        return torch.cat(
            [nothing, *(part.int() for part in parts)]
        )  # PyTorch gathers faster with 32-bit indices

    def taps(self) -> Tensor:
        """Return the places of the taps of all transformed filters: (filters, 9)."""
        none = torch.empty((0, 9), dtype=torch.int64, device="cpu")
        return torch.cat([none, *self._taps]).int()


def winograd_weights(weight: Tensor, group_in: int, group_out: int) -> Tensor:
    """Return a filter bank (c_out, c_in, 3, 3), transformed and in the order in which it is read."""
    transformed = weight.double().flatten(2) @ winograd_transform().T
    return arrange_winograd(transformed.view(*weight.shape[:2], 4, 4), group_in, group_out)


def arrange_winograd(numbers: Tensor, group_in: int, group_out: int, missing: int = 0) -> Tensor:
    """Return numbers (c_out, c_in, parts, sums) in the order in which `multiply_channels` reads weights.

    Channels that groups lack are `missing`.
    """
    c_out, c_in = numbers.shape[:2]
    padded = pad(numbers, (0, 0, 0, 0, 0, -c_in % group_in, 0, -c_out % group_out), value=missing)
    grouped = padded.view(len(padded), -1, group_in, 4, 4)
    ordered = torch.split(grouped, tile_channels(len(padded)))
    return torch.cat([part.permute(3, 1, 4, 0, 2).flatten() for part in ordered])


def tile_channels(channels: int) -> list[int]:
    """Return the numbers of output channels that are computed together, in order."""
    counts: list[int] = []
    while (left := channels - sum(counts)) > 0:
        counts.append(int(load().pwoct_tile_channels(ctypes.c_int64(left))))
    return counts
