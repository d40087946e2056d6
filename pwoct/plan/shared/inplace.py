"""Sums and ReLUs that reuse their operand's memory where that is faster: in float32, not in bfloat16.

Transformations of torch.func cannot track all writes, so nothing is computed in place under them.
"""

import torch
from torch import Tensor

from pwoct.layout import is_transformed


def rectify(x: Tensor) -> Tensor:
    """Return max(x, 0), in the memory of x unless x is bfloat16.

    >>> rectify(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return torch.relu(x) if x.dtype == torch.bfloat16 or is_transformed() else torch.relu_(x)


def add(x: Tensor, y: Tensor) -> Tensor:
    """Return x + y, in the memory of x unless x is bfloat16.

    >>> add(torch.tensor([1.0]), torch.tensor([2.0]))
    tensor([3.])
    """
    return x + y if x.dtype == torch.bfloat16 or is_transformed() else x.add_(y)
