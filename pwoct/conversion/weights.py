"""Transfers trained weights of a convolution to the octave layer that replaces it.

A weight is split by channels into the four paths. A bottleneck of m hidden channels gets an approximation of
rank m: truncated singular value decompositions of its weight's two unfoldings, improved alternately.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pwoct.conversion.conv import ConvertedConv
from pwoct.conversion.report import DENSE, Carried
from pwoct.pwise_octave import Bottleneck

SWEEPS = 10  # of alternating least squares; it converges much earlier


@torch.no_grad()
def carry(layer: ConvertedConv, conv: nn.Conv2d) -> Carried:
    """Give a layer the weights of the convolution that it replaces; return the norm lost.

    layer, conv: Layers with weights (c_out, c_in / groups, k, k). Weights that can't be carried over stay
        unchanged.
    """
    spec = layer.spec
    if spec.kind == DENSE and spec.groups > 1:
        return Carried(
            whole=_norm(conv.weight), note="random: its groups join different channels", carried=False
        )
    lost: dict[str, float] = {}
    norms: dict[str, float] = {}
    for name, path in layer.named_children():
        weight = _weight_of_path(layer, conv.weight, name.upper())
        if isinstance(path, nn.Conv2d):
            path.weight.copy_(weight)
        elif isinstance(path, Bottleneck):
            lost[name.upper()] = low_rank_(path, weight)
            norms[name.upper()] = _norm(weight)
        _carry_bias(layer, conv, name, path)
    note = "as at stride 1" if lost and spec.stride > 1 else ""
    return Carried(lost, norms, _norm(conv.weight), note)


def _norm(weight: Tensor) -> float:
    return float(weight.double().square().sum())


def _weight_of_path(layer: ConvertedConv, weight: Tensor, path: str) -> Tensor:
    spec = layer.spec
    rows = spec.layout_out.high if path[1] == "H" else spec.layout_out.low
    columns = spec.layout_in.high if path[0] == "H" else spec.layout_in.low
    of_rows = weight[list(rows)]
    return of_rows[:, list(columns)] if spec.kind == DENSE else of_rows


def _carry_bias(layer: ConvertedConv, conv: nn.Conv2d, name: str, path: nn.Module) -> None:
    last = path.expand if isinstance(path, Bottleneck) else path
    if conv.bias is not None and isinstance(last, nn.Conv2d) and last.bias is not None:
        rows = layer.spec.layout_out.high if name[1] == "h" else layer.spec.layout_out.low
        last.bias.copy_(conv.bias[list(rows)])


@torch.no_grad()
def low_rank_(path: Bottleneck, weight: Tensor) -> float:
    """Set the three convolutions of a path to approximate a weight; return the lost share of |W|^2.

    weight: W, (c_out, c_in, k, k), of stride 1. The lost share is |W - W'|^2 / |W|^2.
    """
    rank = path.reduce.out_channels
    exact = weight.double()
    out_basis, in_basis = _bases(exact, rank)
    core = torch.einsum("oikl,om,in->mnkl", exact, out_basis, in_basis)
    path.expand.weight.zero_()
    path.spatial.weight.zero_()
    path.reduce.weight.zero_()
    path.expand.weight[:, : out_basis.shape[1], 0, 0] = out_basis.to(path.expand.weight.dtype)
    path.reduce.weight[: in_basis.shape[1], :, 0, 0] = in_basis.T.to(path.reduce.weight.dtype)
    path.spatial.weight[: core.shape[0], : core.shape[1]] = core.to(path.spatial.weight.dtype)
    norm = float(exact.square().sum())
    return max(0.0, 1 - float(core.square().sum()) / norm) if norm else 0.0


def _bases(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return orthonormal bases (c_out, m) and (c_in, m) onto which the weight is projected."""
    in_basis = _leading(weight.transpose(0, 1).flatten(1), rank)
    for _ in range(SWEEPS):
        out_basis = _leading(torch.einsum("oikl,in->onkl", weight, in_basis).flatten(1), rank)
        in_basis = _leading(torch.einsum("oikl,om->imkl", weight, out_basis).flatten(1), rank)
    return out_basis, in_basis


def _leading(matrix: Tensor, rank: int) -> Tensor:
    """Return the first left singular vectors."""
    found: Tensor = torch.linalg.svd(matrix, full_matrices=False).U
    return found[:, :rank]


__all__ = ["carry", "low_rank_"]
