"""An input on which a network runs: given by the user, stated by the network, or found by trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pwoct.channels import plain_int

SIDES = (224, 64, 32, 299, 331, 384, 28)

Shape = tuple[int, ...]
Inputs = Tensor | Shape | Sequence[Any]


def shapes_of(inputs: Inputs | None, model: nn.Module) -> Iterator[tuple[Any, ...]]:
    """Yield the positional arguments to try, as shapes or as tensors.

    model: A network with at least one two-dimensional convolution.

    Raises:
        ValueError: if `inputs` is not a valid input.
    """
    if inputs is not None:
        yield _arguments(inputs)
        return
    told = _told(model)
    if told:
        yield ((1, *told),)
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    for side in SIDES:
        yield ((1, first.in_channels, side, side),)


def _arguments(inputs: Inputs) -> tuple[Any, ...]:
    if isinstance(inputs, Tensor):
        return (inputs,)
    if isinstance(inputs, str) or not isinstance(inputs, Sequence) or not inputs:
        raise ValueError(
            f"inputs must be a shape such as (1, 3, 224, 224), a tensor or a tuple, got {inputs!r}"
        )
    values: tuple[Any, ...] = tuple(map(plain_int, inputs))
    if not all(isinstance(v, int) for v in values):
        return values
    if any(v < 1 for v in values):
        raise ValueError(f"sizes of the input must be at least 1, got {values}")
    return (values,)


def _told(model: nn.Module) -> Shape | None:
    """Return (c, h, w) if the network states it, as those of timm and pytorchcv do."""
    config = getattr(model, "default_cfg", None) or getattr(model, "pretrained_cfg", None)
    size: Any = config.get("input_size") if isinstance(config, dict) else None
    sides: Any = getattr(model, "in_size", None)
    if size is None and isinstance(sides, tuple):
        size = (getattr(model, "in_channels", 3), *sides)
    return tuple(size) if size else None


def tensors(arguments: Sequence[Any], device: torch.device | str, dtype: torch.dtype) -> list[Any]:
    """Return arguments with tensors on a device; a shape becomes a tensor of zeros of a dtype."""

    def made(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.detach().to(device)
        is_shape = isinstance(value, tuple | list) and all(isinstance(v, int) for v in value)
        return torch.zeros(tuple(value), device=device, dtype=dtype) if is_shape else value

    return [made(value) for value in arguments]


def without_data(model: nn.Module) -> nn.Module:
    """Move a model to the meta device, including tensors that are neither parameters nor buffers."""
    found = model.to("meta")
    for part in found.modules():
        for key, value in vars(part).items():
            if isinstance(value, Tensor):
                setattr(part, key, value.to("meta"))
    return found


def runs(model: nn.Module, args: Sequence[Any]) -> bool:
    """Whether a network runs on arguments, in evaluation mode."""
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad():
            model.eval()(*args)
    except Exception:  # its own code runs, and may raise anything
        return False
    finally:
        for module, mode in modes.items():
            module.training = mode
    return True


def first_that_runs(attempts: Sequence[tuple[Any, Callable[[], Any]]]) -> tuple[Any, Any]:
    """Return the key and result of the first attempt that does not raise; otherwise raise the first error."""
    first: Exception | None = None
    for key, attempt in attempts:
        try:
            return key, attempt()
        except Exception as error:
            first = first or error
    assert first is not None
    raise first
