"""Octave feature maps while a network is recorded, for inference or for training."""

from typing import Generic, Protocol, TypeVar

import torch

from pwoct.octave import OctConv
from pwoct.plan.compiled.operations import Map


class Pools(Protocol):
    """Records average pooling."""

    def pool(self, x: Map, by: int) -> Map:
        """Record the average of `by` x `by` pixels."""


R = TypeVar("R", bound=Pools)


class Branches(Generic[R]):
    """A recorded octave feature map, and its pooled copies, each made once."""

    def __init__(self, recorder: R, high: Map | None, low: Map | None) -> None:
        self.recorder, self.high, self.low = recorder, high, low
        self._pooled: dict[tuple[str, tuple[int, ...]], Map] = {}

    def __call__(self, source: str, pools: tuple[int, ...]) -> Map:
        """Return a branch, pooled by each of `pools` in turn."""
        if not pools:
            branch = self.high if source == "high" else self.low
            assert branch is not None
            return branch
        if (source, pools) not in self._pooled:
            self._pooled[source, pools] = self.recorder.pool(self(source, pools[:-1]), pools[-1])
        return self._pooled[source, pools]


def rebranching(conv1: OctConv, conv2: OctConv) -> OctConv:
    """Return a 1x1 layer equivalent to `pwoct.branches.rebranch`: it moves each channel to one place."""
    # A plan must not change the random numbers drawn afterwards.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        layer = OctConv(conv1.c_in, conv2.c_out, 1, alpha_in=conv1.alpha_in, alpha_out=conv2.alpha_out)
    layer.requires_grad_(False)
    places = torch.eye(conv2.c_out, conv1.c_in, device="cpu")
    for i, rows in enumerate(torch.split(places, list(conv2.split_out))):
        for j, kernel in enumerate(torch.split(rows, list(conv1.split_in), 1)):
            path = getattr(layer, "hl"[j] + "hl"[i])
            if path is not None:
                path.weight.copy_(kernel[:, :, None, None])
    return layer
