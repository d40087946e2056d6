"""Muon: orthogonalised momentum, for convolution weights (Jordan et al., 2024).

PyTorch's own `torch.optim.Muon` takes only matrices, one after the other, and no convolution weights.
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

    A weight (c_out, c_in, k_h, k_w) is treated as a matrix (c_out, c_in k_h k_w). Its step has the same size
    in all directions, whatever the gradient. The step of a matrix taller than wide is scaled by
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
            if not parameters:
                continue
            steps = self._nesterov(parameters, group["momentum"])
            if group["orthogonal"]:
                steps = orthogonal_all(steps)
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(parameters, steps, alpha=-group["lr"])

    def _nesterov(self, parameters: list[Tensor], momentum: float) -> list[Tensor]:
        for parameter in parameters:
            if "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        buffers = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        gradients = [parameter.grad for parameter in parameters]
        torch._foreach_mul_(buffers, momentum)
        torch._foreach_add_(buffers, gradients)  # type: ignore[arg-type]  # all have one
        return list(torch._foreach_add(gradients, buffers, alpha=momentum))  # type: ignore[arg-type]


def orthogonal_all(weights: list[Tensor]) -> list[Tensor]:
    """Return approximately the nearest weights whose matrices have orthonormal rows or columns.

    Singular values become 0.7 to 1.2, times sqrt(height / width) where that is above 1. Matrices with the
    same shorter side are computed in one batch: zeros that fill the longer side change no singular value,
    and a network has many small matrices.
    """
    matrices = [_wide(weight.flatten(1)) for weight in weights]
    places = defaultdict(list)
    for place, matrix in enumerate(matrices):
        places[len(matrix)].append(place)
    results = list(weights)
    for height, alike in places.items():
        width = max(matrices[place].shape[1] for place in alike)
        filled = torch.zeros(len(alike), height, width, dtype=torch.float32, device=weights[0].device)
        for place, x in zip(alike, filled, strict=True):
            x[:, : matrices[place].shape[1]] = matrices[place]
        for place, x in zip(alike, _orthonormal(filled), strict=True):
            results[place] = _like(weights[place].flatten(1), x).view(weights[place].shape)
    return results


def _wide(matrices: Tensor) -> Tensor:
    return matrices.mT if matrices.shape[-2] > matrices.shape[-1] else matrices


def _like(matrices: Tensor, x: Tensor) -> Tensor:
    """Return the orthonormal x of `_wide(matrices)`, without filling, in the form, scale and type of them."""
    height, width = matrices.shape[-2:]
    x = x[..., : max(height, width)]
    x = x.mT if height > width else x
    x = x.to(matrices.dtype)
    return (height / width) ** 0.5 * x if height > width else x


def _orthonormal(x: Tensor) -> Tensor:
    """Return normalised matrices (n, height <= width) after five steps of Jordan's polynomial."""
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-20)
    # All polynomials commute with x x', so several of them need only x x', which is smaller than x. Its error
    # grows, so it is recomputed in between.
    for count in ITERATIONS:
        square = x @ x.mT
        factors = p = _polynomial(square)
        for _ in range(1, count):
            square = p @ square @ p
            p = _polynomial(square)
            factors = p @ factors
        x = factors @ x
    return x


def _polynomial(square: Tensor) -> Tensor:
    """Return p = a + b x x' + c (x x')^2 of x x', so that p x is Jordan's polynomial; (n, m, m)."""
    a, b, c = COEFFICIENTS
    p = torch.baddbmm(square, square, square, beta=b, alpha=c)
    p.diagonal(dim1=-2, dim2=-1).add_(a)
    return p
