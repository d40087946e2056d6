"""Convolutions that stay as they are, whatever is chosen: all but two-dimensional layers, and functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.overrides import TorchFunctionMode

TRANSPOSED = "it is a transposed convolution"
FUNCTION = "it is called as a function, not as a layer"

OTHER_KIND = "it is a convolution of another kind than nn.Conv2d"

_BY_DIMENSIONS = {
    1: "it convolves in one dimension",
    2: "it convolves in two dimensions, but is not an nn.Conv2d",
    3: "it convolves in three dimensions",
}
_FUNCTIONS = frozenset(
    getattr(torch, f"{name}{dimensions}d") for name in ("conv", "conv_transpose") for dimensions in (1, 2, 3)
)


class OtherConvolutions(TorchFunctionMode):
    """Notes, during a run, the convolutions that can't be replaced: their names in `reasons`, in their order.

    A convolution that is called as a function has the name of its weight. What runs inside a layer is that
    layer's.
    """

    def __init__(self, model: nn.Module, ran: Callable[[str], None]) -> None:
        super().__init__()
        self.reasons: dict[str, str] = {}
        self._layers = {name: layer for name, layer in model.named_modules() if _is_other(layer)}
        self._names = {
            id(tensor): name for name, tensor in (*model.named_parameters(), *model.named_buffers())
        }
        self._ran = ran
        self._depth = self._computed = 0

    @property
    def unused(self) -> list[str]:
        """The layers that did not run."""
        return [name for name in self._layers if name not in self.reasons]

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Run a layer, whose convolutions are its own."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note what runs in a block."""
        with ExitStack() as stack:
            for name, layer in self._layers.items():
                for hook in self._hooks(name):
                    stack.callback(hook(layer).remove)
            stack.enter_context(self)
            yield

    def _hooks(self, name: str) -> Iterator[Callable[[nn.Module], Any]]:
        def enter(layer: nn.Module, _inputs: Any) -> None:
            self._note(name, _why(layer))
            self._depth += 1

        def leave(_layer: nn.Module, _inputs: Any, _output: Any) -> None:
            self._depth -= 1

        yield lambda layer: layer.register_forward_pre_hook(enter)
        yield lambda layer: layer.register_forward_hook(leave, always_call=True)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func in _FUNCTIONS and not self._depth:
            self._note(self._name_of(given.get("weight", args[1] if len(args) > 1 else None)), FUNCTION)
        return func(*args, **given)

    def _name_of(self, weight: Any) -> str:
        if id(weight) in self._names:
            return self._names[id(weight)]
        self._computed += 1
        return f"(computed weight {self._computed})"

    def _note(self, name: str, reason: str) -> None:
        if name not in self.reasons:
            self.reasons[name] = reason
            self._ran(name)


def _is_other(layer: nn.Module) -> bool:
    return isinstance(layer, _ConvNd) and not isinstance(layer, nn.Conv2d)


def _why(layer: Any) -> str:
    """Return the reason, also for a class of one's own that does not set the attributes as PyTorch's do."""
    if getattr(layer, "transposed", False):
        return TRANSPOSED
    kernel = getattr(layer, "kernel_size", None)
    return _BY_DIMENSIONS.get(len(kernel), OTHER_KIND) if isinstance(kernel, Sequence) else OTHER_KIND


__all__ = ["OtherConvolutions"]
