"""One run of a module: on tensors without data or with real data; forward, and backward on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks

from costmodel.outputs import tensors_in
from costmodel.tracing.calls import TraceError, UndefinedCostError
from costmodel.tracing.changes import State, difference, state
from costmodel.tracing.inventory import own_parameters
from costmodel.tracing.raw import Raw, storage_of
from costmodel.tracing.recorder import DispatchRecorder, Places
from costmodel.tracing.running import call, failure, plain_kernels
from costmodel.tracing.shortcuts import SameShapes
from costmodel.tracing.substitute import Substitutes, fake, real, substituted


class Tensors:
    """The tensors that replace a module's own while it runs."""

    route = "real"
    execute: Callable[..., Any] | None = None  # overrides how an operator runs
    instead: Mapping[Any, Callable[..., Any]] | None = None
    mode: AbstractContextManager[Any] = nullcontext()

    def __init__(self) -> None:
        self.substitutes = Substitutes(real)

    def dispatcher(self) -> AbstractContextManager[Any]:
        """Return a context that changes how composite operators are decomposed."""
        return nullcontext()

    def adopt(self, tensor: Tensor) -> Tensor:
        """Return the tensor itself, or zeros for one without data."""
        return self.substitutes.of(tensor) if tensor.is_meta else tensor


class FakeTensors(Tensors):
    """Tensors without data: a network of any size takes no memory."""

    route = "fake"

    def __init__(self) -> None:
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.execute = SameShapes(self.mode)
        self.substitutes = Substitutes(partial(fake, self.mode))

    def adopt(self, tensor: Tensor) -> Tensor:
        """Move a constant on the meta device, such as one made with the module, to the CPU."""
        of_torch = type(tensor) in (Tensor, nn.Parameter)  # a parameter of a module in a list is on meta too
        return self.substitutes.of(tensor) if of_torch and tensor.is_meta else tensor


RUNS = 12  # of a module that changes, or draws random numbers; they are unlikely to cost the same by chance


@dataclass
class Run:
    """The operators that one run dispatched."""

    places: Places
    forward: list[Raw] = field(default_factory=list)
    backward: list[Raw] = field(default_factory=list)
    saved: dict[str, int] = field(default_factory=dict)  # bytes, by module
    by_hand: list[tuple[Any, bool]] = field(default_factory=list)  # unregistered parameters: size, trainable
    left: Sequence[tuple[str, str]] = ()  # see DispatchRecorder
    changed: str = ""  # the change that the module made to itself, if any
    again: list[list[Raw]] = field(default_factory=list)  # the next runs of a module that changes itself
    held: list[int] = field(default_factory=list)  # elements of its parameters after each of these runs
    unsettled: str = ""  # the change that even the last of these runs made, if any


def run(
    module: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    tensors: Tensors,
    *,
    training: bool,
    watch: Callable[[Raw], None] | None = None,
    twice: bool = False,
) -> Run:
    """Run a module: forward in eval mode, or a whole training step in train mode.

    `watch` is called with each call. With `twice`, a module that changes itself, its class or its file's
    globals, or draws random numbers, runs again until it changes no more, at most RUNS times.

    Raises TraceError if the module does not run.
    """
    places = Places(module)
    with ExitStack() as stack:
        stack.enter_context(plain_kernels())
        stack.enter_context(substituted(module, tensors.substitutes))
        module.train(training)
        stack.enter_context(tensors.mode)
        stack.enter_context(tensors.dispatcher())
        inputs = tensors.substitutes.within([list(args), dict(kwargs)])
        names = {storage_of(p): name for _, name, p in reversed(list(own_parameters(module)))}
        constants = set(map(storage_of, module.buffers()))
        recorder = DispatchRecorder(
            places, names, constants, tensors.adopt, watch, tensors.execute, tensors.instead
        )
        found = Run(places, recorder.calls)
        if training:
            _step(module, recorder, inputs, found, {*names, *constants})
            found.by_hand = list(recorder.by_hand.values())
        else:
            before = state(module)
            call(module, recorder, *inputs)
            found.by_hand = list(recorder.by_hand.values())  # of one run: each may make its own
            found.left = tuple(recorder.left)
            found.changed = difference(before, after := state(module))
            if found.changed and twice:
                _repeat(module, recorder, inputs, found, after)
    return found


def _repeat(
    module: nn.Module, recorder: DispatchRecorder, inputs: Sequence[Any], found: Run, before: State
) -> None:
    """Run a module that changes until a run leaves it as it is, at most RUNS times more."""
    found.held.append(_parameter_elements(module))
    for _ in range(RUNS):
        found.again.append(_next(module, recorder, inputs, found.changed))
        found.held.append(_parameter_elements(module))
        after = state(module)
        found.unsettled = difference(before, after)
        if not found.unsettled:
            return
        before = after


def _parameter_elements(module: nn.Module) -> int:
    return sum({id(p): p.numel() for _, _, p in own_parameters(module)}.values())


def _next(module: nn.Module, recorder: DispatchRecorder, inputs: Sequence[Any], changed: str) -> list[Raw]:
    """Run a module once more, in the state after its last run, and separate that run's record."""
    first, executions = len(recorder.calls), recorder.places.executions.copy()
    try:
        call(module, recorder, *inputs)
    except TraceError as error:
        raise UndefinedCostError(
            f"{changed} while the network runs, and it can't run again: {error}"
        ) from error
    recorder.places.executions = executions
    second = recorder.calls[first:]
    del recorder.calls[first:]
    return second


def _step(
    module: nn.Module, recorder: DispatchRecorder, inputs: Sequence[Any], found: Run, known: set[int]
) -> None:
    """Run forward and backward, and record the tensors saved in between."""
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = storage_of(tensor)
        if storage not in known and storage not in kept:
            kept[storage] = tensor  # kept alive, so that its storage is not freed and reused
            path = recorder.places.path
            found.saved[path] = found.saved.get(path, 0) + tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = call(module, recorder, *inputs)
    calls = recorder.calls
    found.forward = calls[:]
    calls.clear()
    ends = [y for y in tensors_in(outputs) if y.requires_grad]
    if ends:
        try:
            with recorder.recording():
                torch.autograd.backward(ends, [torch.ones_like(y) for y in ends])
        except Exception as error:
            raise TraceError(f"backward: {failure(error, recorder)}") from error
    found.backward = calls[:]
