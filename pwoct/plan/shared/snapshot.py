"""The base of the plans for inference, a module without parameters, and checks of what is asked of plans."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pwoct.channels import is_size, plain_int
from pwoct.conversion.checks import check_module
from pwoct.plan.shared.known import PARTS
from pwoct.resnet import ResNet


class Snapshot(nn.Module):
    """A network for inference with fixed weights: no parameters, no gradients, no parts.

    size: (h, w) of its images. dtype: in which it computes.

    Raises:
        ValueError: if the network is not a module, or `size` or `dtype` is not valid.
    """

    PLAN: str

    def __init__(self, model: nn.Module, size: tuple[int, int], dtype: torch.dtype) -> None:
        super().__init__()
        check_module(model)
        check_dtype(dtype)
        self.size, self.dtype = as_size(size), dtype
        width = f", width={model.width}" if isinstance(model, ResNet) else ""
        self.made_for = f"{type(model).__name__}, size={self.size}, dtype={dtype}{width}"

    def __getattr__(self, name: str) -> Tensor | nn.Module:
        """Report that a part of the network is missing here; torch.func asks for them."""
        if name in PARTS:
            raise AttributeError(
                f'the plan "{self.PLAN}" is a snapshot without parameters, and has no {name}: '
                f'use the plan "lean"'
            )
        return super().__getattr__(name)

    def extra_repr(self) -> str:
        """Name the network, and what it is computed for."""
        return self.made_for


def as_size(size: Any) -> tuple[int, int]:
    """Return the size (h, w) of images as Python's integers.

    Raises:
        ValueError: unless it is a pair of integers of at least 1.

    >>> as_size([32, 24])
    (32, 24)
    """
    if not isinstance(size, Sequence) or len(size) != 2 or not all(map(is_size, size)):
        raise ValueError(f"size must be (h, w), two integers of at least 1, got {size!r}")
    return plain_int(size[0]), plain_int(size[1])


def as_shape(shape: Any) -> tuple[int, ...]:
    """Return the shape of a batch of images as Python's integers.

    Raises:
        ValueError: unless it is four integers of at least 1.
    """
    if not isinstance(shape, Sequence) or len(shape) != 4 or not all(map(is_size, shape)):
        told = tuple(shape) if isinstance(shape, torch.Size | list) else repr(shape)
        raise ValueError(f"input_shape must be (n, channels, h, w), four integers of at least 1, got {told}")
    return tuple(map(plain_int, shape))


def check_dtype(dtype: Any) -> None:
    """Raise ValueError unless it is one of PyTorch's floating types."""
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"dtype must be a floating type of PyTorch such as torch.float32, got {dtype!r}")
