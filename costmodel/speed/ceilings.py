"""The measured ceilings of this machine: matrix products, memory traffic, calls.

A bridge: it runs torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch.nn.functional import conv2d

from costmodel.speed.roofline import VECTORS, Machine
from costmodel.speed.stopwatch import Clock

NARROWEST, AVX2, AVX512 = VECTORS
VECTOR_OF = {"AVX2": AVX2, "AVX512": AVX512}


def measure_machine(
    dtypes: Sequence[str], *, quick: bool = False, clock: Clock = time.perf_counter
) -> Machine:
    """Return the ceilings of this machine with the threads that torch uses; the best of several tries."""
    n = 256 if quick else 1536
    rates = {dtype: _macs_per_second(getattr(torch, dtype), n, clock) for dtype in dtypes}
    moved, call = _bytes_per_second(2**18 if quick else 2**25, clock), _seconds_per_call(clock)
    return Machine(rates, moved, call, library_vector())


def library_vector() -> int:
    """Return how many float32 numbers a vector of the library holds on this machine.

    PyTorch knows the processor, and what ATEN_CPU_CAPABILITY allows; oneDNN can be restricted to the same by
    ONEDNN_MAX_CPU_ISA.
    """
    return VECTOR_OF.get(torch.backends.cpu.get_cpu_capability(), NARROWEST)


def best(run: Callable[[], object], clock: Clock, *, tries: int = 9, repeats: int = 1) -> float:
    """Return the seconds of the fastest of several tries, after one warm-up."""
    run()
    seconds = []
    for _ in range(tries):
        started = clock()
        for _ in range(repeats):
            run()
        seconds.append((clock() - started) / repeats)
    return min(seconds)


def _macs_per_second(dtype: torch.dtype, n: int, clock: Clock) -> float:
    a, b = (torch.ones(n, n, dtype=dtype) for _ in range(2))
    return n**3 / best(lambda: a @ b, clock)


def _bytes_per_second(elements: int, clock: Clock) -> float:
    """Bytes read and written per second by a copy too large for the caches near a core."""
    source, target = torch.ones(elements), torch.empty(elements)
    return 2 * 4 * elements / best(lambda: target.copy_(source), clock)


def _seconds_per_call(clock: Clock) -> float:
    x = torch.ones(1, 16, 2, 2).contiguous(memory_format=torch.channels_last)
    weight = torch.ones(16, 16, 3, 3).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        return best(lambda: conv2d(x, weight, padding=1), clock, repeats=100)
