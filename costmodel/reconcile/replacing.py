"""Notes functions of torch by putting others in their places, as some counters do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from costmodel.reconcile.recording import EventRecorder

_OVERRIDES = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
# Functions and methods that counters replace by their names.
_REPLACED = ("matmul", "__matmul__", "mm", "bmm", "addmm", "baddbmm", "mul", "add", "einsum")
_HIDDEN = ("boolean_dispatch", "handle_torch_function", "assert_int_or_pair")


@contextmanager
def replaced_functions(recorder: EventRecorder) -> Iterator[None]:
    """Note the functions of torch.nn.functional, and let their bodies run so that calls inside are seen."""
    kept: list[tuple[Any, str, Any, bool]] = []

    def put(owner: Any, name: str, value: Any) -> None:
        kept.append((owner, name, getattr(owner, name), name in vars(owner)))
        setattr(owner, name, value)

    for name, value in list(vars(F).items()):
        if name in _OVERRIDES:
            put(F, name, lambda *_: False)
        elif not name.startswith("_") and callable(value) and name not in _HIDDEN and _is_function(value):
            put(F, name, _noting(recorder, name, value))
    for owner, prefix in ((torch, "torch"), (Tensor, "Tensor")):
        for name in _REPLACED:
            if hasattr(owner, name):
                put(owner, name, _noting(recorder, f"{prefix}.{name}", getattr(owner, name)))
    try:
        yield
    finally:
        recorder.is_over = True
        for owner, name, value, is_own in kept:
            if is_own:
                setattr(owner, name, value)
            else:
                delattr(owner, name)


def _is_function(value: Any) -> bool:
    return not isinstance(value, type) and getattr(value, "__module__", "") not in (
        "typing",
        "torch.overrides",
    )


def _noting(recorder: EventRecorder, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is noted while the run lasts; a module imported meanwhile may keep it."""

    @wraps(function)
    def noted(*args: Any, **kwargs: Any) -> Any:
        if recorder.is_over or recorder.is_inside_call:
            return function(*args, **kwargs)
        index = recorder.enter("function", name, args, kwargs)
        result = None
        try:
            result = function(*args, **kwargs)
        finally:
            recorder.leave(index, result)
        return result

    noted.replaced = function  # type: ignore[attr-defined]
    return noted


@contextmanager
def attention_written_out() -> Iterator[None]:
    """Let `scaled_dot_product_attention` be two products and a softmax, as before torch 2.0."""
    before = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = _attention
    try:
        yield
    finally:
        F.scaled_dot_product_attention = before


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,  # noqa: ARG001 - nothing is dropped in eval mode
    is_causal: bool = False,  # noqa: ARG001 - a mask is no product
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = (t.repeat_interleave(groups, -3) for t in (key, value))
    scores = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.transpose(-2, -1)
    if attn_mask is not None and attn_mask.dtype is not torch.bool:
        scores = scores + attn_mask
    return scores.softmax(dim=-1) @ value
