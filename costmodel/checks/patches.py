"""What torch must not do while sizes are symbols: draw weights, and choose an algorithm by the batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

INITIALISED = (nn.modules.conv._ConvNd, nn.Linear, nn.modules.batchnorm._NormBase)


def _nothing(layer: nn.Module) -> None:
    """Draw no weights."""


@contextmanager
def without_initial_weights() -> Iterator[None]:
    """Let layers draw no weights: their values change no count, and how they are drawn asks sizes for
    numbers."""
    originals = [(kind, kind.__dict__["reset_parameters"]) for kind in INITIALISED]
    drawn = {name: getattr(nn.init, name) for name in vars(nn.init) if name.endswith("_") and name[0] != "_"}
    for kind, _ in originals:
        setattr(kind, "reset_parameters", _nothing)  # noqa: B010 - mypy knows no assignment to methods
    for name in drawn:
        setattr(nn.init, name, lambda tensor, *_arguments, **_options: tensor)
    try:
        yield
    finally:
        for kind, original in originals:
            setattr(kind, "reset_parameters", original)  # noqa: B010
        for name, function in drawn.items():
            setattr(nn.init, name, function)


@contextmanager
def one_algorithm() -> Iterator[None]:
    """Keep torch from choosing a convolution's algorithm by the size of the batch: a condition, otherwise."""
    onednn: Any = torch.backends.mkldnn
    enabled, onednn.enabled = onednn.enabled, False
    try:
        with torch.backends.nnpack.flags(enabled=False):
            yield
    finally:
        onednn.enabled = enabled
