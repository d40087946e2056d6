"""Batch normalisation in training, for channel counts that are not multiples of 16.

The library's kernel for channels_last accumulates gradients in c adjacent numbers per thread. Unless c
numbers fill whole cache lines, threads share lines and wait for each other (false sharing): on 2 threads the
gradient of 8 channels takes 18 times as long as on one. Here several neighbouring pixels are treated as one
pixel with more channels, so that sums fill lines; the statistics of the parts are combined afterwards.
"""

from math import gcd
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pwoct.layout import is_channels_last
from pwoct.plan.shared.known import call, is_changed
from pwoct.plan.shared.tracing import tracer

LINE = 16  # float32 numbers in a cache line


def normalise(norm: nn.Module, x: Tensor) -> Tensor:
    """Compute `norm` of x, (n, c, h, w), and update its running statistics in training.

    >>> x = torch.randn(2, 4, 8, 8).contiguous(memory_format=torch.channels_last)
    >>> norm, same = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
    >>> torch.allclose(normalise(norm, x), same(x), atol=1e-5)
    True
    """
    if not (type(norm) is nn.BatchNorm2d and _is_quick(norm, x)):
        return call(norm, x)
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    statistics = (norm.running_mean, norm.running_var, norm.momentum, norm.eps)
    return _Normalise.apply(x, norm.weight, norm.bias, *statistics)  # type: ignore[no-any-return, no-untyped-call]


def joined_pixels(x: Tensor) -> int:
    """Return how many neighbouring pixels of a row are joined to fill cache lines; 1 if none are."""
    pixels = LINE // gcd(x.shape[1], LINE)
    return pixels if x.shape[3] % pixels == 0 and is_channels_last(x) else 1


def _is_quick(norm: nn.BatchNorm2d, x: Tensor) -> bool:
    """Whether joining pixels is worth it, and computes all that the module does."""
    is_plain = norm.training and _is_plain(norm) and not is_changed(norm)
    return is_plain and tracer(x) is None and x.numel() > 0 and joined_pixels(x) > 1


def _is_plain(norm: nn.BatchNorm2d) -> bool:
    statistics = (norm.running_mean, norm.running_var, norm.num_batches_tracked)
    is_kept = norm.track_running_stats and all(value is not None for value in statistics)
    return norm.affine and is_kept and norm.momentum is not None


def _join(x: Tensor, pixels: int) -> Tensor:
    """View (n, c, h, w) in channels_last as (n, pixels c, h, w / pixels)."""
    n, c, h, w = x.shape
    return x.permute(0, 2, 3, 1).view(n, h, w // pixels, pixels * c).permute(0, 3, 1, 2)


def _separate(x: Tensor, pixels: int) -> Tensor:
    n, c, h, w = x.shape
    return x.permute(0, 2, 3, 1).view(n, h, w * pixels, c // pixels).permute(0, 3, 1, 2)


def _affine(x: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> Tensor:
    """Write scale * x + shift, channel by channel, to `out`."""
    zero, one, unused = torch.zeros_like(scale), torch.ones_like(scale), scale.new_empty(0)
    torch.ops.aten.native_batch_norm.out(
        x, scale, shift, zero, one, False, 0.0, 0.0, out=out, save_mean=unused, save_invstd=unused.clone()
    )
    return out


def _statistics(x: Tensor, pixels: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance per channel of joined pixels, in the dtype of `like`."""
    parts, count = x.shape[1], x.numel() // x.shape[1]
    mean, variance = like.new_zeros(parts), like.new_ones(parts)
    # A momentum of 1 replaces the running statistics, which keep their type where x is bfloat16.
    torch.ops.aten.batch_norm_update_stats(x, mean, variance, 1.0)
    means = mean.view(pixels, -1)
    mean = means.mean(0)
    within = variance.view(pixels, -1).mean(0) * ((count - 1) / count)
    return mean, within + (means - mean).square().mean(0)


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        pixels, count = joined_pixels(x), x.numel() // x.shape[1]
        joined = _join(x, pixels)
        mean, variance = _statistics(joined, pixels, weight)
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(variance * (count / (count - 1)), momentum)
        inverse = torch.rsqrt(variance + eps)
        scale = weight * inverse
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.eps = eps
        y = torch.empty_like(x)  # the result must not be a view, since a ReLU may overwrite it
        shift = bias - mean * scale
        _affine(joined, scale.repeat(pixels), shift.repeat(pixels), _join(y, pixels))
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        pixels, count = joined_pixels(x), x.numel() // x.shape[1]
        joined = _join(x, pixels)
        repeated = (value.repeat(pixels) for value in (weight, mean, variance))
        grad_x, *sums = torch.ops.aten.native_batch_norm_backward(
            _join(grad, pixels), joined, *repeated, None, None, False, ctx.eps, [True, True, True]
        )
        grad_weight, grad_bias = (total.view(pixels, -1).sum(0) for total in sums)
        inverse = torch.rsqrt(variance + ctx.eps)
        # minus weight / deviation * (mean gradient + normalised x * mean of gradient * normalised x)
        scale = -weight * inverse.square() * grad_weight / count
        shift = -weight * inverse * grad_bias / count - scale * mean
        grad_x += _affine(joined, scale.repeat(pixels), shift.repeat(pixels), torch.empty_like(joined))
        return _separate(grad_x, pixels), grad_weight, grad_bias, None, None, None, None
