"""An operator call as dispatched: the recorded properties of its tensors and arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload


@dataclass(frozen=True, slots=True)
class Spec:
    """A tensor without its data."""

    shape: tuple[Any, ...]  # whole numbers or torch.SymInt
    dtype: torch.dtype
    storage: int
    parameter: str = ""  # the name of the parameter that it is, or is a view of
    of_weights: bool = False  # it depends only on parameters

    @property
    def item_bytes(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    @property
    def is_floating(self) -> bool:
        """Whether its elements are real or complex numbers rather than integers or booleans."""
        return self.dtype.is_floating_point or self.dtype.is_complex

    def meta(self) -> Tensor:
        """Return a tensor of this shape without data; symbolic sizes take their current values."""
        return torch.empty([_hint(size) for size in self.shape], dtype=self.dtype, device="meta")


@dataclass(slots=True)
class Raw:
    """One dispatched call."""

    operator: OpOverload
    arguments: Mapping[str, Any]  # by the schema's names; tensors are specs
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]
    function: str = ""
    module: str = ""
    execution: int = 0
    sequence: int = 0  # larger than that of any autograd node made before this call
    node: int | None = None  # in a backward pass: the sequence number of the autograd node that runs

    @property
    def name(self) -> str:
        """The operator's name without its overload: "aten.convolution"."""
        return str(self.operator.overloadpacket)

    @property
    def is_torchs(self) -> bool:
        """Whether the operator is one of PyTorch's own, whose names have one meaning."""
        return self.operator.namespace in ("aten", "prims")

    @property
    def base(self) -> str:
        """The name without PyTorch's namespaces, and without the underscore of an in-place operator.

        Operators of other libraries keep their namespace ("mylib.dot"), since a bare name does not say what
        they compute. The names of dunder operators are kept.
        """
        if not self.is_torchs:
            return self.name
        name: str = self.operator.overloadpacket.__name__
        return name if name.endswith("__") else name.removesuffix("_")


def _hint(size: Any) -> int:
    return int(size.node.hint) if isinstance(size, torch.SymInt) else int(size)


def storage_of(tensor: Tensor) -> int:
    """Return a key that distinguishes storages while they are alive."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except NotImplementedError:  # sparse and opaque tensors, and those of vmap, have no storage
        return id(tensor)


def leaves(value: Any) -> Iterator[Any]:
    """Yield the leaves of nested lists, tuples and dictionaries."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, Mapping):
        yield from leaves(list(value.values()))
    else:
        yield value


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """Return nested lists and tuples with a function applied to their leaves."""
    if isinstance(value, list | tuple):
        return [mapped(item, function) for item in value]
    return function(value)


def bound(operator: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's arguments by the names of the operator's schema, including defaults."""
    found = {}
    for index, argument in enumerate(operator._schema.arguments):
        if index < len(args):
            found[argument.name] = args[index]
        elif argument.name in kwargs:
            found[argument.name] = kwargs[argument.name]
        elif argument.has_default_value():
            found[argument.name] = argument.default_value
    return found
