"""Kernels in another process: of another processor by an emulator, or with sanitizers.

A `Driver` has the functions of the library that `library.load` returns, so that the plans' own
code and tests can use it. It computes nothing: it sends operations and numbers to the program of driver.cpp.
"""

import ctypes
import struct
import subprocess
from pathlib import Path

import torch

from pwoct.plan.compiled import library

COUNTS, SCRATCH, RUN, TRAIN = range(4)
NAMES = (
    *("vector_bytes", "operation_bytes", "step_bytes", "channels", "side"),
    *("multiplies_bfloat16", "has_tiles"),
)
TILES = 64  # numbers of channels for which the driver says how many are computed together
DTYPES = ("float32", "float64", "bfloat16")
OPTIONS = ("-std=c++17", "-ffp-contract=fast", "-Wall", "-Wextra", "-Werror", "-pthread")


def build(compiler, options, program):
    """Compile the driver with the kernels; it fails at a warning, too."""
    sources = [Path(__file__).with_suffix(".cpp"), *sorted(library.SOURCES.glob("*.cpp"))]
    command = [*compiler, *options, *OPTIONS, f"-I{library.SOURCES}", *map(str, sources), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return str(program)


class Driver:
    """The kernels of a running driver; `pwoct_...` as in the library.

    It learns the sizes of what pointers point to from `data_ptr`, which stands in for the method of tensors.
    """

    def __init__(self, *command):
        self._sizes = {}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        found = self._numbers(len(NAMES) + TILES, COUNTS)
        self._tiles = found[len(NAMES) :]
        for name, count in zip(NAMES, found, strict=False):
            setattr(self, f"pwoct_{name}", lambda count=count: count)

    def __getattr__(self, name):
        """Return pwoct_run_float32 and so on."""
        what, _, dtype = name.removeprefix("pwoct_").rpartition("_")
        number = DTYPES.index(dtype)
        kernel = {
            "run": self._run,
            "train": self._train,
            "scratch_vectors": lambda *found: self._scratch(*found)[0],
            "scratch_bytes": lambda *found: self._scratch(*found)[1],
        }[what]
        return lambda *arguments: kernel(number, *arguments)

    def data_ptr(self, tensor, of=torch.Tensor.data_ptr):
        """Return the address of a tensor, and note the bytes from there to the end of its storage."""
        before = tensor.storage_offset() * tensor.element_size()
        self._sizes[of(tensor)] = tensor.untyped_storage().nbytes() - before
        return of(tensor)

    def pwoct_tile_channels(self, left):
        return self._tiles[min(left.value, TILES) - 1]

    def close(self):
        """End the process; if a sanitizer found something, it has ended with another code."""
        self._process.stdin.close()
        assert self._process.wait() == 0
        self._process.stdout.close()

    def _scratch(self, dtype, operations, count):
        return self._numbers(2, SCRATCH, dtype, operations)

    def _run(self, dtype, operations, _, numbers, images, into, results, out, place, _memory, *rest):
        values = [value.value for value in (into, out, place, *rest)]
        self._send(RUN, dtype, operations, values, (*numbers, images.value))
        self._receive(results.value)

    def _train(self, dtype, operations, _, step, threads):
        step = step._obj
        changed = (step.gradients, step.sums, step.moments, step.memory)
        numbers = (step.parameter_count, step.sum_count, step.vectors, step.blocks, step.scratch_bytes)
        pointers = (step.weights, step.parameters, step.tables, step.constants, *changed)
        self._send(TRAIN, dtype, operations, (*numbers, threads.value), pointers)
        self._receive(*changed)

    def _numbers(self, count, what, dtype=0, operations=()):
        self._send(what, dtype, operations)
        return struct.unpack(f"{count}q", self._read(8 * count))

    def _send(self, what, dtype, operations=(), numbers=(), pointers=()):
        padded = (*numbers, *[0] * (8 - len(numbers)))
        parts = [struct.pack("11q", what, dtype, len(operations), *padded), bytes(operations)]
        for pointer in pointers:
            size = self._size(pointer)
            parts += [struct.pack("q", size), ctypes.string_at(pointer, size) if size else b""]
        self._process.stdin.write(b"".join(parts))
        self._process.stdin.flush()

    def _receive(self, *pointers):
        for pointer in pointers:
            if size := self._size(pointer):
                ctypes.memmove(pointer, self._read(size), size)

    def _size(self, pointer):
        return self._sizes[pointer] if pointer else 0

    def _read(self, size):
        got = self._process.stdout.read(size)
        assert len(got) == size, "the driver ended"
        return got
