"""Filters rewritten so that fewer convolutions, or ones that fill vectors better, compute the same function.

The weight of a filter bank is (c_out, c_in, k_h, k_w), always with odd k and the padding that keeps the size.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import pad


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return scale and shift, per channel, of a normalisation by its running statistics.

    Raises:
        ValueError: if `norm` keeps no running statistics.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("folding needs a normalisation with running statistics, got one without")
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.affine:
        return scale * norm.weight, norm.bias - norm.running_mean * scale * norm.weight
    return scale, -norm.running_mean * scale


def merge(reduce: Tensor, spatial: Tensor, expand: Tensor) -> Tensor:
    """Return the filters equal to 1x1, kxk, 1x1 with nothing in between: of rank m per tap.

    reduce: (m, c_in, 1, 1). spatial: (m, m, k_h, k_w). expand: (c_out, m, 1, 1).
    Returns (c_out, c_in, k_h, k_w).
    """
    return torch.einsum("om,mnhw,ni->oihw", expand[..., 0, 0], spatial, reduce[..., 0, 0])


def join_low(ll: Tensor, hl: Tensor, lh: Tensor) -> Tensor:
    """Return the filters from [low, pooled high] to [low, to be upsampled]: three paths, one convolution.

    The block from the pooled high branch to the upsampled output is zero.
    """
    nothing = lh.new_zeros((lh.shape[0], hl.shape[1], *lh.shape[2:]))
    return torch.cat((torch.cat((ll, hl), 1), torch.cat((lh, nothing), 1)), 0)


def two_pixels(weight: Tensor) -> Tensor:
    """Return the filters (2 c_out, c_in, k_h, k_w + 1) that compute two neighbours at once, at stride (1, 2).

    Its output channels are those of the left pixel, then those of the right one, so that in channels_last
    the output is the row of pixels itself. It fills vectors where c_out alone does not.
    """
    return torch.cat((pad(weight, (0, 1)), pad(weight, (1, 0))), 0)


def pack_filters(
    filters: Mapping[str, Tensor | None], c_in: tuple[int, int], c_out: tuple[int, int]
) -> Tensor:
    """Return the filters of an octave convolution between packed maps; see `packed.pack`.

    filters: of the paths hh, hl, lh and ll that exist. c_in, c_out: (high, low) channels.
    Returns (4 c_out_H + c_out_L, 4 c_in_H + c_in_L, k_h, k_w): the taps of HH spread over windows, HL
    averages and LH repeats within the filters.
    """
    (in_high, in_low), (out_high, out_low) = c_in, c_out
    hh, hl, lh, ll = (filters.get(path) for path in ("hh", "hl", "lh", "ll"))
    known = next(weight for weight in filters.values() if weight is not None)
    packed = known.new_zeros((4 * out_high + out_low, 4 * in_high + in_low, *known.shape[2:]))
    for sub in range(4):  # (row, column) of a high pixel in its 2x2 window
        rows = slice(sub * out_high, (sub + 1) * out_high)
        columns = slice(sub * in_high, (sub + 1) * in_high)
        if hh is not None:
            _scatter(packed[rows], hh, divmod(sub, 2))
        if lh is not None:
            packed[rows, 4 * in_high :] = lh
        if hl is not None:
            packed[4 * out_high :, columns] = hl / 4
    if ll is not None:
        packed[4 * out_high :, 4 * in_high :] = ll
    return packed


def _scatter(packed: Tensor, hh: Tensor, sub: tuple[int, int]) -> None:
    """Write the taps of HH for output pixel `sub` of each window: each tap reads one pixel of one window."""
    c_in, k_h, k_w = hh.shape[1:]
    for y in range(k_h):
        for x in range(k_w):
            window_y, in_y = divmod(sub[0] + y - k_h // 2, 2)
            window_x, in_x = divmod(sub[1] + x - k_w // 2, 2)
            channels = slice((2 * in_y + in_x) * c_in, (2 * in_y + in_x + 1) * c_in)
            packed[:, channels, window_y + k_h // 2, window_x + k_w // 2] = hh[..., y, x]
