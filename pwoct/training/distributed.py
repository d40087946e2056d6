"""Several processes that train one model: their ranks, and the values that they exchange.

`torchrun` starts them and sets the environment that is read here; with one process, every function is free.
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

_PR_SET_PDEATHSIG = 1  # from Linux's prctl.h


class LostRanksError(Exception):
    """A process that trains the same model is gone."""


@dataclass(frozen=True)
class Ranks:
    """This process, one of `size`; `control` is the process group for messages between CPUs."""

    rank: int = 0
    size: int = 1
    control: Any = None

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def share(self, images: int) -> slice:
        """Return this process's part of a batch, of `images` divided evenly."""
        part = images // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def most(self, values: list[int]) -> list[int]:
        """Return the maximum of each value over all processes, so that all make the same decision."""
        if self.size == 1:
            return values
        found = torch.tensor(values)
        dist.all_reduce(found, dist.ReduceOp.MAX, self.control)
        return [int(value) for value in found]

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of a CPU tensor over all processes."""
        if self.size > 1:
            values = values.clone()
            dist.all_reduce(values, dist.ReduceOp.SUM, self.control)
        return values

    def gather(self, value: Tensor) -> list[Tensor]:
        """Return the CPU tensors of all processes, which have the same shape."""
        if self.size == 1:
            return [value]
        values = [torch.empty_like(value) for _ in range(self.size)]
        dist.all_gather(values, value, self.control)
        return values

    def disagreements(self, values: Mapping[str, Any]) -> list[str]:
        """Return, for each key whose values differ between processes, which process has which value."""
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
        """Return the first process's value on all processes."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, 0, self.control)
        return box[0]

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return `model` so that its backward pass averages gradients over all processes."""
        if self.size == 1:
            return model
        # The strides of 1x1 filters are ambiguous, so their gradients, which are few, are copied.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides", UserWarning)
        return DistributedDataParallel(model)

    @torch.no_grad()
    def align(self, model: nn.Module) -> None:
        """Copy the first process's parameters and statistics to all processes."""
        if self.size > 1:
            for value in model.state_dict().values():
                dist.broadcast(value, 0)


@contextmanager
def joined(device: str = "cpu") -> Iterator[Ranks]:
    """Join the processes that `torchrun` started, if it did.

    Raises:
        ConfigError: if only some of the variables that `torchrun` sets are set.
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
        yield Ranks(dist.get_rank(), size, dist.new_group(backend="gloo"))
    except RuntimeError as error:
        if not _of_connection(error):
            raise
        raise LostRanksError("another rank is gone, or cannot be reached: this one ends too") from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _started() -> tuple[int, int]:
    """Return the number of processes started together, and this process's number on its machine."""
    size = _whole("WORLD_SIZE", 1)
    if size == 1:  # a single process has no ranks, whatever else is set
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
    """Ask Linux to send SIGTERM if `torchrun` is killed and cannot notify its ranks; they save and exit."""
    if sys.platform.startswith("linux") and "TORCHELASTIC_RUN_ID" in os.environ:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _of_connection(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or any(
        word in str(error).lower() for word in ("gloo", "connection", "socket", "store")
    )
