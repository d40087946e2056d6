"""Shifts, flips and normalisation of whole batches, on the training device."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pwoct.training.data import Images

Fill = Literal["zero", "nearest"]
Normalisation = Literal["channel", "pixel_mean"]


@dataclass(frozen=True)
class Moves:
    """The random shifts and flips of a batch: each image's shift in pixels, and whether it is flipped."""

    down: Tensor
    right: Tensor
    mirrored: Tensor

    def __getitem__(self, part: slice) -> "Moves":
        return Moves(self.down[part], self.right[part], self.mirrored[part])

    def to(self, device: torch.device) -> "Moves":
        """Return the moves on `device`."""
        return Moves(*(value.to(device) for value in (self.down, self.right, self.mirrored)))


def draw_moves(rng: np.random.Generator, n: int, size: tuple[int, int], shift: float, flip: bool) -> Moves:
    """Draw the moves of n images: shifts of up to floor(`shift` size) pixels either way, horizontal flips."""
    far = [int(shift * extent) for extent in size]
    down, right = (torch.from_numpy(rng.integers(-most, most + 1, n)) for most in far)
    mirrored = torch.from_numpy(rng.integers(0, 2, n).astype(bool))
    return Moves(down, right, mirrored if flip else torch.zeros_like(mirrored))


def sources(moves: Moves, size: tuple[int, int], fill: Fill) -> tuple[Tensor, Tensor | None]:
    """Return the source pixel of each moved pixel, and which sources lie inside the image.

    Returns an index (n, h w) into the flattened pixels, and booleans of the same shape. With fill "nearest",
    where sources outside the image repeat its edge, the booleans are None.
    """
    h, w = size
    rows = torch.arange(h, device=moves.down.device) - moves.down[:, None]
    columns = torch.arange(w, device=moves.down.device).expand(len(moves.down), w)
    columns = torch.where(moves.mirrored[:, None], w - 1 - columns, columns) - moves.right[:, None]
    index = rows.clamp(0, h - 1)[:, :, None] * w + columns.clamp(0, w - 1)[:, None, :]
    if fill == "nearest":
        return index.flatten(1), None
    inside = ((rows >= 0) & (rows < h))[:, :, None] & ((columns >= 0) & (columns < w))[:, None, :]
    return index.flatten(1), inside.flatten(1)


def augment(pixels: Tensor, moves: Moves, fill: Fill) -> Tensor:
    """Return the moved images; pixels: (n, h, w, c) of any type."""
    n, h, w, c = pixels.shape
    index, inside = sources(moves, (h, w), fill)
    start = torch.arange(n, device=pixels.device)[:, None] * (h * w)
    moved = pixels.reshape(n * h * w, c).index_select(0, (start + index).flatten()).view(n, h, w, c)
    return moved if inside is None else moved * inside.view(n, h, w, 1).to(moved.dtype)


@dataclass(frozen=True)
class Normalise:
    """Subtract a mean and divide by a scale; both broadcast against (n, h, w, c)."""

    mean: Tensor
    scale: Tensor

    def to(self, device: torch.device) -> "Normalise":
        """Return a copy on `device`."""
        return Normalise(self.mean.to(device), self.scale.to(device))

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return float32 (n, h, w, c) of uint8 pixels."""
        return (pixels.to(torch.float32) - self.mean) / self.scale

    @classmethod
    def fit(cls, images: Images, how: Normalisation) -> "Normalise":
        """Return the normalisation that `how` names, computed from these images.

        "channel": mean and standard deviation of each channel. "pixel_mean": the mean image; pixels / 255.
        """
        pixels = images.pixels
        if how == "pixel_mean":
            mean = pixels.sum(0, dtype=torch.int64).double() / len(pixels)
            return cls(mean.float(), torch.tensor(255.0, device=pixels.device))
        values = torch.arange(256, dtype=torch.float64, device=pixels.device)
        counts = torch.stack([torch.bincount(part.flatten(), minlength=256) for part in pixels.unbind(-1)])
        share = counts.double() / counts.sum(1, keepdim=True)  # a histogram: exact, and faster than summing
        mean = share @ values
        return cls(mean.float(), (share @ values**2 - mean**2).sqrt().float())
