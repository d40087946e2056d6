"""Memory that passes reuse."""

from threading import Lock

import torch
from torch import Tensor

SIZES = 2  # of passes whose memory is kept: full batches, and the last batch of an epoch


class Memories:
    """Memory of finished passes, kept for passes of the same size: new memory costs page faults."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._free: dict[int, list[Tensor]] = {}  # by size, the most recently used last

    def __reduce__(self) -> tuple[type["Memories"], tuple[()]]:
        return Memories, ()  # a copy has its own

    def take(self, size: int) -> Tensor:
        """Return memory of this many bytes, with undefined contents."""
        with self._lock:
            free = self._free.get(size)
            if free:
                return free.pop()
        return torch.empty(size, dtype=torch.uint8, device="cpu")

    def give(self, memory: Tensor) -> None:
        """Take memory back, except inference tensors, which can't be written outside inference mode."""
        if memory.is_inference():
            return
        with self._lock:
            size = memory.numel()
            self._free[size] = [*self._free.pop(size, []), memory]
            while len(self._free) > SIZES:
                self._free.pop(next(iter(self._free)))
