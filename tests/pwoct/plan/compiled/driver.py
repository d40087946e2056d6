"""Kernels in another process: of another processor by an emulator, or with sanitizers.

A `Driver` has the functions of the library that `library.load` returns, so that the plans' own
code and tests can use it. It computes nothing: it sends operations and numbers to the program of driver.cpp.
"""

import ctypes
import struct
import subprocess
from pathlib import Path

from pwoct.plan.compiled import library
from pwoct.plan.compiled.operations import CONVOLUTION, WINOGRAD_CONVOLUTION

COUNTS, SCRATCH, RUN, TRAIN = range(4)
NAMES = (
    *("vector_bytes", "operation_bytes", "step_bytes", "channels", "side"),
    *("multiplies_bfloat16", "has_tiles"),
)
TILES = 64  # numbers of channels for which the driver says how many are computed together
BYTES = {"float32": 4, "float64": 8, "bfloat16": 4}  # of a sum
OPTIONS = ("-std=c++17", "-ffp-contract=fast", "-Wall", "-Wextra", "-Werror", "-pthread")


def build(compiler, options, program):
    """Compile the driver with the kernels; it fails at a warning, too."""
    sources = [Path(__file__).with_suffix(".cpp"), *sorted(library.SOURCES.glob("*.cpp"))]
    command = [*compiler, *options, *OPTIONS, f"-I{library.SOURCES}", *map(str, sources), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return str(program)


class Driver:
    """The kernels of a running driver; `pwoct_...` as in the library."""

    def __init__(self, *command):
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        found = self._numbers(len(NAMES) + TILES, COUNTS)
        self._tiles = found[len(NAMES) :]
        for name, count in zip(NAMES, found, strict=False):
            setattr(self, f"pwoct_{name}", lambda count=count: count)

    def __getattr__(self, name):
        """Return pwoct_run_float32 and so on."""
        what, _, dtype = name.removeprefix("pwoct_").rpartition("_")
        number = list(BYTES).index(dtype)
        kernel = {
            "run": self._run,
            "train": self._train,
            "scratch_vectors": lambda *found: self._scratch(*found)[0],
            "scratch_bytes": lambda *found: self._scratch(*found)[1],
        }[what]
        return lambda *arguments: kernel(number, *arguments)

    def pwoct_tile_channels(self, left):
        return self._tiles[min(left.value, TILES) - 1]

    def close(self):
        """End the process; if a sanitizer found something, it has ended with another code."""
        self._process.stdin.close()
        assert self._process.wait() == 0
        self._process.stdout.close()

    def _scratch(self, dtype, operations, count):
        return self._numbers(2, SCRATCH, dtype, operations)

    def _run(self, dtype, operations, count, weights, biases, images, into, results, out, *numbers):
        *_, blocks, _ = numbers
        _, item, pair = self._sizes(dtype)
        vector = self.pwoct_vector_bytes()
        inputs = (
            (weights.value, pair * weights_of(operations)),
            (
                biases.value,
                item * max((op.bias + op.channels for op in operations if op.bias >= 0), default=0),
            ),
            (images.value, blocks.value * into.value * vector),
        )
        place, _, *rest = numbers
        values = (into, out, place, *rest)
        self._send(RUN, dtype, operations, [value.value for value in values], inputs)
        self._receive((results.value, blocks.value * out.value * vector))

    def _train(self, dtype, operations, count, step, threads):
        step, (_, item, pair) = step._obj, self._sizes(dtype)
        changed = (
            (step.gradients, item * threads.value * step.parameter_count if step.gradients else 0),
            (step.sums, item * step.blocks * step.sum_count),
            (step.moments, item * step.sum_count // 2),
            (step.memory, step.blocks * step.vectors * self.pwoct_vector_bytes()),
        )
        inputs = (
            (step.weights, pair * weights_of(operations)),
            (step.parameters, item * step.parameter_count),
        )
        numbers = (step.parameter_count, step.sum_count, step.vectors, step.blocks, step.scratch_bytes)
        self._send(TRAIN, dtype, operations, (*numbers, threads.value), (*inputs, *changed))
        self._receive(*changed)

    def _sizes(self, dtype):
        """Return the name of a type, and the bytes of a sum and of the weights that multiply one vector."""
        name = list(BYTES)[dtype]
        item = BYTES[name]
        return name, item, item if name != "bfloat16" or self.pwoct_multiplies_bfloat16() else 2 * item

    def _numbers(self, count, what, dtype=0, operations=()):
        self._send(what, dtype, operations)
        return struct.unpack(f"{count}q", self._read(8 * count))

    def _send(self, what, dtype, operations=(), numbers=(), buffers=()):
        padded = (*numbers, *[0] * (8 - len(numbers)))
        parts = [struct.pack("11q", what, dtype, len(operations), *padded), bytes(operations)]
        for pointer, size in buffers:
            parts += [struct.pack("q", size), ctypes.string_at(pointer, size) if size else b""]
        self._process.stdin.write(b"".join(parts))
        self._process.stdin.flush()

    def _receive(self, *buffers):
        for pointer, size in buffers:
            if size:
                ctypes.memmove(pointer, self._read(size), size)

    def _read(self, size):
        got = self._process.stdout.read(size)
        assert len(got) == size, "the driver ended"
        return got


def weights_of(operations):
    """Return how many weights operations read: the end of the last one's."""
    ends = [0]
    for op in operations:
        if op.kind in (CONVOLUTION, WINOGRAD_CONVOLUTION):
            taps = 16 if op.kind == WINOGRAD_CONVOLUTION else op.kernel_height * op.kernel_width
            ends.append(op.weight + taps * op.groups * op.channels)
    return max(ends)
