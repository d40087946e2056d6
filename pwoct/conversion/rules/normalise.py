"""Normalisation and other functions with per-channel parameters: each branch uses its channels' own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pwoct.conversion.layout import BranchLayout, is_run, take
from pwoct.conversion.rules.registry import Function, rule
from pwoct.conversion.tensor import OctaveTensor


@rule("batch_norm", "instance_norm", "prelu")
def by_channels(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function with per-channel vectors; running statistics are written back."""
    x = args[0] if args else kwargs.get("input")
    if not isinstance(x, OctaveTensor):
        return NotImplemented
    others = {name: value for name, value in kwargs.items() if name != "input"}
    results: list[Tensor | None] = []
    for branch, channels in ((x.high, x.channels_of.high), (x.low, x.channels_of.low)):
        if branch is None:
            results.append(None)
            continue
        taken = [_taken(value, channels, x) for value in args[1:]]
        named = {name: _taken(value, channels, x) for name, value in others.items()}
        results.append(func(branch, *taken, **named))
        if not is_run(channels):
            _write_back([*args[1:], *others.values()], [*taken, *named.values()], channels)
    return x.like(*results)


def _taken(value: Any, channels: Sequence[int], x: OctaveTensor) -> Any:
    is_vector = isinstance(value, Tensor) and value.dim() == 1 and value.shape[0] == x.shape[1]
    return take(value, channels, 0) if is_vector else value


def _write_back(whole: Sequence[Any], taken: Sequence[Any], channels: Sequence[int]) -> None:
    """Write statistics, which need no gradient, from copies back to the originals."""
    for value, part in zip(whole, taken, strict=True):
        if isinstance(value, Tensor) and part is not value and not value.requires_grad:
            value.index_copy_(0, torch.tensor(channels, device=value.device), part.detach())


@rule("group_norm")
def by_groups(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Normalise whole groups in each branch; a group that spans both branches is normalised in each."""
    x = args[0] if args else kwargs.get("input")
    if not isinstance(x, OctaveTensor) or len(args) < 2:
        return NotImplemented
    groups, rest = args[1], args[2:]
    results: list[Tensor | None] = []
    for branch, channels in ((x.high, x.channels_of.high), (x.low, x.channels_of.low)):
        if branch is None:
            results.append(None)
            continue
        own = _groups_of(channels, groups, x.channels_of)
        taken = [_taken(value, channels, x) for value in rest]
        named = {k: _taken(value, channels, x) for k, value in kwargs.items() if k != "input"}
        results.append(func(branch, own, *taken, **named))
    return x.like(*results)


def _groups_of(channels: Sequence[int], groups: int, layout: BranchLayout) -> int:
    """Return the largest number of groups, at most a branch's share, that divides its channels."""
    share = max(1, groups * len(channels) // layout.channels)
    return next(g for g in range(share, 0, -1) if len(channels) % g == 0)
