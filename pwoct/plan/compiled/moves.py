"""Copies of pixels between maps, as tables of the places that they come from."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pwoct.plan.compiled.operations import Map, Step


class Move(NamedTuple):
    """A recorded copy.

    sources: the maps that are read. elements: (channels, height, width), for each pixel its number among the
    elements of all sources, one map behind the other; or -1 - i for constant i.
    """

    step: Step
    sources: Sequence[Map]
    elements: Tensor
    constants: Sequence[float]


def tables_of(moves: Sequence[Move], group: int) -> tuple[Tensor, Tensor]:
    """Return the tables of all moves and their constants, as moves.h reads them; maps must have places."""
    tables = [torch.empty(0, dtype=torch.int64, device="cpu")]
    constants: list[float] = []
    size = 0
    for move in moves:
        move.step.operation.table = size
        tables.append(_table(move, group, len(constants)))
        constants += move.constants
        size += len(tables[-1])
    return torch.cat(tables), torch.tensor([*constants, 0.0], dtype=torch.float64, device="cpu")


def _table(move: Move, group: int, first_constant: int) -> Tensor:
    places = torch.cat([_places(source, group) for source in move.sources] or [torch.zeros(1).long()])
    elements = move.elements
    found = torch.where(elements < 0, elements - first_constant, places[elements.clamp(min=0)])
    missing = -len(found) % group
    if missing:  # channels that only fill a group repeat the first, whose place is valid
        found = torch.cat([found, found[:1].expand(missing, -1, -1)])
    c, h, w = found.shape
    return found.view(c // group, group, h, w).permute(0, 2, 3, 1).flatten()


def _places(source: Map, group: int) -> Tensor:
    """Return the place of each element of a map: `group` times its vector, plus its channel in the vector."""
    channels = torch.arange(source.channels, device="cpu")[:, None]
    pixels = torch.arange(source.height * source.width, device="cpu")
    vectors = source.place + channels // group * len(pixels) + pixels
    return (vectors * group + channels % group).flatten()
