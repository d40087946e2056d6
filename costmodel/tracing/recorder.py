"""Records the operators that a module dispatches, and where, by two torch modes and two hooks.

The dispatch mode sees what runs below autograd, after composite operators were decomposed. The function mode
sees what the code called: `linear` rather than the `addmm` that it became.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from costmodel.tracing.calls import UndefinedCostError
from costmodel.tracing.raw import Raw, Spec, bound, leaves, mapped, storage_of

_DEVICE = torch.ops.prim.device.default
# Methods of tensors that hand their data to another library: NumPy, or whatever reads DLPack.
LEAVES_TORCH = frozenset({"numpy", "__array__", "__dlpack__"})


class Places:
    """Tracks which module of a model is running, and its number of runs so far."""

    def __init__(self, model: nn.Module) -> None:
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._stack: list[str] = [""]
        self.executions: Counter[str] = Counter()
        self._thread, self._elsewhere = threading.get_ident(), False

    @property
    def path(self) -> str:
        """The innermost module that runs; "" is the model."""
        return self._stack[-1]

    @property
    def is_inside(self) -> bool:
        """Whether a module is running."""
        return len(self._stack) > 1

    @property
    def execution(self) -> int:
        """The number of this run of the module, from 1."""
        return max(self.executions[self.path], 1)

    def path_of(self, module: object) -> str | None:
        """Return a module's path; None if it is not part of the model."""
        return self._paths.get(id(module))

    def check_thread(self) -> None:
        """Raise UndefinedCostError if a module ran in another thread."""
        if self._elsewhere:
            raise UndefinedCostError("(model) runs a module in another thread, where its work is not counted")

    def _is_elsewhere(self) -> bool:
        elsewhere = threading.get_ident() != self._thread
        self._elsewhere |= elsewhere
        return elsewhere

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Track every module that is called."""
        handles = (
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, always_call=True),
        )
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, _inputs: Any) -> None:
        if self._is_elsewhere():
            return
        # A module made while running has no path: its work belongs to the enclosing module.
        path = self._paths.get(id(module), self.path)
        self._stack.append(path)
        if id(module) in self._paths:
            self.executions[path] += 1

    def _leave(self, _module: nn.Module, _inputs: Any, _outputs: Any) -> None:
        if (
            self.is_inside and not self._is_elsewhere()
        ):  # not where recursion ended while a module was entered
            self._stack.pop()


class _Functions(TorchFunctionMode):
    """Tracks which torch function the code called: the outermost one."""

    def __init__(self, places: Places, instead: Mapping[Any, Callable[..., Any]] | None = None) -> None:
        super().__init__()
        self.left: list[tuple[str, str]] = []  # calls with which code left torch: module and method
        self._places = places
        self.stack: list[str] = [""]
        self.failed: tuple[str, Exception | None] = "", None  # the last function that raised, and the error
        self._instead = instead or {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name == "__get__":  # an attribute such as .shape
            return func(*args, **(kwargs or {}))
        if name in LEAVES_TORCH:
            self.left.append((self._places.path, name))
        self.stack.append(name)
        try:
            func = self._instead.get(func, func)
            return func(*args, **(kwargs or {}))  # nested calls are not seen: the mode is off inside
        except Exception as error:
            self.failed = name, error
            raise
        finally:
            self.stack.pop()


class DispatchRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records dispatched operators.

    `parameters` are the names of the model's parameters by storage. `adopt` converts tensors from outside to
    the kind that the run computes with; `watch` is called with each call; `execute` overrides how an operator
    runs, and `instead` maps functions to their replacements.
    """

    def __init__(
        self,
        places: Places,
        parameters: dict[int, str],
        constants: set[int],
        adopt: Callable[[Tensor], Tensor] | None = None,
        watch: Callable[[Raw], None] | None = None,
        execute: Callable[..., Any] | None = None,
        instead: Mapping[Any, Callable[..., Any]] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Raw] = []
        self.places = places
        self.by_hand: dict[int, tuple[Any, bool]] = {}  # parameters that are not registered, by storage
        self._failed: tuple[str, Exception | None] = "", None  # the last operator that raised, and the error
        self._functions = _Functions(places, instead)
        self._parameters = parameters
        self._of_weights = {*parameters, *constants}
        self._held: list[Any] = []  # kept alive, so that their storages are not freed and reused
        self._adopt = adopt
        self._watch = watch
        self._execute = execute

    def failed_in(self, error: BaseException) -> str:
        """Return the operator, or otherwise the called function, that raised an error; or ""."""
        candidates = (self._failed, self._functions.failed)
        return next((name for name, raised in candidates if raised is error), "")

    @property
    def left(self) -> Sequence[tuple[str, str]]:
        """The calls with which code handed tensors to another library: the module and the method."""
        return self._functions.left

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record everything that runs in the block."""
        with ExitStack() as stack:
            stack.enter_context(self.places.watched())
            stack.enter_context(self._functions)
            stack.enter_context(self)
            yield

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is _DEVICE:
            return getattr(args[0], "fake_device", None) or func(*args)
        if not isinstance(func, OpOverload):
            return func(*args, **kwargs)
        if _is_composite(func):
            with self:
                return func.decompose(*args, **kwargs)
        return self._run(func, args, kwargs)

    def _run(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        arguments = mapped_values(bound(func, args, kwargs), self._spec)
        if self._adopt is not None:
            args, kwargs = self._adopted(args), {name: self._adopted(v) for name, v in kwargs.items()}
        try:
            result = self._execute(func, args, kwargs) if self._execute else func(*args, **kwargs)
        except Exception as error:
            self._failed = str(func.overloadpacket), error
            raise
        inputs = tuple(value for value in leaves(arguments) if isinstance(value, Spec))
        of_weights = bool(inputs) and all(spec.of_weights for spec in inputs)
        outputs = [value for value in leaves(result) if isinstance(value, Tensor)]
        if of_weights:
            self._held.extend(outputs)
            self._of_weights.update(map(storage_of, outputs))
        self._note(
            Raw(
                func,
                arguments,
                inputs,
                tuple(map(self._spec, outputs)),
                self._functions.stack[-1],
                self.places.path,
                self.places.execution,
                torch._C._autograd._get_sequence_nr(),
                _node(),
            )
        )
        return result

    def _note(self, raw: Raw) -> None:
        self.calls.append(raw)
        if self._watch is not None:
            self._watch(raw)

    def _adopted(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._adopt(value) if self._adopt else value
        if isinstance(value, list | tuple):
            return type(value)(map(self._adopted, value))
        return value

    def _spec(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        storage = storage_of(value)
        if isinstance(value, nn.Parameter) and storage not in self._parameters:
            self.by_hand[storage] = (value.numel(), value.requires_grad)
            self._parameters[storage] = f"(unregistered {len(self.by_hand)})"
            self._of_weights.add(storage)
            self._held.append(value)
        return Spec(
            tuple(value.shape),
            value.dtype,
            storage,
            self._parameters.get(storage, ""),
            storage in self._of_weights,
        )


@cache
def _is_composite(operator: OpOverload) -> bool:
    """Return whether an operator is a composite: Python rules for single kernels do not count."""
    name: str = operator.name()  # type: ignore[no-untyped-call]
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd"))


def _node() -> int | None:
    """Return the sequence number of the autograd node that is running; None outside a backward pass."""
    node = torch._C._current_autograd_node()
    return None if node is None else int(node._sequence_nr())


def mapped_values(arguments: dict[str, Any], function: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a call's arguments with a function applied to each leaf."""
    return {name: mapped(value, function) for name, value in arguments.items()}
