"""Muon: momentum whose step is made orthogonal, for kernels (Jordan et al., 2024).

PyTorch's own `torch.optim.Muon` takes only matrices, one after the other, and no convolution kernels.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

# Of Jordan's polynomial a x + b x^3 + c x^5: applied five times, it takes singular values above 0.003 near 1.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = (3, 2)


class Muon(torch.optim.Optimizer):
    """Nesterov's momentum; in groups with `orthogonal`, its step is made orthogonal first.

    A kernel (c_out, c_in, k_h, k_w) is treated as a matrix (c_out, c_in k_h k_w). Its step has the same size
    in all directions, whatever the gradient's. A matrix that is taller than wide makes longer steps, by
    sqrt(height / width), so that a step's effect on the outputs does not depend on the matrix's shape.
    Weight decay is decoupled: before the step, weights shrink by the factor 1 - lr weight_decay.

    Args:
        groups: Dicts with `params`, and optionally `orthogonal`, `weight_decay` and other values that differ.
        lr: Learning rate of groups that set none.
        momentum: Fraction of the momentum that is kept at each step, in [0, 1).
    """

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float, momentum: float) -> None:
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": 0.0, "orthogonal": False})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002 - the base class gives it
        """Make one step along the gradients; parameters without a gradient stay unchanged."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            steps = [self._nesterov(p, group["momentum"]) for p in parameters]
            if group["orthogonal"]:
                steps = orthogonal_all(steps)
            for parameter, step in zip(parameters, steps, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(step, alpha=-group["lr"])

    def _nesterov(self, parameter: Tensor, momentum: float) -> Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum_buffer"]
        buffer.mul_(momentum).add_(parameter.grad)  # type: ignore[arg-type]  # there is one
        return torch.add(parameter.grad, buffer, alpha=momentum)  # type: ignore[arg-type]


def orthogonal_all(kernels: list[Tensor]) -> list[Tensor]:
    """Return `orthogonal` of each kernel's matrix; matrices of one shape are computed in one batch."""
    places = defaultdict(list)
    for place, kernel in enumerate(kernels):
        places[kernel.shape].append(place)
    results = list(kernels)
    for alike in places.values():
        stacked = orthogonal(torch.stack([kernels[place].flatten(1) for place in alike]))
        for place, matrix in zip(alike, stacked, strict=True):
            results[place] = matrix.view(kernels[place].shape)
    return results


def orthogonal(matrices: Tensor) -> Tensor:
    """Return approximately the nearest matrices with orthonormal rows or columns; (..., height, width).

    Singular values become 0.7 to 1.2, times sqrt(height / width) where that is above 1.
    """
    height, width = matrices.shape[-2:]
    a, b, c = COEFFICIENTS
    x: Tensor = matrices.float()
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-20)
    x = x.mT if height > width else x
    one = torch.eye(x.shape[-2], dtype=x.dtype, device=x.device)
    # The polynomial is p x with p = a + b x x' + c (x x')^2. All p commute with x x', so several of them
    # need only x x', which is smaller than x. Its error grows, so it is recomputed in between.
    for count in ITERATIONS:
        square, factors = x @ x.mT, one
        for _ in range(count):
            p = a * one + b * square + c * square @ square
            factors = p @ factors
            square = p @ square @ p
        x = factors @ x
    x = x.mT if height > width else x
    scale: float = max(1.0, height / width) ** 0.5
    return scale * x.to(matrices.dtype)
