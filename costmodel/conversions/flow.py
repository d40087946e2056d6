"""Which convolutions of a network feed which others, through all operators in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

NOTHING: frozenset[str] = frozenset()
# Their results are plain tensors in every converted network: no rule passes branches through a product.
_PRODUCTS = ("convolution", "addmm", "mm", "bmm", "baddbmm", "mv", "addmv", "dot")


@dataclass
class Flow:
    """The convolutions of a network, in the order in which they run.

    `feeds` are the convolutions that reach each one through other operators; `size` is its output's (h, w);
    `grouped` are the convolutions with several groups.
    """

    feeds: dict[str, frozenset[str]] = field(default_factory=dict)
    size: dict[str, tuple[int, int]] = field(default_factory=dict)
    grouped: set[str] = field(default_factory=set)


def flow_of(module: nn.Module, args: Sequence[Any]) -> Flow:
    """Run a network in evaluation mode and return how its two-dimensional convolutions feed one another.

    Errors that the network raises are passed on.
    """
    marks = _Marks()
    flow = Flow()
    with _watched(module, marks, flow), marks, torch.no_grad():
        module(*args)
    return flow


class _Marks(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Marks each storage with the convolutions that it comes from; marks of inputs pass on to outputs."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.by_storage: dict[int, frozenset[str]] = {}
        self.kept: list[Tensor] = []  # a freed storage could give its address to another one

    def of(self, values: Any) -> frozenset[str]:
        """Return the marks of all tensors among values."""
        return NOTHING.union(*(self.by_storage.get(key, NOTHING) for _, key in _storages(values)))

    def put(self, values: Any, marks: frozenset[str], *, alone: bool = False) -> None:
        """Mark all tensors among values; on request, replace their other marks."""
        for tensor, key in _storages(values):
            self.kept.append(tensor)
            self.by_storage[key] = marks if alone else marks | self.by_storage.get(key, NOTHING)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        is_product = func.overloadpacket.__name__ in _PRODUCTS
        self.put(result, NOTHING if is_product else self.of((args, kwargs)))
        return result


def _storages(values: Any) -> Iterator[tuple[Tensor, int]]:
    for value in tree_leaves(values):
        if isinstance(value, Tensor):
            yield value, value.untyped_storage()._cdata


@contextmanager
def _watched(module: nn.Module, marks: _Marks, flow: Flow) -> Iterator[None]:
    """Record the input marks of each convolution, and mark its output."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    handles = []
    for name, conv in module.named_modules():
        if isinstance(conv, nn.Conv2d):
            handles.append(conv.register_forward_pre_hook(partial(_enter, name, marks, flow)))
            handles.append(conv.register_forward_hook(partial(_leave, name, marks, flow)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for part, mode in modes.items():
            part.training = mode


def _enter(name: str, marks: _Marks, flow: Flow, conv: nn.Module, args: Any) -> None:
    flow.feeds[name] = flow.feeds.get(name, NOTHING) | marks.of(args)
    if isinstance(conv, nn.Conv2d) and conv.groups > 1:
        flow.grouped.add(name)


def _leave(name: str, marks: _Marks, flow: Flow, conv: nn.Module, args: Any, output: Any) -> None:
    del conv, args
    marks.put(output, frozenset((name,)), alone=True)
    if isinstance(output, Tensor) and output.dim() == 4:
        flow.size[name] = (int(output.shape[2]), int(output.shape[3]))
