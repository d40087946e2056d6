"""Which form of a layer is computed: functions of channels, sizes and data type, never of a timing.

The numbers in these rules come from the measurements in docs/performance.md: vectors hold 16 float32
output channels, a tile of bfloat16 holds 32 input channels, and a small call is dominated by its overhead.
"""

import torch

VECTOR = 16  # float32 output channels that a convolution computes at once

# Widest packed map that is faster than four convolutions: packing multiplies the MACs of HH by 4.
PACKED_CHANNELS = {torch.float32: 32, torch.bfloat16: 64}
TILE = 32  # bfloat16 input channels of one tile

# With these bytes of a vector, and up to this width of the first stage, this package's kernels were faster.
MEASURED_BYTES = (32, 64)
WIDEST = 64


def fill(channels: int, block: int = VECTOR) -> int:
    """Return `channels`, rounded up to whole blocks.

    >>> fill(12), fill(32)
    (16, 32)
    """
    return -(-channels // block) * block


def is_packed(split: tuple[int, int], size: tuple[int, int], dtype: torch.dtype) -> bool:
    """Whether the inner blocks of a stage keep their maps packed, given its (c_H, c_L) and high size.

    >>> is_packed((4, 12), (32, 32), torch.float32), is_packed((8, 8), (32, 32), torch.float32)
    (True, False)
    """
    high, low = split
    even = size[0] % 2 == 0 and size[1] % 2 == 0
    return high > 0 and low > 0 and even and 4 * high + low <= PACKED_CHANNELS.get(dtype, 0)


def packed_channels(split: tuple[int, int], dtype: torch.dtype) -> int:
    """Return the channels of a packed map, padded to whole tiles in bfloat16 if they nearly fill them.

    >>> packed_channels((4, 12), torch.bfloat16), packed_channels((8, 8), torch.bfloat16)
    (32, 40)
    """
    channels = 4 * split[0] + split[1]
    filled = fill(channels, TILE)
    return filled if dtype == torch.bfloat16 and 7 * channels >= 6 * filled else channels


def stored_channels(channels: int, dtype: torch.dtype) -> int:
    """Return the channels with which a branch is stored: 12 bfloat16 channels are slower than 16.

    >>> [stored_channels(c, torch.bfloat16) for c in (4, 12)], stored_channels(12, torch.float32)
    ([4, 16], 12)
    """
    return fill(channels, 8) if dtype == torch.bfloat16 and channels > 8 else channels


def takes_two_pixels(c_out: int, kernel: tuple[int, int], width: int, dtype: torch.dtype) -> bool:
    """Whether a convolution computes two pixels at once: a pair with `c_out` channels each fills a vector.

    The filter then spans one more column, so the vectors saved must outweigh that. In bfloat16, pairs are
    fast with 8 channels, but not with 4.

    >>> [takes_two_pixels(c, (3, 3), 32, torch.float32) for c in (4, 8, 12)]
    [True, True, False]
    """
    k = kernel[1]
    saves = k > 1 and fill(2 * c_out) * (k + 1) < 2 * fill(c_out) * k
    return saves and width % 2 == 0 and (dtype != torch.bfloat16 or c_out % 8 == 0)


def doubles_rows(c_out: int, size: tuple[int, int]) -> bool:
    """Whether the filters of LH repeat pixels within a row, so that only whole rows are left to repeat.

    >>> doubles_rows(8, (16, 16)), doubles_rows(64, (8, 8)), doubles_rows(8, (15, 15))
    (True, False, False)
    """
    return c_out <= VECTOR and size[0] % 2 == 0 and size[1] % 2 == 0


def adds_rows(channels: int, dtype: torch.dtype) -> bool:
    """Whether pooling adds whole rows first: the library's pooling works on one pixel's channels at a time.

    >>> adds_rows(12, torch.float32), adds_rows(16, torch.float32), adds_rows(12, torch.bfloat16)
    (True, False, False)
    """
    return channels < VECTOR and dtype != torch.bfloat16


def merges_bottleneck(c_in: int, hidden: int, c_out: int, kernel: tuple[int, int]) -> bool:
    """Whether 1x1, kxk, 1x1 without anything in between become one kxk convolution at inference.

    Counts whole vectors of output channels; the 1x1 convolutions and the maps in between add half of that.

    >>> merges_bottleneck(12, 6, 12, (3, 3)), merges_bottleneck(96, 48, 96, (3, 3))
    (True, False)
    """
    k = kernel[0] * kernel[1]
    steps = c_in * fill(hidden) + k * hidden * fill(hidden) + hidden * fill(c_out)
    return 2 * k * c_in * fill(c_out) <= 3 * steps


def is_native(width: int, images: int, lanes: int) -> bool:
    """Whether the plan "native" suits a network of `width` channels in its first stage, if it can run at all.

    Wide layers fill the library's vectors as well. Blocks of `lanes` images must be filled to two thirds.

    >>> [is_native(width, 128, 16) for width in (16, 64, 128)], is_native(16, 6, 16), is_native(16, 6, 8)
    ([True, True, False], False, True)
    """
    return width <= WIDEST and fills_blocks(images, lanes)


def fills_blocks(images: int, lanes: int) -> bool:
    """Whether images fill at least two thirds of their blocks of `lanes` images.

    >>> [fills_blocks(images, 16) for images in (10, 11, 20, 22)]
    [False, True, False, True]
    """
    return 2 * fill(images, lanes) <= 3 * images


def is_blocked(width: int, size: tuple[int, int]) -> bool:
    """Whether the plan "blocked" suits a network in training, if it can run at all.

    >>> is_blocked(16, (32, 32)), is_blocked(128, (32, 32)), is_blocked(16, (28, 28))
    (True, False, False)
    """
    return width <= WIDEST and size[0] % 8 == 0 and size[1] % 8 == 0


def uses_winograd(c_in: int, c_out: int, size: tuple[int, int]) -> bool:
    """Whether 3x3 convolutions of stride 1 use Winograd's method, given the output's size.

    Transforming a tile of 2x2 pixels must cost less than it saves; 2 tiles of a row are computed at once. In
    float32, 6 output channels would suffice.

    >>> uses_winograd(16, 16, (32, 32)), uses_winograd(16, 4, (16, 16)), uses_winograd(16, 16, (7, 7))
    (True, False, False)
    """
    return c_in >= 4 and c_out >= 8 and size[0] % 2 == 0 and size[1] % 4 == 0


def joins_winograd(c_in: int, c_second: int, c_out: int, c_across: int, size: tuple[int, int]) -> bool:
    """Whether 3x3 convolutions that share a map are computed together by Winograd's method.

    Of c_in and c_second input channels, all make c_out output channels, and the first ones c_across more:
    the paths LL, HL and LH of an octave layer. Their common input and output are transformed once.

    >>> joins_winograd(4, 12, 4, 12, (16, 16)), joins_winograd(2, 2, 2, 2, (16, 16))
    (True, False)
    """
    return c_second > 0 and c_across > 0 and uses_winograd(c_in + c_second, c_out + c_across, size)


def joins_low_paths(split_in: tuple[int, int], split_out: tuple[int, int]) -> bool:
    """Whether LL, HL and LH become one convolution over [low, pooled high] in training.

    It must save 30 % of the vectors, since it copies its input and output.

    >>> joins_low_paths((4, 12), (4, 12)), joins_low_paths((48, 16), (48, 16))
    (True, False)
    """
    (high_in, low_in), (high_out, low_out) = split_in, split_out
    apart = (low_in + high_in) * fill(low_out) + low_in * fill(high_out)
    together = (low_in + high_in) * fill(low_out + high_out)
    return 10 * together <= 7 * apart
