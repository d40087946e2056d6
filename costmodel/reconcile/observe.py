"""Runs a model once and notes what runs at every level at which a counter can look.

Counters see different things: hooks see modules, patches see functions, traces see calls, dispatch modes see
operators. Nesting is kept, so that what two of them count of the same work can be put side by side.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from costmodel.failures import told
from costmodel.reconcile.described import acts_as_tensor, module_facts, tensors_in
from costmodel.reconcile.events import Seen
from costmodel.reconcile.recording import EventRecorder
from costmodel.reconcile.replacing import attention_written_out, replaced_functions
from costmodel.reconcile.sizes import products_in, traced_sizes
from costmodel.tracing.inventory import parameter_counts
from costmodel.tracing.lazy_layers import materialise
from costmodel.tracing.raw import storage_of
from costmodel.tracing.recorder import DispatchRecorder, Places
from costmodel.tracing.runs import FakeTensors, Tensors
from costmodel.tracing.substitute import substituted
from costmodel.tracing.trace import Values
from costmodel.uncompiled import uncompiled


class _Calls(TorchFunctionMode):
    """Notes what Python hands to torch."""

    def __init__(self, recorder: EventRecorder) -> None:
        super().__init__()
        self._recorder = recorder
        self.stand_ins: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        func = getattr(func, "replaced", func)  # an operator such as @ is looked up among methods
        name = getattr(func, "__name__", "")
        for one in filter(acts_as_tensor, tree_leaves((args, kwargs))):
            self.stand_ins.add(type(one).__name__)
            with self:  # what it makes of the call is what runs
                return type(one).__torch_function__(func, types, args, kwargs)
        if name == "__get__":  # an attribute such as .shape or .T
            result = func(*args, **kwargs)
            self._recorder.flow.append((-1, tensors_in((args, kwargs)), tensors_in(result)))
            return traced_sizes(result, self._recorder.product_of_sizes)
        index = self._recorder.enter("call", name, args, kwargs)
        self._recorder.sizes[index] = list(products_in(tree_leaves((args, kwargs))))
        result = None
        try:
            result = func(*args, **kwargs)
        finally:
            self._recorder.leave(index, result)
        self._recorder.flow.append((index, tensors_in((args, kwargs)), tensors_in(result)))
        return traced_sizes(result, self._recorder.product_of_sizes) if name == "size" else result


def observe(
    module: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    auxiliary: bool = False,
    written_out: bool = False,
    values: Values | None = None,
) -> Seen:
    """Run a module in eval mode without gradients, and return what ran.

    It runs on tensors without data where its code allows, else on the CPU, on the module and inputs that
    `values` makes or else on the given ones, with zeros for those without data. The module is left as it was,
    except that lazy parameters are materialised.
    With `auxiliary`, modules with children are in train mode, so that auxiliary heads run; layers are not.
    With `written_out`, attention that is one operator runs as products of matrices and a softmax, as most
    networks wrote it before torch 2.0.

    Raises ValueError if it does not run.
    """
    try:
        materialise(module, args, kwargs or {})
        try:
            return _observed(module, args, kwargs or {}, FakeTensors(), auxiliary, written_out)
        except Exception:  # code that needs values fails in any way without data; a fault fails again
            with_data = values() if values else (module, args, kwargs or {})
            return _observed(*with_data, Tensors(), auxiliary, written_out)
    except Exception as error:  # the network's own code may raise anything
        raise ValueError(f"the network does not run: {told(error)}") from error


def _observed(
    module: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    tensors: Tensors,
    auxiliary: bool,
    written_out: bool,
) -> Seen:
    facts = module_facts(module)
    paths = {id(part): path for path, part in module.named_modules()}
    recorder = EventRecorder(paths)
    with ExitStack() as stack:
        stack.enter_context(quiet())
        stack.enter_context(substituted(module, tensors.substitutes))
        module.eval()
        for part in module.modules() if auxiliary else ():
            part.training = any(True for _ in part.children())
        stack.enter_context(tensors.mode)
        inputs = tensors.substitutes.within([list(args), dict(kwargs)])
        dispatched = DispatchRecorder(Places(module), {}, set(), tensors.adopt, recorder.watch)
        stack.enter_context(dispatched)
        stack.enter_context(recorder.modules())
        stack.enter_context(replaced_functions(recorder))
        if written_out:
            stack.enter_context(attention_written_out())
        calls = stack.enter_context(_Calls(recorder))
        result = module(*inputs[0], **inputs[1])
    _mark_unused(recorder, tensors_in(result))
    first = [t for t in tensors_in((args, kwargs)) if t.dim()]
    batch = int(first[0].shape[0]) if first else 1
    return Seen(
        tuple(recorder.events),
        facts,
        parameter_counts(module, ()).all,
        batch,
        batch if len(args) == 1 and not kwargs else 1,
        tuple(recorder.uncovered),
        frozenset(calls.stand_ins),
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Let a model run as counters run it: without gradients, warnings, fused layers and compiling."""
    fused: Any = torch.backends.mha
    before = fused.get_fastpath_enabled()
    fused.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), uncompiled(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        fused.set_fastpath_enabled(before)


def _mark_unused(recorder: EventRecorder, results: Sequence[Tensor]) -> None:
    """Mark calls on which the outputs do not depend, backwards along what they read and made."""
    live = set(map(id, results))
    storages = set(map(storage_of, results))
    for index, read, made in reversed(recorder.flow):
        changes = index >= 0 and _changes(recorder.events[index].name)
        used = any(id(t) in live for t in made)
        used = used or (changes and any(storage_of(t) in storages for t in read[:1]))
        if used:
            live.update(map(id, read))
            storages.update(map(storage_of, read))
        elif index >= 0:
            recorder.events[index].is_used = False
    for index, products in recorder.sizes.items():
        for product in products if recorder.events[index].is_used else ():
            recorder.events[product].is_used = True


def _changes(name: str) -> bool:
    """Return whether a call changes its first argument."""
    return name in ("__setitem__",) or (name.endswith("_") and not name.endswith("__")) or name[:3] == "__i"
