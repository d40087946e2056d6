"""Octave feature maps packed into one tensor: each 2x2 window of high pixels beside its low pixel."""

import torch
from torch import Tensor

from pwoct.branches import Octave


def pack(x: Octave, channels: int) -> Tensor:
    """Return (n, channels, h/2, w/2) in channels_last: four high pixels, the low pixel, then zeros.

    x: high (n, c_H, h, w) and low (n, c_L, h/2, w/2) with even h and w; channels: at least 4 c_H + c_L.
    """
    high, low = x
    assert high is not None
    assert low is not None
    n, c, h, w = high.shape
    windows = high.permute(0, 2, 3, 1).reshape(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5)
    parts = [windows.reshape(n, h // 2, w // 2, 4 * c), low.permute(0, 2, 3, 1)]
    unused = channels - 4 * c - low.shape[1]
    if unused:
        parts.append(high.new_zeros((n, h // 2, w // 2, unused)))
    return torch.cat(parts, 3).permute(0, 3, 1, 2)


def unpack(x: Tensor, split: tuple[int, int]) -> Octave:
    """Return the two branches of a packed map with (c_H, c_L) channels; the inverse of `pack`."""
    (n, _, h, w), (c_high, c_low) = x.shape, split
    pixels = x.permute(0, 2, 3, 1)
    windows = pixels[..., : 4 * c_high].reshape(n, h, w, 2, 2, c_high).permute(0, 1, 3, 2, 4, 5)
    high = windows.reshape(n, 2 * h, 2 * w, c_high).permute(0, 3, 1, 2)
    low = pixels[..., 4 * c_high : 4 * c_high + c_low].contiguous().permute(0, 3, 1, 2)
    return Octave(high, low)
