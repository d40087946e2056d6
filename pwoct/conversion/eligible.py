"""Which convolutions can become octave layers: their recorded calls, and the obstacles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from pwoct.branches import size_of, strided


@dataclass(frozen=True)
class ConvCall:
    """A convolution as it was called: described by its arguments, not by a class's attributes."""

    kernel: tuple[int, int]
    stride: int
    dilation: int
    groups: int
    bias: bool
    same: bool  # the input was padded before


class CannotConvertError(ValueError):
    """The reason why a convolution stays unchanged."""


class _Watch(TorchFunctionMode):
    """Records the convolutions and paddings that code calls."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions: list[dict[str, Any]] = []
        self.pads: list[Any] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is torch.conv2d or func is functional.conv2d:
            names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
            self.convolutions.append({**dict(zip(names, args, strict=False)), **given})
        elif func is functional.pad:
            self.pads.append((given.get("mode", args[2] if len(args) > 2 else "constant"), args, given))
        return func(*args, **given)


def watched(conv: nn.Module, forward: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, ConvCall | str]:
    """Run a convolution's own code on a plain map; return the output, and the call or the obstacle."""
    with _Watch() as watch:
        y = forward(x)
    try:
        return y, _call(conv, watch, x, y)
    except CannotConvertError as why:
        return y, str(why)


def _call(conv: nn.Module, watch: _Watch, x: Tensor, y: Tensor) -> ConvCall:
    if len(watch.convolutions) != 1:
        raise CannotConvertError(f"it convolves {len(watch.convolutions)} times in one run")
    called = watch.convolutions[0]
    weight = called["weight"]
    if weight is not conv._parameters.get("weight"):
        raise CannotConvertError("its weight is computed while it runs")
    if called.get("bias") is not conv._parameters.get("bias"):
        raise CannotConvertError("its bias is computed while it runs")
    if any(mode != "constant" for mode, *_ in watch.pads):
        raise CannotConvertError("it does not pad with zeros")
    return _fitting(ConvCall(**_sizes(called, weight), same=bool(watch.pads)), called, x, y)


def _sizes(called: Mapping[str, Any], weight: Any) -> dict[str, Any]:
    stride, dilation = _pair(called.get("stride", 1)), _pair(called.get("dilation", 1))
    if stride[0] != stride[1] or dilation[0] != dilation[1]:
        raise CannotConvertError("its stride or dilation is not the same in both directions")
    kernel = (weight.shape[2], weight.shape[3])
    if any(k % 2 == 0 for k in kernel):
        raise CannotConvertError(f"its kernel has an even size: {kernel[0]}x{kernel[1]}")
    return {
        "kernel": kernel,
        "stride": stride[0],
        "dilation": dilation[0],
        "groups": called.get("groups", 1),
        "bias": called.get("bias") is not None,
    }


def _fitting(call: ConvCall, called: Mapping[str, Any], x: Tensor, y: Tensor) -> ConvCall:
    """Check that only the stride changes the size, so that the low branch stays half the size."""
    padding = called.get("padding", 0)
    wanted = tuple(call.dilation * (k - 1) // 2 for k in call.kernel)
    keeps = padding == "same" or _pair(padding) == wanted
    if not keeps and not (call.same and size_of(y) == strided(size_of(x), call.stride)):
        raise CannotConvertError(
            f"its padding does not keep the size: kernel {call.kernel[0]}x{call.kernel[1]}, padding {padding}"
        )
    if call.same and keeps:
        raise CannotConvertError("it pads twice")
    if min(size_of(x)) == 1 and max(size_of(x)) == 1:
        raise CannotConvertError("its input is one pixel")
    return call


def _pair(value: Any) -> tuple[Any, Any]:
    if isinstance(value, tuple | list):
        return (value[0], value[0]) if len(value) == 1 else (value[0], value[1])
    return value, value
