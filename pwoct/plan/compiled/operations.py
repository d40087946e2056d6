"""Operations on feature maps in blocks of images, as compiled kernels read them, and their memory."""

import ctypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import pad

from pwoct.plan.compiled.library import load

# The kinds of kernels.h, in the same order.
(
    CONVOLUTION,
    POOLING,
    WINOGRAD_CONVOLUTION,
    SUMMING,
    STATISTICS,
    NORMALISATION,
    NORMALISATION_SUMS,
    NORMALISATION_GRADIENT,
    WEIGHT_GRADIENT,
    BARRIER,
    PAIRING,
    PAIRED_WEIGHT_GRADIENT,
    WINOGRAD_WEIGHT_GRADIENT,
    MAPPING,
    WINDOWS,
    DEPTHWISE,
    MOVING,
    MAPPING_GRADIENT,
    PRODUCT_SUMS,
    WINDOWS_GRADIENT,
    SCATTERING,
    DEPTHWISE_GRADIENT,
    TAP_GRADIENT,
    BIAS_GRADIENT,
) = range(24)
NONE = -1
GROUPS = {torch.float32: 1, torch.float64: 1, torch.bfloat16: 2}  # channels of an image in one vector
MAPS = ("input", "output", "plus", "doubled", "source", "result", "second", "pooled")
FIELDS = (
    *("kind", *MAPS, "weight", "bias", "weight_of_source", "weight_of_second", "statistics"),
    *("groups", "channels"),
    *("height", "width", "out_height", "out_width", "doubled_height", "doubled_width"),
    *("source_height", "source_width", "source_groups", "second_channels"),
    *(
        "kernel_height",
        "kernel_width",
        "stride",
        "pad_height",
        "pad_width",
        "dilation",
        "spread",
        "first_row",
        "first_column",
        "relu",
    ),
    *("function", "table"),
)
Size = tuple[int, int]


class Operation(ctypes.Structure):
    """One operation, as defined in kernels.h. A test compares the two sizes."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in FIELDS),
        *((name, ctypes.c_double) for name in ("scale", "epsilon", "parameter", "limit")),
    )


@dataclass(eq=False)
class Map:
    """A feature map of one block of images; two of the same shape are different maps.

    `place` is its offset in memory, in vectors, once assigned.
    """

    channels: int
    height: int
    width: int
    place: int = NONE

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.height, self.width

    def groups(self, group: int) -> int:
        """Return the number of groups that hold all channels."""
        return -(-self.channels // group)

    def vectors(self, group: int) -> int:
        """Return its size in vectors."""
        return self.groups(group) * self.height * self.width


@dataclass
class Step:
    """An operation whose maps have no offset yet, by the names of its fields.

    others: other maps that it writes, by the names of their fields.
    offsets: of maps of which it reads or writes a part, from their beginning, in vectors.
    """

    operation: Operation
    reads: dict[str, Map]
    output: Map | None
    others: dict[str, Map] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)

    @property
    def outputs(self) -> list[Map]:
        """The maps that it writes."""
        return [*([] if self.output is None else [self.output]), *self.others.values()]

    def settle(self) -> Operation:
        """Return the operation, with the places of its maps."""
        maps = self.reads | self.others | ({} if self.output is None else {"output": self.output})
        for name in MAPS:
            found = maps.get(name)
            place = NONE if found is None else found.place + self.offsets.get(name, 0)
            setattr(self.operation, name, place)
        return self.operation


def step(kind: int, output: Map | None, reads: dict[str, Map | None], /, **fields: float) -> Step:
    """Return a step, with sizes and channels taken from its maps."""
    found = {name: read for name, read in reads.items() if read is not None}
    operation = Operation(kind=kind, scale=1.0, bias=NONE, spread=1)
    sized = {"out_": output} | {f"{name}_": found.get(name) for name in ("doubled", "source")}
    for prefix, x in ({"": found.get("input")} | sized).items():
        if x is not None:
            setattr(operation, f"{prefix}height", x.height)
            setattr(operation, f"{prefix}width", x.width)
    for name, value in fields.items():
        setattr(operation, name, value)
    return Step(operation, found, output)


def check_sums(y: Map, plus: Map | None, doubled: Map | None = None) -> None:
    """Check that maps fit the one to which they are added.

    Raises:
        ValueError: if they do not.
    """
    half = (y.channels, -(-y.height // 2), -(-y.width // 2))
    for x, wanted in ((plus, (y.channels, *y.size)), (doubled, half)):
        got = None if x is None else (x.channels, *x.size)
        if got not in (None, wanted):
            raise ValueError(f"a map of (channels, height, width) = {wanted} can be added, got {got}")


def adds_repeated(steps: list[Step], x: Map | None, doubled: Map, scale: float) -> bool:
    """Let the convolution that computes x add scale doubled, repeated 2 x 2; return whether one could.

    It moves to the end of the steps, behind that which computes `doubled`: nothing may have read its results.
    """
    at = next((i for i, one in enumerate(steps) if x is not None and one.output is x), len(steps))
    if at == len(steps) or any(y in one.reads.values() for y in steps[at].outputs for one in steps[at:]):
        return False
    one = steps[at]
    computes = one.operation.kind in (CONVOLUTION, WINOGRAD_CONVOLUTION) and one.operation.spread == 1
    if not computes or "doubled" in one.reads:
        return False
    one.reads["doubled"], one.operation.scale = doubled, scale
    one.operation.doubled_height, one.operation.doubled_width = doubled.size
    steps.append(steps.pop(at))
    return True


def pools(steps: Iterable[Step], x: Map, y: Map) -> bool:
    """Let the Winograd convolution that computes x store its 2 x 2 averages y; return whether one could."""
    for one in steps:
        if one.output is x and one.operation.kind == WINOGRAD_CONVOLUTION:
            is_whole = not one.offsets and "pooled" not in one.others
            if is_whole:
                one.others["pooled"] = y
            return is_whole
    return False


def settle(steps: Iterable[Step]) -> ctypes.Array[Operation]:
    """Return the operations of steps as one array."""
    operations = [one.settle() for one in steps]
    return (Operation * len(operations))(*operations)


def place_maps(steps: Sequence[Step], images: Map, result: Map, group: int) -> int:
    """Give each map a place that no other live map uses; return the total number of vectors.

    The images are at 0; the result is needed to the end.
    """
    needed: dict[Map, int] = {result: len(steps)}
    for number, one in enumerate(steps):
        for read in one.reads.values():
            needed[read] = max(number, needed.get(read, 0))
    images.place, total = 0, images.vectors(group)
    placed = [images]
    for number, one in enumerate(steps):
        # Several steps may write to a map, each to its own pixels.
        new = [output for output in one.outputs if not any(output is other for other in placed)]
        if new:
            placed = [other for other in placed if needed.get(other, 0) >= number]
        for output in new:
            output.place = _free(placed, output.vectors(group), group)
            placed.append(output)
            total = max(total, output.place + output.vectors(group))
    return total


def _free(placed: Sequence[Map], size: int, group: int) -> int:
    """Return the first place where a map of `size` vectors fits between others."""
    place = 0
    for other in sorted(placed, key=lambda other: other.place):
        if place + size <= other.place:
            break
        place = max(place, other.place + other.vectors(group))
    return place


def arrange(weight: Tensor, group_in: int, group_out: int, missing: int = 0) -> Tensor:
    """Return weights in the order in which they are read; see `convolve_rest` in kernels.h.

    weight: (c_out, c_in, k_h, k_w). Output channels that are computed together are contiguous, for each group
    of input channels and each tap; channels that groups lack are `missing`.
    """
    c_out, c_in, k_h, k_w = weight.shape
    weight = pad(weight, (0, 0, 0, 0, 0, -c_in % group_in, 0, -c_out % group_out), value=missing)
    grouped = weight.view(weight.shape[0], -1, group_in, k_h, k_w).permute(1, 3, 4, 0, 2)
    parts, first, count = [], 0, load().pwoct_channels()
    while first < grouped.shape[3]:
        if first + count > grouped.shape[3]:
            count //= 2
            continue
        parts.append(grouped[:, :, :, first : first + count].flatten())
        first += count
    return torch.cat(parts)


def lanes_of(dtype: torch.dtype) -> int:
    """Return the number of images in a block."""
    return int(load().pwoct_vector_bytes()) // (GROUPS[dtype] * dtype.itemsize)


def weights_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the type of the weights that multiply maps of a type: processors may not multiply bfloat16."""
    is_multiplied = dtype != torch.bfloat16 or load().pwoct_multiplies_bfloat16()
    return dtype if is_multiplied else torch.float32


def to_blocks(x: Tensor, lanes: int, dtype: torch.dtype) -> Tensor:
    """Return images (n, c, h, w) as (blocks, groups of channels, h, w, lanes, group); zeros pad the last."""
    n, c, h, w = x.shape
    group = GROUPS[dtype]
    x = pad(x, (0, 0, 0, 0, 0, -c % group, 0, -n % lanes)).to(dtype)
    blocks, channels = x.shape[0] // lanes, x.shape[1]
    return x.reshape(blocks, lanes, channels // group, group, h, w).permute(0, 2, 4, 5, 1, 3).contiguous()


def from_blocks(results: Tensor, result: Map, images: int, lanes: int, group: int) -> Tensor:
    """Return (images, channels, height, width), the inverse of `to_blocks`."""
    blocks, groups = len(results), result.groups(group)
    maps = results.view(blocks, groups, result.height, result.width, lanes, group)
    order = maps.permute(0, 4, 1, 5, 2, 3)
    flat = order.reshape(blocks * lanes, groups * group, result.height, result.width)
    return flat[:images, : result.channels].contiguous()
