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


class Scattered(NamedTuple):
    """The recorded gradient of one of the maps that a copy reads.

    elements: as those of `Move`, but of this map alone; pixels that come from elsewhere are negative.
    """

    step: Step
    source: Map
    elements: Tensor


def tables_of(
    moves: Sequence[Move], group: int, scattered: Sequence[Scattered] = ()
) -> tuple[Tensor, Tensor]:
    """Return the tables of all moves and their constants, as moves.h reads them; maps must have places."""
    tables = [torch.empty(0, dtype=torch.int64, device="cpu")]
    constants: list[float] = []
    size = 0
    for move in moves:
        move.step.operation.table = size
        tables.append(_table(move, group, len(constants)))
        constants += move.constants
        size += len(tables[-1])
    for back in scattered:
        back.step.operation.table = size
        tables.append(_arranged(back.elements, _places(back.source, group, 0), group, -1))
        size += len(tables[-1])
    return torch.cat(tables), torch.tensor([*constants, 0.0], dtype=torch.float64, device="cpu")


def _table(move: Move, group: int, first_constant: int) -> Tensor:
    nothing = torch.zeros(1, dtype=torch.int64, device="cpu")
    places = torch.cat([_places(source, group, source.place) for source in move.sources] or [nothing])
    elements = torch.where(move.elements < 0, move.elements - first_constant, move.elements)
    return _arranged(elements, places, group, int(places[0]))


def _arranged(elements: Tensor, places: Tensor, group: int, missing: int) -> Tensor:
    """Return the places of elements, or negative numbers as they are, in the order of the output's channels.

    missing: what channels have that only fill a group.
    """
    found = torch.where(elements < 0, elements, places[elements.clamp(min=0)])
    c, h, w = found.shape
    more = torch.full((-c % group, h, w), missing, dtype=torch.int64, device="cpu")
    whole = torch.cat([found, more]).view(-1, group, h, w)
    return whole.permute(0, 2, 3, 1).flatten()


def _places(source: Map, group: int, begin: int) -> Tensor:
    """Return the place of each element of a map: `group` times its vector, plus its channel in the vector."""
    channels = torch.arange(source.channels, device="cpu")[:, None]
    pixels = torch.arange(source.height * source.width, device="cpu")
    vectors = begin + channels // group * len(pixels) + pixels
    return (vectors * group + channels % group).flatten()
