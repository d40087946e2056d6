"""The memory layout of feature maps, whether it can be queried, and who records what is computed."""

import torch
from torch import Tensor


def is_transformed() -> bool:
    """Whether a transformation of torch.func is active: grad, vmap, jvp and others."""
    return bool(torch._C._are_functorch_transforms_active())


def is_jit_traced() -> bool:
    """Whether torch.jit.trace records the operators."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def is_channels_last(x: Tensor) -> bool:
    """Whether the channels of a pixel lie side by side, in rows of pixels; never so under torch.func.

    >>> is_channels_last(torch.zeros(1, 4, 2, 2)), is_channels_last(torch.zeros(1, 1, 2, 2))
    (False, True)
    """
    return not is_transformed() and x.is_contiguous(memory_format=torch.channels_last)


def in_channels_last(x: Tensor) -> Tensor:
    """Return x with the channels of a pixel side by side; under torch.func, in whatever layout."""
    return x.contiguous() if is_transformed() else x.contiguous(memory_format=torch.channels_last)
