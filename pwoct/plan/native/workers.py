"""Threads that compute parts of a pass, and the memory that passes use one after the other."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from threading import Lock

import torch
from torch import Tensor

SIZES = 2  # of passes whose memory is kept: of whole batches, and of the last one of an epoch


def run_together(
    part: Callable[[int], None], threads: int, give_up: Callable[[], object] = lambda: None
) -> None:
    """Call `part` with 0, 1, ..., threads - 1, each in a thread of its own, and return when all are done.

    give_up: called if not all of them can run; it must make those return that wait for others.
    """
    others: list[Future[None]] = []
    try:
        for thread in range(1, threads):
            others.append(_pool().submit(part, thread))  # noqa: PERF401 - those that run must be known
        part(0)
    except BaseException:
        give_up()
        raise
    finally:
        try:
            wait(others)  # until then they write into what belongs to the caller
        except BaseException:
            give_up()
            wait(others)
            raise
    for other in others:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    # Parts may wait for each other, so none may wait for a thread; threads are made when they are needed.
    return ThreadPoolExecutor(max_workers=4096, thread_name_prefix="pwoct")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # the threads stay behind


class Memories:
    """Memory of passes that are over, kept for passes of the same size: new memory costs page faults."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._free: dict[int, list[Tensor]] = {}  # by size, the one used last at the end

    def __reduce__(self) -> tuple[type["Memories"], tuple[()]]:
        return Memories, ()  # a copy has its own

    def take(self, size: int) -> Tensor:
        """Return memory of so many bytes; what is in it does not matter."""
        with self._lock:
            free = self._free.get(size)
            if free:
                return free.pop()
        return torch.empty(size, dtype=torch.uint8, device="cpu")

    def give(self, memory: Tensor) -> None:
        """Take memory back; that of an inference could not be written outside of one."""
        if memory.is_inference():
            return
        with self._lock:
            size = memory.numel()
            self._free[size] = [*self._free.pop(size, []), memory]
            while len(self._free) > SIZES:
                self._free.pop(next(iter(self._free)))
