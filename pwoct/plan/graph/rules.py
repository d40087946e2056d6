"""Rules of operators that compute: what each records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pwoct.plan.graph.nodes import (
    Activate,
    BatchNormalise,
    Convolve,
    Function,
    MapNode,
    Scale,
)
from pwoct.plan.graph.record import GraphTrace, map_shape, rule
from pwoct.plan.graph.values import RefusedError

Recorded = tuple[MapNode, torch.Size]
Pair = Sequence[int]


@rule("convolution", "_convolution")
def convolve(
    recorder: GraphTrace,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    transposed: bool,
    _output_padding: Pair,
    groups: int,
    *_: Any,
) -> Recorded:
    """Record a convolution in two dimensions."""
    if transposed or weight.dim() != 4:
        raise RefusedError("a convolution that is transposed or not in two dimensions")
    s, d = one("stride", stride), one("dilation", dilation)
    size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, k in zip(x.shape[2:], two(padding), weight.shape[2:], strict=True)
    ]
    shape = len(weight), size[0], size[1]
    node = Convolve(
        shape,
        (recorder.node(x),),
        weight=recorder.kept(weight),
        bias=None if bias is None else recorder.kept(bias, "bias"),
        stride=s,
        padding=two(padding),
        dilation=d,
        groups=groups,
    )
    return recorder.add(node), torch.Size((len(x), *shape))


@rule("addmm")
def linear(recorder: GraphTrace, bias: Tensor, x: Tensor, weight: Tensor, **scales: float) -> Recorded:
    """Record a linear layer as a 1x1 convolution of one pixel."""
    if any(scale != 1 for scale in scales.values()):
        raise RefusedError("a product with scales")
    return _linear(recorder, x, weight, recorder.kept(bias, "bias").expand(weight.shape[1]))


@rule("mm")
def product(recorder: GraphTrace, x: Tensor, weight: Tensor) -> Recorded:
    """Record a linear layer without bias."""
    return _linear(recorder, x, weight, None)


def _linear(recorder: GraphTrace, x: Tensor, weight: Tensor, bias: Tensor | None) -> Recorded:
    filters = recorder.kept(weight).t()[:, :, None, None].contiguous()
    node = Convolve((len(filters), 1, 1), (recorder.node(x),), weight=filters, bias=bias)
    return recorder.add(node), torch.Size((len(x), len(filters)))


@rule("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training")
def normalise(
    recorder: GraphTrace,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None = None,
    variance: Tensor | None = None,
    *settings: Any,
) -> Any:
    """Record a normalisation by running statistics."""
    *in_training, momentum, epsilon = settings
    if recorder.in_training and any(in_training) and weight is not None and bias is not None:
        first = [
            recorder.first(x, f"{name} of a normalisation")
            for x, name in ((weight, "weight"), (bias, "bias"))
        ]
        kept = None if mean is None else recorder.first(mean, "mean")
        own = BatchNormalise(map_shape(x), (recorder.node(x),), weight=first[0], bias=first[1], mean=kept)
        own.epsilon, own.momentum = epsilon, momentum
        return recorder.add(own), x.shape, x.new_empty(0), x.new_empty(0)
    if recorder.in_training or any(in_training) or mean is None or variance is None:
        raise RefusedError("a normalisation by the statistics of the batch")
    scale = torch.rsqrt(variance + epsilon)
    scale = scale if weight is None else scale * weight.detach()
    shift = -mean * scale if bias is None else bias.detach() - mean * scale
    nothing = x.new_empty(0)
    return (
        recorder.add(Scale(map_shape(x), (recorder.node(x),), scale=scale, shift=shift)),
        x.shape,
        nothing,
        nothing,
    )


def _activation(recorder: GraphTrace, x: Tensor, function: Function) -> Recorded:
    return recorder.add(Activate(map_shape(x), (recorder.node(x),), function=function)), x.shape


for _name, _function in (
    ("relu", "relu"),
    ("sigmoid", "sigmoid"),
    ("silu", "silu"),
    ("tanh", "tanh"),
    ("hardswish", "hard_swish"),
    ("hardsigmoid", "hard_sigmoid"),
):
    rule(_name)(lambda recorder, x, function=_function: _activation(recorder, x, Function(function)))


@rule("leaky_relu")
def leaky_relu(recorder: GraphTrace, x: Tensor, negative_slope: float = 0.01) -> Recorded:
    """Record a ReLU with a slope below 0."""
    return _activation(recorder, x, Function("leaky_relu", negative_slope))


@rule("hardtanh", "clamp")
def clip(
    recorder: GraphTrace,
    x: Tensor,
    min_val: float | None = None,
    max_val: float | None = None,
    **limits: Any,
) -> Recorded:
    """Record clipping; hardtanh has the limits -1 and 1."""
    low, high = limits.get("min", min_val), limits.get("max", max_val)
    low, high = (sign * float("inf") if v is None else v for sign, v in ((-1, low), (1, high)))
    return _activation(recorder, x, Function("clip", float(low), float(high)))


@rule("elu")
def elu(
    recorder: GraphTrace, x: Tensor, alpha: float = 1, scale: float = 1, input_scale: float = 1
) -> Recorded:
    """Record an ELU."""
    if scale != 1 or input_scale != 1:
        raise RefusedError("an ELU with scales")
    return _activation(recorder, x, Function("elu", alpha))


def one(name: str, value: Pair) -> int:
    """Return what both directions have in common."""
    if len(set(value)) != 1:
        raise RefusedError(f"a {name} that differs by direction: {tuple(value)}")
    return int(value[0])


def two(value: Pair) -> tuple[int, int]:
    """Return a pair, which may be given as one number."""
    return int(value[0]), int(value[-1])
