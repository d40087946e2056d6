"""What hooks observe while an `nn.Module` runs: shapes, activations, and what is saved for backward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.hooks import RemovableHandle

from costmodel.checks.measure import WEIGHTED, mode, total_counter, whole_macs
from costmodel.failures import first_line
from costmodel.outputs import tensors_in


@dataclass(frozen=True)
class ObservedCall:
    """One call of a convolution or a linear layer."""

    shape: tuple[int, ...]  # of the input
    outputs: int  # elements
    input_grad: bool  # whether the input needs a gradient


@dataclass
class Observation:
    """What was observed in one pass, by the name of the innermost module that ran."""

    calls: dict[str, list[ObservedCall]] = field(default_factory=dict)
    saved_bytes: Counter[str] = field(default_factory=Counter)  # distinct storages, where first saved
    training_macs: int = 0  # of the whole pass, forward and backward, by `FlopCounterMode`

    def activations(self, name: str) -> int:
        """Return the number of output elements of a convolution or a linear layer."""
        return sum(call.outputs for call in self.calls.get(name, ()))


class ModuleError(RuntimeError):
    """A module whose code fails; the message says which one, and why."""


class Running:
    """Tracks which module of a model is running: the innermost one, or the one that failed."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._names = [""]

    @property
    def name(self) -> str:
        """The module's name; empty for the whole model."""
        return self._names[-1]

    def failed(self, error: Exception, doing: str = "") -> str:
        """Return a sentence that says which module failed, and why."""
        return f"{self.name or '(model)'}: the code fails{doing}: {first_line(error)}"

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Register the hooks on a model."""
        handles = []
        for name, module in self._model.named_modules():
            handles.append(module.register_forward_pre_hook(partial(self._enter, name)))
            handles.append(module.register_forward_hook(self._leave))
        try:
            yield
        finally:
            _remove(handles)

    def _enter(self, name: str, _module: nn.Module, _inputs: Any) -> None:
        self._names.append(name)

    def _leave(self, _module: nn.Module, _inputs: Any, _output: Any) -> None:
        self._names.pop()


def observe_training(
    model: nn.Module, inputs: Sequence[Tensor], rules: Mapping[Any, Any] | None = None
) -> Observation:
    """Observe one training step in train mode; the model is left as it was, without gradients.

    rules: of `FlopCounterMode`, by operator of ATen, in place of its own.

    Raises ModuleError if the model does not run on the inputs, ValueError if a rule counts an odd number of
    operations.
    """
    watch = _Watch(model)
    counter = total_counter(rules)
    with mode(model, training=True), _unchanged_buffers(model), counter:
        with watch.hooks(), saved_tensors_hooks(watch.pack, lambda tensor: tensor):
            try:
                outputs = model(*inputs)
            except Exception as error:  # whatever the code of the model raises
                raise ModuleError(watch.running.failed(error)) from error
        _backward(watch.running, [y for y in tensors_in(outputs) if y.requires_grad])
    model.zero_grad(set_to_none=True)
    watch.seen.training_macs = whole_macs(counter.get_total_flops())
    return watch.seen


def _backward(running: Running, outputs: Sequence[Tensor]) -> None:
    if outputs:
        try:
            torch.autograd.backward([y.sum() for y in outputs])
        except Exception as error:  # that of a function of the model's own
            raise ModuleError(running.failed(error, " in the backward pass")) from error


def result_is_unused(model: nn.Module, inputs: Sequence[Tensor], name: str) -> bool:
    """Return whether the output stays the same, and finite, when a module's result is replaced by NaN."""
    module = model.get_submodule(name)
    with mode(model, training=False), torch.no_grad():
        before = tensors_in(model(*inputs))
        handle = module.register_forward_hook(lambda _module, _inputs, y: torch.full_like(y, torch.nan))
        try:
            after = tensors_in(model(*inputs))
        finally:
            handle.remove()
    # NaN differs from itself, so an output of NaN is never taken for unchanged.
    return len(before) == len(after) and all(map(torch.equal, before, after))


class _Watch:
    """Records calls of layers, and the storages that are saved for the backward pass."""

    def __init__(self, model: nn.Module) -> None:
        self.seen = Observation()
        self.running = Running(model)
        self._model = model
        # Parameters and buffers exist anyway. Tensors are kept alive, lest a storage be freed and reused.
        self._kept: dict[int, Tensor] = {_storage(t): t for t in (*model.parameters(), *model.buffers())}

    @contextmanager
    def hooks(self) -> Iterator[None]:
        handles = [
            module.register_forward_hook(partial(self._note_call, name), with_kwargs=True)
            for name, module in self._model.named_modules()
            if isinstance(module, WEIGHTED)
        ]
        try:
            with self.running.watched():
                yield
        finally:
            _remove(handles)

    def pack(self, tensor: Tensor) -> Tensor:
        """Record a tensor that autograd saves, unless its storage is already known."""
        if _storage(tensor) not in self._kept:
            self._kept[_storage(tensor)] = tensor
            self.seen.saved_bytes[self.running.name] += tensor.untyped_storage().nbytes()
        return tensor

    def _note_call(self, name: str, _module: nn.Module, inputs: Any, named: Any, output: Any) -> None:
        x = inputs[0] if inputs else named["input"]  # either may be called with its input as a keyword
        call = ObservedCall(tuple(x.shape), output.numel(), x.requires_grad)
        self.seen.calls.setdefault(name, []).append(call)


@contextmanager
def _unchanged_buffers(model: nn.Module) -> Iterator[None]:
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, value in before:
            buffer.copy_(value)


def _remove(handles: Iterable[RemovableHandle]) -> None:
    for handle in handles:
        handle.remove()


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
