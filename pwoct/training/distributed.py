"""Several processes that train one model: who they are, and what they tell each other.

`torchrun` starts them and sets the environment that is read here; alone, every function is free.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Ranks:
    """This process among `size`; `control` carries messages between CPUs."""

    rank: int = 0
    size: int = 1
    local: int = 0
    control: Any = None

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def share(self, images: int) -> slice:
        """Return this process's part of a batch, of `images` divided evenly."""
        part = images // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def most(self, values: list[int]) -> list[int]:
        """Return the largest of each value over all processes, so that all decide alike."""
        if self.size == 1:
            return values
        found = torch.tensor(values)
        dist.all_reduce(found, dist.ReduceOp.MAX, self.control)
        return [int(value) for value in found]

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, of a tensor on the CPU."""
        if self.size > 1:
            values = values.clone()
            dist.all_reduce(values, dist.ReduceOp.SUM, self.control)
        return values

    def gather(self, value: Tensor) -> list[Tensor]:
        """Return the tensors of all processes, of one shape and on the CPU."""
        if self.size == 1:
            return [value]
        values = [torch.empty_like(value) for _ in range(self.size)]
        dist.all_gather(values, value, self.control)
        return values

    def tell(self, value: Any) -> Any:
        """Return what the first process gives."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, 0, self.control)
        return box[0]

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return `model` so that its backward pass averages gradients over all processes."""
        return model if self.size == 1 else DistributedDataParallel(model)

    @torch.no_grad()
    def align(self, model: nn.Module) -> None:
        """Give every process the first one's parameters and statistics."""
        if self.size > 1:
            for value in model.state_dict().values():
                dist.broadcast(value, 0)


@contextmanager
def joined(device: str = "cpu") -> Iterator[Ranks]:
    """Join the processes that `torchrun` started, if it did."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks()
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device == "cuda":
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), size, local, dist.new_group(backend="gloo"))
    finally:
        dist.destroy_process_group()
