"""Limits: requests that would take hours, or more memory than available, are rejected at once in one line."""

from __future__ import annotations

from costmodel.memory import check_memory
from costmodel.networks.resnet import ResNetDesign
from costmodel.operators.recorder import cost_of
from costmodel.report import counted
from costmodel.sizes import check_most

MOST_LISTED_DEPTH = 10_000  # layers in a table: more than anyone would read
MOST_BUILT_DEPTH = (
    2_000  # layers as PyTorch modules: each costs milliseconds in every pass; 1,202 is published
)
MOST_SEEDS = 1_000
MOST_THREADS = 1_024  # with many more, OpenMP crashes the process with a segmentation fault
MOST_BETAS = 100  # each has its own derivation

BYTES = 4  # bytes of a parameter
COPIES_IN_TRAINING = 3  # weights, gradients, and at least one state of the optimiser
BYTES_KEPT = 2  # bytes kept of each convolution output for the backward pass, at the lowest precision


def check_listed(net: ResNetDesign) -> None:
    """Raise ValueError if a network has more layers than a table should have rows."""
    depth = net.backbone.depth
    if depth > MOST_LISTED_DEPTH:
        raise ValueError(
            f"a table layer by layer is limited to networks of at most {MOST_LISTED_DEPTH:,} layers,"
            f" got resnet{depth}"
        )


def check_built(net: ResNetDesign, batch: int = 1, *, training: bool = False) -> None:
    """Raise ValueError if a network is too deep to be run layer by layer, or cannot fit into memory.

    The memory is a lower bound: weights, in training also gradients and optimiser state, the images, and the
    tensors saved for the backward pass.
    """
    backbone = net.backbone
    if backbone.depth > MOST_BUILT_DEPTH:
        raise ValueError(
            f"networks of at most {MOST_BUILT_DEPTH:,} layers are built and run, got resnet{backbone.depth}"
        )
    cost = cost_of(net.folded())
    image = BYTES * backbone.in_channels * backbone.size[0] * backbone.size[1]
    needed = BYTES * cost.params * (COPIES_IN_TRAINING if training else 1) + batch * image
    needed += batch * BYTES_KEPT * cost.activations if training else 0
    wide = f"resnet{backbone.depth} of width {backbone.width:,}, {counted(backbone.classes, 'output')}"
    purpose = "training on" if training else "running on"
    what = f"{wide}, {purpose} {counted(batch, 'image')} of {backbone.size[0]}x{backbone.size[1]},"
    check_memory(int(needed), what)


def check_threads(threads: int | None) -> None:
    """Raise ValueError if more threads are requested than the libraries survive."""
    if threads is not None:
        check_most("threads", threads, MOST_THREADS)
