"""Several processes that train one model: who they are, and what they tell each other.

`torchrun` starts them and sets the environment that is read here; alone, every function is free.
"""

import ctypes
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pwoct.training.config import ConfigError

_PR_SET_PDEATHSIG = 1  # of Linux's prctl.h


class LostRanksError(Exception):
    """A process that trains the same model is gone."""


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

    def disagreements(self, values: Mapping[str, Any]) -> list[str]:
        """Return for each key whose values differ between processes which has what."""
        if self.size == 1:
            return []
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, dict(values), self.control)
        return [
            f"{key} is {', '.join(f'{others[key]} on rank {rank}' for rank, others in enumerate(found))}"
            for key in values
            if any(others[key] != found[0][key] for others in found)
        ]

    def tell(self, value: Any) -> Any:
        """Return what the first process gives."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, 0, self.control)
        return box[0]

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return `model` so that its backward pass averages gradients over all processes."""
        if self.size == 1:
            return model
        # Of 1x1 filters, whose strides may be written in several ways: their few gradients are copied.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides", UserWarning)
        return DistributedDataParallel(model)

    @torch.no_grad()
    def align(self, model: nn.Module) -> None:
        """Give every process the first one's parameters and statistics."""
        if self.size > 1:
            for value in model.state_dict().values():
                dist.broadcast(value, 0)


@contextmanager
def joined(device: str = "cpu") -> Iterator[Ranks]:
    """Join the processes that `torchrun` started, if it did.

    Raises:
        ConfigError: if only a part of what `torchrun` sets is there.
        LostRanksError: if another process is gone.
    """
    size, local = _started()
    if size == 1:
        yield Ranks()
        return
    _end_with_parent()
    if device == "cuda":
        torch.cuda.set_device(local)
    try:
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
        yield Ranks(dist.get_rank(), size, local, dist.new_group(backend="gloo"))
    except RuntimeError as error:
        if not _of_connection(error):
            raise
        raise LostRanksError("another rank is gone, or cannot be reached: this one ends too") from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _started() -> tuple[int, int]:
    """Return how many processes were started together, and this one's number on its machine."""
    size = _whole("WORLD_SIZE", 1)
    if size == 1:  # whatever else is set: alone there are no ranks
        return 1, 0
    if missing := [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
        raise ConfigError(
            f"WORLD_SIZE is {size}, but {', '.join(missing)} is not set: `torchrun` sets RANK, LOCAL_RANK,"
            " WORLD_SIZE, MASTER_ADDR and MASTER_PORT; for one process, unset WORLD_SIZE"
        )
    if not _whole("RANK", 0) < size:
        raise ConfigError(f"RANK must be below WORLD_SIZE {size}, got {os.environ['RANK']}")
    return size, _whole("LOCAL_RANK", 0)


def _whole(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal() or int(text) < default:
        raise ConfigError(f"{name} in the environment must be a whole number from {default}, got {text!r}")
    return int(text)


def _end_with_parent() -> None:
    """Ask Linux for a SIGTERM when `torchrun` is killed and cannot tell its ranks; they save and end."""
    if sys.platform.startswith("linux") and "TORCHELASTIC_RUN_ID" in os.environ:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _of_connection(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or any(
        word in str(error).lower() for word in ("gloo", "connection", "socket", "store")
    )
