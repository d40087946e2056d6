"""Torch's functions on a feature map in two branches give what they give on the merged map."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as f

from pwoct.conversion.layout import BranchLayout
from pwoct.conversion.tensor import OctaveTensor, merge

SIZES = ((2, 2), (1, 3), (7, 6))
LAYOUTS = (BranchLayout.split(8, "1/4"), BranchLayout((0, 5, 2, 7), (6, 1, 4, 3)))


def pair(size: tuple[int, int], layout: BranchLayout) -> OctaveTensor:
    draw = torch.Generator().manual_seed(2)
    high = torch.randn(2, len(layout.high), *size, generator=draw)
    half = [-(-side // 2) for side in size]
    return OctaveTensor(high, torch.randn(2, len(layout.low), *half, generator=draw), layout, size)


EXACT: dict[str, Callable[[Tensor], Tensor]] = {
    "equal to a number": lambda x: (f.relu(x) == 0).float() * x,
    "unequal to a number": lambda x: (f.relu(x) != 0).float(),
    "greater": lambda x: x * (x > 0),
    "masked_fill": lambda x: x.masked_fill(x < 0, 0.5),
    "where": lambda x: torch.where(x > 0, x, 0.1 * x),
    "number minus map": lambda x: 1 - x,
    "number over map": lambda x: 1 / (x.abs() + 1),
    "power of a number": lambda x: 2**x,
    "sum with a weight": lambda x: torch.add(x, x * x, alpha=3),
    "addcmul": lambda x: torch.addcmul(x, x, x, value=0.1),
    "lerp": lambda x: torch.lerp(x, x * x, 0.3),
    "one number per channel": lambda x: torch.arange(8.0)[:, None, None] * x,
    "input by name": lambda x: f.silu(input=x),
    "chunks by name": lambda x: torch.chunk(input=x, chunks=2, dim=1)[1],
    "split by name": lambda x: torch.split(x, split_size_or_sections=[3, 5], dim=1)[1],
    "tensor_split": lambda x: torch.cat(torch.tensor_split(x, 3, 1)[::-1], 1),
    "list of channels": lambda x: x[:, [3, 1]],
    "every second pixel": lambda x: x[..., ::2],
    "one image": lambda x: x[1],
    "narrow": lambda x: x.narrow(1, 2, 3),
    "three axes of channels": lambda x: x.reshape(2, 4, 2, *x.shape[2:]).sum(2),
    "positions as one axis": lambda x: x.flatten(2) @ x.flatten(2).mT,
    "softmax over channels": lambda x: x.softmax(1),
    "maximum over channels": lambda x: x.max(dim=1)[0],
    "layer_norm": lambda x: f.layer_norm(x.permute(0, 2, 3, 1), (8,)),
    "glu": lambda x: f.glu(x, 1),
    "stack": lambda x: torch.stack([x, x * 2]).sum(0),
    "pixel_shuffle": lambda x: f.pixel_shuffle(x, 2),
    "flip": lambda x: x.flip(1),
    "padding of channels": lambda x: f.pad(x, (0, 0, 0, 0, 1, 2)),
    "cropping": lambda x: f.pad(x, (0, -1, 0, 0)),
    "dtype": lambda x: x.to(torch.float64).float(),
    "copy": lambda x: torch.empty_like(x).copy_(x),
}


@pytest.mark.parametrize("kind", EXACT)
def test_a_function_gives_what_it_gives_on_the_merged_map(kind: str) -> None:
    for size in SIZES:
        for layout in LAYOUTS:
            x = pair(size, layout)
            wanted = EXACT[kind](x.merged().clone())
            torch.testing.assert_close(merge(EXACT[kind](x)), wanted)  # type: ignore[arg-type]


RESIZED: dict[str, Callable[[Tensor], Tensor]] = {
    "reflection": lambda x: f.pad(x, (1, 1, 1, 1), mode="reflect"),
    "circular padding": lambda x: f.pad(x, (1, 1, 1, 1), mode="circular"),
    "replication": lambda x: f.pad(x, (2, 1, 0, 3), mode="replicate"),
    "constant": lambda x: f.pad(x, (1, 2, 3, 0), value=2.0),
    "overlapping windows": lambda x: f.max_pool2d(x, 3, 2, 1),
    "windows over the edge": lambda x: f.avg_pool2d(x, 2, ceil_mode=True),
    "pooling with indices": lambda x: f.max_pool2d(x, 2, return_indices=True)[0],
    "pooling to a size": lambda x: f.adaptive_avg_pool2d(x, (2, 1)),
    "a half": lambda x: f.interpolate(x, scale_factor=0.5, mode="bilinear"),
    "three times": lambda x: f.interpolate(x, scale_factor=(3, 2), mode="nearest"),
    "a given size": lambda x: f.interpolate(x, (7, 3)),
}


@pytest.mark.parametrize("kind", RESIZED)
def test_sizes_are_those_of_the_merged_map(kind: str) -> None:
    for size in ((2, 2), (3, 4), (7, 6), (8, 8)):
        x = pair(size, LAYOUTS[1])
        wanted = RESIZED[kind](x.merged())
        found = RESIZED[kind](x)  # type: ignore[arg-type]
        assert merge(found).shape == wanted.shape
        if isinstance(found, OctaveTensor) and found.low is not None:
            assert found.low.shape[2:] == tuple(-(-side // 2) for side in wanted.shape[2:])


def test_a_map_in_two_branches_is_found_by_itself_alone() -> None:
    x, y = pair((2, 2), LAYOUTS[0]), pair((2, 2), LAYOUTS[0])
    assert len({x, y, x}) == 2
