"""The events of a run, as they begin and end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from costmodel.models.onnx_node import Node
from costmodel.reconcile.described import described, shapes_in, spec_described
from costmodel.reconcile.events import Event, Shape
from costmodel.tracing.pricing import price
from costmodel.tracing.raw import Raw
from costmodel.tracing.trace import number


class EventRecorder:
    """The events of a run, nested by a stack."""

    def __init__(self, paths: Mapping[int, str]) -> None:
        self.events: list[Event] = []
        self.uncovered: dict[str, None] = {}
        self.flow: list[tuple[int, list[Tensor], list[Tensor]]] = []  # what calls read and made
        self.is_over = False  # a module that was imported in the run may keep a function that notes
        self.sizes: dict[int, list[int]] = {}  # products of sizes that a call was given
        self._stack: list[int] = []
        self._paths = paths
        self._modules = [""]

    def enter(self, level: str, name: str, arguments: Any, options: Mapping[str, Any]) -> int:
        """Begin an event, and return its number."""
        parent = self._stack[-1] if self._stack else -1
        given = {key: described(value) for key, value in options.items()}
        event = Event(level, name, self._modules[-1], parent, tuple(map(described, arguments)), given)
        self.events.append(event)
        self._stack.append(len(self.events) - 1)
        return self._stack[-1]

    def leave(self, index: int, result: Any) -> None:
        """End an event with what it made."""
        while self._stack and self._stack.pop() != index:
            pass  # what was left by an error that the model catches
        self.events[index].outputs = shapes_in(result)

    def product_of_sizes(self) -> int:
        """Note a product of sizes in Python, which a traced graph has as a product of scalars."""
        event = Event("call", "mul", self._modules[-1], self.innermost, outputs=(Shape(),), is_used=False)
        self.events.append(event)
        return len(self.events) - 1

    @property
    def is_inside_call(self) -> bool:
        """Whether torch itself runs: what it does in Python, to compute shapes, is nobody's work."""
        return bool(self._stack) and self.events[self._stack[-1]].level == "call"

    @property
    def innermost(self) -> int:
        """The event that runs; -1 for none."""
        return self._stack[-1] if self._stack else -1

    def watch(self, raw: Raw) -> None:
        """Note a dispatched operator with its MACs."""
        call = price(raw, number)
        macs = call.cost.macs
        if raw.base == "mkldnn_rnn_layer":
            macs = _recurrent_macs(raw)
        elif call.reason:
            self.uncovered[raw.name] = None
        given = {name: spec_described(value) for name, value in raw.arguments.items()}
        outputs = tuple(Shape(map(int, spec.shape)) for spec in raw.outputs)
        name = raw.name.removeprefix("aten.")
        parts = {part: int(count) for part, count in call.parts.items()}
        self.events.append(
            Event("aten", name, self._modules[-1], self.innermost, tuple(given.values()), given, outputs,
                  int(macs), call.kind, parts)
        )  # fmt: skip

    @contextmanager
    def modules(self) -> Iterator[None]:
        """Follow every module that is called."""
        entered: list[list[int]] = []

        def enter(module: nn.Module, inputs: Any, options: Any) -> None:
            path = self._paths.get(id(module))
            self._modules.append(self._modules[-1] if path is None else path)
            name = type(module).__name__ if path is not None else f"({type(module).__name__})"
            begun = [self.enter("module", name, inputs, options)]
            if isinstance(module, Node):
                begun += [self.enter("node", module.operator, module.operands(inputs), module.attributes)]
            entered.append(begun)

        def leave(_module: nn.Module, _inputs: Any, result: Any) -> None:
            for index in reversed(entered.pop()):
                self.leave(index, result)
            self._modules.pop()

        with ExitStack() as stack:
            before: Any = register_module_forward_pre_hook
            handles = [_global_pre_hook(enter, before), register_module_forward_hook(leave, always_call=True)]
            for handle in handles:
                stack.callback(handle.remove)
            yield


def _global_pre_hook(enter: Callable[..., None], register: Any) -> Any:
    # Global hooks are not given keywords: a network that passes tensors so is followed by what it computes.
    return register(lambda module, inputs: enter(module, inputs, {}))


def _recurrent_macs(raw: Raw) -> int:
    steps, batch, _ = map(int, raw.inputs[0].shape)
    return steps * batch * sum(int(w.shape[0]) * int(w.shape[1]) for w in raw.inputs[1:3])
