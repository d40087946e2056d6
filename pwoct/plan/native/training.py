"""A recorded training step, computed by compiled kernels: features of images, and gradients."""

import ctypes
import os
from collections.abc import Sequence
from functools import cache
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pwoct.plan.native import operations
from pwoct.plan.native.library import DTYPES, load
from pwoct.plan.native.operations import Map
from pwoct.plan.native.tape import Tape
from pwoct.plan.native.workers import Memories, run_together

FAR_AWAY = 1 << 62  # more than all barriers


class Pass:
    """One pass of a batch: what the backward pass needs of the forward pass."""

    def __init__(self, blocks: int, threads: int, memory: Tensor, sums: Tensor, moments: Tensor) -> None:
        self.blocks, self.threads, self.sums, self.moments = blocks, threads, sums, moments
        self.memory: Tensor | None = memory
        self.began_backward = False
        self.parameters: Tensor | None = None
        self.weights: Tensor | None = None


class _Step(ctypes.Structure):
    """What all threads share, as training.cpp has it."""

    _fields_ = (
        *(
            (name, ctypes.c_void_p)
            for name in ("weights", "parameters", "gradients", "sums", "moments", "memory")
        ),
        *((name, ctypes.c_int64) for name in ("parameter_count", "sum_count", "vectors", "blocks")),
    )


class TrainingStep:
    """The operations of a network forward and backward, with a place for each map.

    Args:
        tape: the network, recorded forward.
        images: the map that the first operations read.
        result: the map of its features.
        to_images: whether the images' gradient is needed.
        dtype: float32 or float64.
    """

    def __init__(self, tape: Tape, images: Map, result: Map, *, to_images: bool, dtype: torch.dtype) -> None:
        self.dtype, self.lanes = dtype, operations.lanes_of(dtype)
        self.images, self.result, self.rounds = images, result, tape.rounds
        self.gradient = Map(result.channels, result.height, result.width)
        forward = len(tape.steps)
        self.of_images = tape.reverse(result, self.gradient, images, to_images=to_images)
        # Between both passes the result is read and its gradient written.
        between = operations.step(operations.BARRIER, self.gradient, {"input": result})
        steps = [*tape.steps[:forward], between, *tape.steps[forward:]]
        self.vectors = operations.place_maps(steps, images, self.of_images or result, 1)
        self.forward_operations = operations.settle(steps[:forward])
        self.backward_operations = operations.settle(steps[forward + 1 :])
        self.arrangement = torch.cat(tape.arrangement)
        self.shapes = [parameter.shape for parameter in tape.parameters]
        self.parameter_count, self.sum_count = tape.parameter_count, tape.sum_count
        self._memories = Memories()

    def forward(self, x: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, Pass]:
        """Return features (n, channels, h, w) of images (n, channels, h, w)."""
        blocks = len(x) // self.lanes
        memory = self._memories.take(blocks * self.vectors * self.lanes * self.dtype.itemsize).view(
            self.dtype
        )
        sums = torch.empty((blocks, self.sum_count), dtype=self.dtype, device="cpu")
        moments = torch.empty((self.sum_count // 4, 2), dtype=self.dtype, device="cpu")
        done = Pass(blocks, max(1, min(torch.get_num_threads(), blocks)), memory, sums, moments)
        # The zero at the end is what `NOTHING` reads.
        flat = [parameter.detach().to(self.dtype).flatten() for parameter in parameters]
        done.parameters = torch.cat([*flat, torch.zeros(1, dtype=self.dtype, device="cpu")])
        done.weights = done.parameters[self.arrangement]
        if self.rounds:
            done.weights = done.weights.bfloat16()
        self._map(done, self.images).copy_(operations.to_blocks(x, self.lanes, self.dtype).flatten(1))
        self._run(self.forward_operations, done, None)
        return self._read(done, self.result, len(x)), done

    def backward(self, done: Pass, gradient: Tensor) -> tuple[Tensor | None, Sequence[Tensor]]:
        """Return the gradients of the images and of the parameters.

        Raises:
            RuntimeError: at the second time.
        """
        if done.memory is None:
            raise RuntimeError('the plan "blocked" keeps no maps for a second backward pass')
        if done.began_backward:
            raise RuntimeError('a backward pass of the plan "blocked" was interrupted; its maps are lost')
        done.began_backward = True
        blocked = operations.to_blocks(gradient, self.lanes, self.dtype)
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

    def _map(self, done: Pass, x: Map) -> Tensor:
        assert done.memory is not None
        first = x.place * self.lanes
        return done.memory.view(done.blocks, -1)[:, first : first + x.vectors(1) * self.lanes]

    def _read(self, done: Pass, x: Map, images: int) -> Tensor:
        return operations.from_blocks(self._map(done, x).contiguous(), x, images, self.lanes, 1)

    def _run(self, recorded: ctypes.Array[Any], done: Pass, gradients: Tensor | None) -> None:
        tensors = (done.weights, done.parameters, gradients, done.sums, done.moments, done.memory)
        pointers = [None if tensor is None else tensor.data_ptr() for tensor in tensors]
        shared = _Step(*pointers, self.parameter_count, self.sum_count, self.vectors, done.blocks)
        arrived = torch.zeros(1, dtype=torch.int64, device="cpu")
        kernel = getattr(load(), f"pwoct_train_{DTYPES[self.dtype]}")
        cuts = [done.blocks * i // done.threads for i in range(done.threads + 1)]

        def part(thread: int, _owned: object = tensors) -> None:  # they live as long as a thread may write
            kernel(
                recorded,
                ctypes.c_int64(len(recorded)),
                ctypes.byref(shared),
                ctypes.c_void_p(arrived.data_ptr()),
                *map(ctypes.c_int64, (done.threads, thread, cuts[thread], cuts[thread + 1])),
            )

        # Threads wait for each other: all of a step must run, and if they cannot, nobody may wait.
        with _turn():
            run_together(part, done.threads, give_up=lambda: arrived.fill_(FAR_AWAY))


@cache
def _turn() -> Lock:
    return Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_turn.cache_clear)  # whoever holds it stays behind


class Features(torch.autograd.Function):
    """Features of images by a `TrainingStep`; `passes` receives what the pass leaves."""

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
