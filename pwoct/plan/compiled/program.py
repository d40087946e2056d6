"""A network as a list of operations on maps, recorded once and computed by compiled kernels."""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from pwoct.plan.compiled import operations
from pwoct.plan.compiled.library import DTYPES, load
from pwoct.plan.compiled.memories import Memories
from pwoct.plan.compiled.moves import Move, tables_of
from pwoct.plan.compiled.operations import (
    CONVOLUTION,
    GROUPS,
    NONE,
    POOLING,
    WINOGRAD_CONVOLUTION,
    Map,
    Operation,
    Size,
    Step,
)
from pwoct.plan.compiled.weights import winograd_weights
from pwoct.plan.folded.convolve import Convolution, Geometry
from pwoct.plan.shared.choose import uses_winograd


class ProgramRecorder:
    """Records the operations of a network, from its images to its result.

    Args:
        dtype: float32, float64 or bfloat16.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype, self.group = dtype, GROUPS[dtype]
        self.steps: list[Step] = []
        self.weights: list[Tensor] = []
        self.biases: list[Tensor] = []
        self.moves: list[Move] = []

    def convolve(
        self,
        x: Map,
        convolution: Convolution,
        *,
        second: Map | None = None,
        plus: Map | None = None,
        doubled: Map | None = None,
        relu: bool = False,
        across: int = 0,
    ) -> Map:
        """Record relu(conv(x) + plus + doubled, repeated 2 x 2) and return its map.

        second: a map whose channels the convolution reads after those of x; see `joins_maps`.
        across: output channels that are computed with these; see `convolve_both`.

        Raises:
            ValueError: if the convolution has groups, or strides or dilations that differ by direction, or
                if maps do not fit.
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
        c_out, c_in = convolution.weight.shape[:2]
        is_3x3 = (k_h, k_w, s, d) == (3, 3, 1, 1)
        is_winograd = is_3x3 and uses_winograd(c_in, c_out + across, (height, width))
        y = self._add(
            WINOGRAD_CONVOLUTION if is_winograd else CONVOLUTION,
            Map(c_out, height, width),
            {"input": x, "plus": plus, "doubled": doubled, "source": second},
            weight=sum(weight.numel() for weight in self.weights) // self.group,
            bias=self._add_scalars(convolution.bias),
            kernel_height=k_h,
            kernel_width=k_w,
            stride=s,
            pad_height=padding[0],
            pad_width=padding[1],
            dilation=d,
            relu=relu,
        )
        arranged = winograd_weights if is_winograd else operations.arrange
        of_x, of_second = torch.split(convolution.weight, [x.channels, c_in - x.channels], 1)
        whole = torch.cat([pad(of_x, (0, 0, 0, 0, 0, -x.channels % self.group)), of_second], 1)
        self.weights.append(arranged(whole, self.group, self.group))
        return y

    def convolve_both(
        self, x: Map, convolution: Convolution, across: Tensor, **options: Any
    ) -> tuple[Map, Map]:
        """Record a 3x3 convolution as `convolve` does, and another one of x alone; see `find_shared`.

        across: the weights of the other one, (channels, c_in, 3, 3).
        """
        y = self.convolve(x, convolution, across=len(across), **options)
        step = self.steps[-1]
        z = step.others["second"] = Map(len(across), *y.size)
        step.operation.second_channels = z.groups(self.group) * self.group
        self.weights.append(winograd_weights(across, self.group, self.group))
        return y, z

    def add(self, plus: Map | None, doubled: Map, size: Size, relu: bool) -> Map:
        """Record relu(plus + doubled, repeated 2 x 2 to `size`): a convolution of zero channels."""
        y = Map(doubled.channels, *size)
        return self._add(CONVOLUTION, y, {"plus": plus, "doubled": doubled}, kernel_width=1, relu=relu)

    def pool(self, x: Map, by: int) -> Map:
        """Record the average of `by` x `by` pixels; at an edge, of the existing ones."""
        y = Map(x.channels, -(-x.height // by), -(-x.width // by))
        if by == 2 and operations.pools(self.steps, x, y):
            return y
        return self._add(POOLING, y, {"input": x}, stride=by)

    def _add_scalars(self, numbers: Tensor | None) -> int:
        """Keep numbers (channels, ...) in the type of sums; return where they begin."""
        if numbers is None:
            return NONE
        begin = sum(scalars.numel() for scalars in self.biases)
        flat = numbers.reshape(len(numbers), -1)
        self.biases.append(pad(flat, (0, 0, 0, -len(flat) % self.group)).flatten())
        return begin

    def _add(self, kind: int, output: Map, reads: dict[str, Map | None], **fields: float) -> Map:
        operations.check_sums(output, reads.get("plus"), reads.get("doubled"))
        of_input, of_source = (
            0 if x is None else x.groups(self.group) for x in (reads.get("input"), reads.get("source"))
        )
        fields = {"groups": of_input + of_source, "source_groups": of_source} | fields
        channels = output.groups(self.group) * self.group
        self.steps.append(operations.step(kind, output, reads, channels=channels, **fields))
        return output


def joins_maps(first: Convolution, second: Convolution, x: Map, y: Map) -> bool:
    """Whether conv(x) + conv(y) is recorded as one convolution: both by Winograd's method, in one sum."""
    geometry = Geometry(padding=(1, 1))
    alike = first.geometry == second.geometry == geometry and first.kernel == second.kernel == (3, 3)
    c_out = first.weight.shape[0]
    fit = all(uses_winograd(map_.channels, c_out, map_.size) for map_ in (x, y))
    return alike and fit and x.size == y.size


def _processor() -> tuple[tuple[str, ...], list[int]]:
    """Return what the layout of weights and operations depends on."""
    kernels = load()
    counts = ("vector_bytes", "operation_bytes", "channels", "side", "multiplies_bfloat16")
    tiles = [int(kernels.pwoct_tile_channels(ctypes.c_int64(left))) for left in range(1, 9)]
    return operations.FIELDS, [*(int(getattr(kernels, f"pwoct_{name}")()) for name in counts), *tiles]


class Program:
    """Recorded operations with a place for each map, ready to run.

    Args:
        recorder: what was recorded.
        images: the map that the first operations read.
        result: the map that is returned.
    """

    def __init__(self, recorder: ProgramRecorder, images: Map, result: Map) -> None:
        self.dtype, self.group = recorder.dtype, recorder.group
        self.images, self.result = images, result
        self.sizes = images.vectors(self.group), result.vectors(self.group)
        self.vectors = operations.place_maps(recorder.steps, images, result, self.group)
        self.tables, self.constants = tables_of(recorder.moves, self.group)
        self.operations = operations.settle(recorder.steps)
        count = ctypes.c_int64(len(self.operations))
        scratch = getattr(load(), f"pwoct_scratch_vectors_{DTYPES[self.dtype]}")
        self.scratch = int(scratch(self.operations, count))
        nothing = torch.empty(0, device="cpu")
        self.weights = torch.cat([nothing, *recorder.weights]).to(operations.weights_dtype(self.dtype))
        in_sums = torch.float32 if self.dtype == torch.bfloat16 else self.dtype
        self.biases = torch.cat([nothing.to(in_sums), *(bias.to(in_sums) for bias in recorder.biases)])
        self._memories = Memories()
        self._processor = _processor()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state that a copy needs, with operations as bytes."""
        return {**self.__dict__, "operations": bytes(self.operations)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state from `__getstate__`.

        Raises:
            ValueError: if it was made for other kernels, such as another processor's.
        """
        if state["_processor"] != _processor():
            raise ValueError(
                "this snapshot was made for kernels of another processor or version: "
                "load the network's weights and make a new one"
            )
        count = len(state["operations"]) // ctypes.sizeof(Operation)
        found = (Operation * count).from_buffer_copy(state["operations"])
        self.__dict__.update(state, operations=found)

    def __call__(self, x: Tensor) -> Tensor:
        """Compute the result (n, channels, height, width) of images (n, channels, height, width)."""
        lanes = operations.lanes_of(self.dtype)
        blocks = operations.to_blocks(x, lanes, self.dtype)
        count = blocks.shape[0]
        results = torch.empty((count, self.sizes[1] * lanes * self.group), dtype=self.dtype, device="cpu")
        threads = max(1, min(torch.get_num_threads(), count))
        vectors = self.vectors + self.scratch
        memory = self._memories.take(threads * vectors * load().pwoct_vector_bytes())
        inputs, out, maps = (ctypes.c_void_p(t.data_ptr()) for t in (blocks, results, memory))
        kept = self.weights, self.biases, self.tables, self.constants
        numbers = (ctypes.c_void_p * len(kept))(*(tensor.data_ptr() for tensor in kept))
        kernel = getattr(load(), f"pwoct_run_{DTYPES[self.dtype]}")
        kernel(
            self.operations,
            ctypes.c_int64(len(self.operations)),
            numbers,
            *(inputs, ctypes.c_int64(self.sizes[0]), out, ctypes.c_int64(self.sizes[1])),
            *(ctypes.c_int64(self.result.place), maps, ctypes.c_int64(vectors), ctypes.c_int64(self.scratch)),
            *(ctypes.c_int64(count), ctypes.c_int64(threads)),
        )
        self._memories.give(memory)
        return operations.from_blocks(results, self.result, len(x), lanes, self.group)
