"""A network as a list of operations on maps, recorded once and computed by compiled kernels."""

import ctypes
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from pwoct.plan.convolve import Convolution
from pwoct.plan.native.library import DTYPES, load

CONVOLUTION, POOLING = 0, 1
NONE = -1
GROUPS = {
    torch.float32: 1,
    torch.float64: 1,
    torch.bfloat16: 2,
}  # channels that one vector holds for each image

FIELDS = (
    *("kind", "input", "output", "plus", "doubled", "weight", "bias", "groups", "channels"),
    *("height", "width", "out_height", "out_width", "doubled_height", "doubled_width"),
    *("kernel_height", "kernel_width", "stride", "pad_height", "pad_width", "dilation", "relu"),
)


class Operation(ctypes.Structure):
    """One operation, as kernels.cpp reads it; see there."""

    _fields_ = tuple((name, ctypes.c_int64) for name in FIELDS)


@dataclass(eq=False)
class Map:
    """A feature map of one block of images; `place` is where it lies, in vectors, once that is decided."""

    channels: int
    height: int
    width: int
    place: int = NONE


@dataclass
class Step:
    """An operation whose maps have no place yet."""

    operation: Operation
    reads: dict[str, Map]
    output: Map


class Recorder:
    """Records the operations of a network, from its images to its result.

    Args:
        dtype: float32, float64 or bfloat16.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype, self.group = dtype, GROUPS[dtype]
        self.steps: list[Step] = []
        self.weights: list[Tensor] = []
        self.biases: list[Tensor] = []

    def convolve(
        self,
        x: Map,
        convolution: Convolution,
        *,
        plus: Map | None = None,
        doubled: Map | None = None,
        relu: bool = False,
    ) -> Map:
        """Record relu(conv(x) + plus + doubled, repeated 2 x 2) and return its map.

        Raises:
            ValueError: if the convolution has groups, or strides or dilations that differ by direction.
        """
        padding, stride, dilation, groups = convolution.geometry
        if groups != 1 or stride[0] != stride[1] or dilation[0] != dilation[1]:
            raise ValueError(
                f'the plan "native" has convolutions without groups and with one stride and dilation, '
                f"got groups {groups}, stride {stride}, dilation {dilation}"
            )
        (k_h, k_w), (d, _), (s, _) = convolution.kernel, dilation, stride
        height = (x.height + 2 * padding[0] - d * (k_h - 1) - 1) // s + 1
        width = (x.width + 2 * padding[1] - d * (k_w - 1) - 1) // s + 1
        operation = Operation(
            kind=CONVOLUTION,
            weight=sum(weight.numel() for weight in self.weights) // self.group,
            bias=NONE if convolution.bias is None else sum(bias.numel() for bias in self.biases),
            groups=self._groups(x.channels),
            kernel_height=k_h,
            kernel_width=k_w,
            stride=s,
            pad_height=padding[0],
            pad_width=padding[1],
            dilation=d,
        )
        self.weights.append(arrange(convolution.weight, self.group))
        if convolution.bias is not None:
            self.biases.append(pad(convolution.bias, (0, -len(convolution.bias) % self.group)))
        return self._add(operation, x, Map(convolution.weight.shape[0], height, width), plus, doubled, relu)

    def add(self, plus: Map | None, doubled: Map, size: tuple[int, int], relu: bool) -> Map:
        """Record relu(plus + doubled, repeated 2 x 2 to `size`): a convolution of no channels."""
        operation = Operation(
            kind=CONVOLUTION, bias=NONE, kernel_height=1, kernel_width=1, stride=1, dilation=1
        )
        return self._add(operation, Map(0, *size), Map(doubled.channels, *size), plus, doubled, relu)

    def pool(self, x: Map, by: int) -> Map:
        """Record the average of `by` x `by` pixels; at an edge, of those that exist."""
        operation = Operation(kind=POOLING, groups=self._groups(x.channels), stride=by)
        return self._add(
            operation, x, Map(x.channels, -(-x.height // by), -(-x.width // by)), None, None, False
        )

    def _add(
        self, operation: Operation, x: Map, output: Map, plus: Map | None, doubled: Map | None, relu: bool
    ) -> Map:
        operation.channels = self._groups(output.channels) * self.group
        operation.height, operation.width = x.height, x.width
        operation.out_height, operation.out_width = output.height, output.width
        operation.plus = operation.doubled = NONE
        operation.relu = relu
        if doubled is not None:
            operation.doubled_height, operation.doubled_width = doubled.height, doubled.width
        maps = {"input": x if x.channels else None, "plus": plus, "doubled": doubled}
        self.steps.append(Step(operation, {k: v for k, v in maps.items() if v is not None}, output))
        return output

    def _groups(self, channels: int) -> int:
        return -(-channels // self.group)

    def vectors(self, x: Map) -> int:
        """Return how many vectors a map of one block takes."""
        return self._groups(x.channels) * x.height * x.width


def arrange(weight: Tensor, group: int) -> Tensor:
    """Return a kernel in the order in which it is read; see `convolve_rest` in kernels.cpp.

    weight: (c_out, c_in, k_h, k_w). As many output channels as are computed at once lie side by side, for
    each group of input channels and each tap; missing channels are zero.
    """
    c_out, c_in, k_h, k_w = weight.shape
    weight = pad(weight, (0, 0, 0, 0, 0, -c_in % group, 0, -c_out % group))
    grouped = weight.view(weight.shape[0], -1, group, k_h, k_w).permute(1, 3, 4, 0, 2)
    parts, first, count = [], 0, load().pwoct_channels()
    while first < grouped.shape[3]:
        if first + count > grouped.shape[3]:
            count //= 2
            continue
        parts.append(grouped[:, :, :, first : first + count].flatten())
        first += count
    return torch.cat(parts)


class Program:
    """Recorded operations with a place for each map, ready to run.

    Args:
        recorder: what was recorded.
        images: the map that the first operations read.
        result: the map that is returned.
    """

    def __init__(self, recorder: Recorder, images: Map, result: Map) -> None:
        self.dtype, self.group = recorder.dtype, recorder.group
        self.images, self.result = images, result
        self.sizes = recorder.vectors(images), recorder.vectors(result)
        self.vectors = place_maps(recorder, images, result)
        for step in recorder.steps:
            for name, read in step.reads.items():
                setattr(step.operation, name, read.place)
            step.operation.output = step.output.place
        self.operations = (Operation * len(recorder.steps))(*(step.operation for step in recorder.steps))
        self.weights = torch.cat(recorder.weights).to(self.dtype)
        in_sums = torch.float32 if self.dtype == torch.bfloat16 else self.dtype
        self.biases = torch.cat([bias.to(in_sums) for bias in recorder.biases])
        self._memories: deque[Tensor] = deque()  # of threads that are done; a new map costs page faults

    def __call__(self, x: Tensor) -> Tensor:
        """Compute the result (n, channels, height, width) of images (n, channels, height, width)."""
        lanes = load().pwoct_vector_bytes() // (self.group * self.dtype.itemsize)
        blocks = to_blocks(x, lanes, self.dtype)
        count = blocks.shape[0]
        results = torch.empty((count, self.sizes[1] * lanes * self.group), dtype=self.dtype)
        threads = max(1, min(torch.get_num_threads(), count))
        cuts = [count * i // threads for i in range(threads + 1)]
        others = [_pool().submit(self._run, blocks, results, cuts[i], cuts[i + 1]) for i in range(1, threads)]
        self._run(blocks, results, cuts[0], cuts[1])
        for other in others:
            other.result()
        return from_blocks(results, self.result, len(x), lanes, self.group)

    def _run(self, blocks: Tensor, results: Tensor, first: int, last: int) -> None:
        try:
            memory = self._memories.pop()
        except IndexError:
            memory = torch.empty(self.vectors * load().pwoct_vector_bytes(), dtype=torch.uint8)
        pointers: list[Any] = [ctypes.c_void_p(t.data_ptr()) for t in (self.weights, self.biases)]
        _kernel(self.dtype)(
            self.operations,
            ctypes.c_int64(len(self.operations)),
            *pointers,
            ctypes.c_void_p(blocks.data_ptr()),
            ctypes.c_int64(self.sizes[0]),
            ctypes.c_void_p(results.data_ptr()),
            ctypes.c_int64(self.sizes[1]),
            ctypes.c_int64(self.result.place),
            ctypes.c_void_p(memory.data_ptr()),
            ctypes.c_int64(first),
            ctypes.c_int64(last),
        )
        self._memories.append(memory)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="pwoct")


@cache
def _kernel(dtype: torch.dtype) -> Any:
    kernel = getattr(load(), f"pwoct_run_{DTYPES[dtype]}")
    kernel.restype = None
    return kernel


def place_maps(recorder: Recorder, images: Map, result: Map) -> int:
    """Give each map a place that no other map has while it is needed; return the vectors of all places.

    The images lie at 0.
    """
    needed = {id(result): len(recorder.steps)}
    for number, step in enumerate(recorder.steps):
        for read in step.reads.values():
            needed[id(read)] = max(number, needed.get(id(read), 0))
    images.place, total = 0, recorder.vectors(images)
    placed = [images]
    for number, step in enumerate(recorder.steps):
        placed = [other for other in placed if needed.get(id(other), 0) >= number]
        size, place = recorder.vectors(step.output), 0
        for other in sorted(placed, key=lambda other: other.place):
            if place + size <= other.place:
                break
            place = max(place, other.place + recorder.vectors(other))
        step.output.place = place
        placed.append(step.output)
        total = max(total, place + size)
    return total


def to_blocks(x: Tensor, lanes: int, dtype: torch.dtype) -> Tensor:
    """Return images (n, c, h, w) as (blocks, groups of channels, h, w, lanes, group); zeros fill the last."""
    n, c, h, w = x.shape
    group = GROUPS[dtype]
    x = pad(x, (0, 0, 0, 0, 0, -c % group, 0, -n % lanes)).to(dtype)
    blocks, channels = x.shape[0] // lanes, x.shape[1]
    return x.reshape(blocks, lanes, channels // group, group, h, w).permute(0, 2, 4, 5, 1, 3).contiguous()


def from_blocks(results: Tensor, result: Map, images: int, lanes: int, group: int) -> Tensor:
    """Return (images, channels, height, width) of what `to_blocks` would make of it."""
    blocks, groups = len(results), -(-result.channels // group)
    maps = results.view(blocks, groups, result.height, result.width, lanes, group)
    order = maps.permute(0, 4, 1, 5, 2, 3)
    flat = order.reshape(blocks * lanes, groups * group, result.height, result.width)
    return flat[:images, : result.channels].contiguous()
