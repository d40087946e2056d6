"""Whether an operator contains a product of tensors, judged by torch's own decomposition of it."""

from __future__ import annotations

import importlib
from typing import Any

from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from costmodel.tracing.raw import Raw, Spec, mapped

# Operators that matrix products decompose into, and operators that are whole algorithms.
_PRODUCTS = frozenset(
    {"mm", "bmm", "addmm", "baddbmm", "mv", "dot", "vdot", "matmul", "convolution", "svd", "fft", "linalg"}
)
_known: dict[OpOverload, bool] = {}


class _Seen(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records which operators run."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operators: set[OpOverload] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operators.add(func)
        return func(*args, **(kwargs or {}))


def is_free_of_products(raw: Raw) -> bool:
    """Return whether torch decomposes an operator into others, none of which multiplies matrices."""
    if raw.operator not in _known:
        _known[raw.operator] = _decomposes_freely(raw)
    return _known[raw.operator]


def _decomposes_freely(raw: Raw) -> bool:
    importlib.import_module("torch._refs.linalg")  # importing it adds rules to the table
    from torch._decomp import decomposition_table

    rule = decomposition_table.get(raw.operator)
    if rule is None:
        return False
    positional, named = _arguments(raw)
    try:
        with _Seen() as seen:
            rule(*positional, **named)
    except Exception:  # torch's rule does not accept these tensors: the operator stays uncovered
        return False
    return not any(_multiplies(operator, raw.operator) for operator in seen.operators)


def _arguments(raw: Raw) -> tuple[list[Any], dict[str, Any]]:
    """Return a call's positional and keyword arguments, with tensors on the meta device."""
    found = {name: mapped(value, _meta) for name, value in raw.arguments.items()}
    named = {a.name for a in raw.operator._schema.arguments if a.kwarg_only}
    positional = [value for name, value in found.items() if name not in named]
    return positional, {name: value for name, value in found.items() if name in named}


def _meta(value: Any) -> Any:
    return value.meta() if isinstance(value, Spec) else value


def _multiplies(operator: Any, itself: OpOverload) -> bool:
    """Return whether an operator multiplies matrices, or is the operator to be decomposed itself."""
    words = str(operator).replace("linalg_vector_norm", "norm").replace(".", "_").split("_")
    return operator is itself or not _PRODUCTS.isdisjoint(words)
