"""A recorded training step, computed by compiled kernels: features of images, and all gradients."""

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pwoct.plan.compiled import operations
from pwoct.plan.compiled.library import DTYPES, load
from pwoct.plan.compiled.memories import Memories
from pwoct.plan.compiled.moves import tables_of
from pwoct.plan.compiled.operations import Map
from pwoct.plan.compiled.tape import Tape
from pwoct.plan.compiled.weights import winograd_transform

SIZES = 4  # of images, for which a step is kept: each has memory for a whole batch


class Pass:
    """One pass of a batch: what the backward pass needs from the forward pass."""

    def __init__(self, blocks: int, threads: int, memory: Tensor, sums: Tensor, moments: Tensor) -> None:
        self.blocks, self.threads, self.sums, self.moments = blocks, threads, sums, moments
        self.memory: Tensor | None = memory
        self.began_backward = False
        self.parameters: Tensor | None = None
        self.weights: Tensor | None = None


class _Step(ctypes.Structure):
    """The data that all threads share, as defined in step.h."""

    _fields_ = (
        *(
            (name, ctypes.c_void_p)
            for name in (
                "weights",
                "parameters",
                "gradients",
                "sums",
                "moments",
                "memory",
                "scratch",
                "tables",
                "constants",
            )
        ),
        *(
            (name, ctypes.c_int64)
            for name in ("parameter_count", "sum_count", "vectors", "blocks", "scratch_bytes")
        ),
    )


class TrainingStep:
    """The operations of a network forward and backward, with a place for each map.

    Args:
        tape: the network, recorded forward.
        images: the map that the first operations read.
        result: the map of its features.
        to_images: whether the images' gradient is needed.
        dtype: of the parameters, float32 or float64; maps and weights are bfloat16 if the tape rounds.
    """

    def __init__(self, tape: Tape, images: Map, result: Map, *, to_images: bool, dtype: torch.dtype) -> None:
        self.dtype, self.maps_dtype = dtype, torch.bfloat16 if tape.rounds else dtype
        self.lanes, self.group = operations.lanes_of(self.maps_dtype), tape.group
        self.images, self.result = images, result
        self.gradient = Map(result.channels, result.height, result.width)
        forward = len(tape.steps)
        self.of_images = tape.reverse(result, self.gradient, images, to_images=to_images)
        # Between the two passes the result is read and its gradient is written.
        between = operations.step(operations.BARRIER, self.gradient, {"input": result})
        steps = [*tape.steps[:forward], between, *tape.steps[forward:]]
        self.vectors = operations.place_maps(steps, images, self.of_images or result, self.group)
        self.tables, self.constants = tables_of(tape.moves, self.group, tape.scattered)
        self.forward_operations = operations.settle(steps[:forward])
        self.backward_operations = operations.settle(steps[forward + 1 :])
        self.scratch_numbers = max(map(self._scratch, (self.forward_operations, self.backward_operations)))
        self.arrangement = tape.weights.arrangement(tape.parameter_count)
        self.taps = tape.weights.taps().flatten()
        self.transform = winograd_transform().to(dtype).T.contiguous()
        self.shapes = [parameter.shape for parameter in tape.parameters]
        self.parameter_count, self.sum_count = tape.parameter_count, tape.sum_count
        self._memories = Memories()

    def _scratch(self, recorded: ctypes.Array[Any]) -> int:
        count = getattr(load(), f"pwoct_scratch_bytes_{DTYPES[self.maps_dtype]}")
        return int(count(recorded, ctypes.c_int64(len(recorded)))) // self.maps_dtype.itemsize

    def forward(self, x: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, Pass]:
        """Return features (n, channels, h, w) of images (n, channels, h, w)."""
        blocks = len(x) // self.lanes
        threads = max(1, min(torch.get_num_threads(), blocks))
        numbers = blocks * self.vectors * self.lanes * self.group + threads * self.scratch_numbers
        memory = self._memories.take(numbers * self.maps_dtype.itemsize).view(self.maps_dtype)
        sums = torch.empty((blocks, self.sum_count), dtype=self.dtype, device="cpu")
        moments = torch.empty((self.sum_count // 4, 2), dtype=self.dtype, device="cpu")
        done = Pass(blocks, threads, memory, sums, moments)
        flat = [parameter.detach().to(self.dtype).flatten() for parameter in parameters]
        # Kernels read whole groups of channels, at the end too.
        padded = torch.cat([*flat, torch.zeros(self.group, dtype=self.dtype, device="cpu")])
        done.parameters = padded[: self.parameter_count]
        done.weights = self._weights(done.parameters)
        self._map(done, self.images).copy_(operations.to_blocks(x, self.lanes, self.maps_dtype).flatten(1))
        self._run(self.forward_operations, done, None)
        return self._read(done, self.result, len(x)), done

    def _weights(self, parameters: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):  # filters are rounded once, when they are transformed
            taps = parameters.index_select(0, self.taps).view(-1, self.transform.shape[0])
            transformed = (taps @ self.transform).flatten()
        numbers = torch.cat([parameters, transformed.new_zeros(1), transformed])
        numbers = numbers.to(operations.weights_dtype(self.maps_dtype))
        return numbers.index_select(0, self.arrangement)

    def backward(self, done: Pass, gradient: Tensor) -> tuple[Tensor | None, Sequence[Tensor]]:
        """Return the gradients of the images and of the parameters.

        Raises:
            RuntimeError: on a second call.
        """
        if done.memory is None:
            raise RuntimeError('the plan "blocked" keeps no maps for a second backward pass')
        if done.began_backward:
            raise RuntimeError('a backward pass of the plan "blocked" was interrupted; its maps are lost')
        done.began_backward = True
        blocked = operations.to_blocks(gradient, self.lanes, self.maps_dtype)
        self._map(done, self.gradient).copy_(blocked.flatten(1))
        gradients = torch.zeros((done.threads, self.parameter_count), dtype=self.dtype, device="cpu")
        self._run(self.backward_operations, done, gradients)
        images = None if self.of_images is None else self._read(done, self.of_images, len(gradient))
        self.release(done)
        split = torch.split(gradients.sum(0), [shape.numel() for shape in self.shapes])
        return images, [part.view(shape) for part, shape in zip(split, self.shapes, strict=True)]

    def release(self, done: Pass) -> None:
        """Keep the memory of a pass for the next one."""
        if done.memory is not None:
            self._memories.give(done.memory.view(torch.uint8))
        done.memory = done.weights = None

    def _parts(self, done: Pass) -> tuple[Tensor, Tensor]:
        """Return the memory of all maps (blocks, numbers), and the scratch of operations."""
        assert done.memory is not None
        scratch = done.threads * self.scratch_numbers
        maps, rest = torch.split(done.memory, [done.memory.numel() - scratch, scratch])
        return maps.view(done.blocks, -1), rest

    def _map(self, done: Pass, x: Map) -> Tensor:
        first, numbers = x.place * self.lanes * self.group, x.vectors(self.group) * self.lanes * self.group
        return self._parts(done)[0][:, first : first + numbers]

    def _read(self, done: Pass, x: Map, images: int) -> Tensor:
        found = self._map(done, x).contiguous()
        return operations.from_blocks(found, x, images, self.lanes, self.group).to(self.dtype)

    def _run(self, recorded: ctypes.Array[Any], done: Pass, gradients: Tensor | None) -> None:
        own = (done.weights, done.parameters, gradients, done.sums, done.moments)
        tensors = (*own, *self._parts(done), self.tables, self.constants)
        pointers = [None if tensor is None else tensor.data_ptr() for tensor in tensors]
        counts = (self.parameter_count, self.sum_count, self.vectors, done.blocks)
        shared = _Step(*pointers, *counts, self.scratch_numbers * self.maps_dtype.itemsize)
        kernel = getattr(load(), f"pwoct_train_{DTYPES[self.maps_dtype]}")
        counted = ctypes.c_int64(len(recorded))
        kernel(recorded, counted, ctypes.byref(shared), ctypes.c_int64(done.threads))


class Features(torch.autograd.Function):
    """Features of images by a `TrainingStep`; `passes` receives the pass."""

    @staticmethod
    def forward(ctx: Any, step: TrainingStep, passes: list[Pass], x: Tensor, *parameters: Tensor) -> Tensor:
        """Compute the features."""
        features, done = step.forward(x, parameters)
        ctx.step, ctx.done = step, done
        passes.append(done)
        return features

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Compute all gradients."""
        of_images, of_parameters = ctx.step.backward(ctx.done, gradient)
        wanted = ctx.needs_input_grad[3:]
        kept = (g if want else None for g, want in zip(of_parameters, wanted, strict=True))
        return None, None, of_images, *kept
