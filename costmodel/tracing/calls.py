"""The operators that ran: calls with their costs, and sums over them. Plain data without torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from costmodel.convention import Cost, total
from costmodel.sizes import Size

Shape = tuple[Size, ...]


class TraceError(ValueError):
    """A module cannot be traced; the message names the module and, if known, the operator."""


class UndefinedCostError(TraceError):
    """A module whose cost is not defined: it changes from run to run, or hides its work."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operator: what it is, where it ran, what it costs."""

    operator: str  # "aten.convolution"
    function: str  # what the code called: "conv2d"; "" if it called the operator itself
    module: str  # path of the innermost module that ran; "" is the model
    execution: int  # 1 for the module's first run
    kind: str  # a key of RULES in costmodel.operators.rules, one of MULTIPLYING or FREE, or "unknown"
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    cost: Cost
    parts: Mapping[str, Size] = field(default_factory=dict)  # element operations, by part
    bytes_read: Size = 0
    bytes_written: Size = 0
    parameters: tuple[str, ...] = ()  # names of the parameters it read
    reason: str = ""  # why no formula covers it; "" if one does
    on_weights: bool = False  # it depends only on parameters and buffers: it computes a weight
    without_groups: Size = 0  # of a grouped weight gradient: the MACs that a dense one would take beyond it
    of_complex: bool = False  # it multiplies complex numbers, or is part of a complex convolution

    @property
    def is_covered(self) -> bool:
        """Whether a formula gives its MACs."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class ParameterCounts:
    """Elements of parameters and buffers; tied parameters count once."""

    trainable: int = 0
    frozen: int = 0
    buffers: int = 0
    unregistered: int = 0  # used but not in `parameters()`; included in trainable and frozen
    unregistered_frozen: int = 0
    tied: Mapping[str, str] = field(default_factory=dict)  # a name -> the first name of the same parameter
    unused: tuple[str, ...] = ()  # not read by any call

    @property
    def all(self) -> int:
        """The number of all parameters, trainable and frozen."""
        return self.trainable + self.frozen


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """A module of the model: its class, how often it ran, and its own parameters."""

    path: str
    type: str
    executions: int
    parameters: int  # its own, without its children's; a tied parameter belongs to its first module
    buffers: int


@dataclass(frozen=True, slots=True)
class Training:
    """One training step in train mode."""

    forward: tuple[Call, ...]
    backward: tuple[Call, ...]  # attributed to the modules of the forward calls
    saved_bytes: Size  # distinct storages saved for the backward pass, without parameters and buffers
    saved_by_module: Mapping[str, Size] = field(default_factory=dict)

    @property
    def macs(self) -> Size:
        """MACs of the whole training step."""
        return sum(call.cost.macs_training for call in (*self.forward, *self.backward))


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything that ran, and the sums over it."""

    calls: tuple[Call, ...]
    parameters: ParameterCounts
    modules: tuple[ModuleInfo, ...]
    training: Training | None = None
    route: str = "fake"  # or "real"
    notes: tuple[str, ...] = ()  # notes that the reader needs
    unsettled: str = ""  # what changes in every run, though the cost does not

    def total(self) -> Cost:
        """Return the cost of the forward pass, parameters once.

        It has no gradients: the MACs of a training step are `training.macs`.
        """
        return self._cost(self.calls) + Cost(weights=self.parameters.all)

    def uncovered(self) -> tuple[Call, ...]:
        """Return the calls for whose MACs there is no formula."""
        return tuple(call for call in self.calls if not call.is_covered)

    def uncovered_in_training(self) -> tuple[Call, ...]:
        """Return the calls of the training step for whose MACs there is no formula.

        Operators that the forward pass has without a formula in the same module are left out.
        """
        known = {(call.module, call.operator) for call in self.uncovered()}
        step = (*self.training.forward, *self.training.backward) if self.training else ()
        return tuple(c for c in step if not c.is_covered and (c.module, c.operator) not in known)

    def on_weights(self) -> Cost:
        """Return the part of the total that computes weights from parameters, independent of the input."""
        return total(call.cost for call in self.calls if call.on_weights)

    def element_ops(self) -> dict[str, Size]:
        """Return element operations by part."""
        return element_ops(self.calls)

    def by_module(self, depth: int | None = None) -> dict[str, Cost]:
        """Return costs by module, each with what runs inside it; "" is the whole model."""
        return {
            path: self._cost(call for call in self.calls if is_inside(call.module, path))
            for path in (info.path for info in self.modules)
            if depth is None or level(path) <= depth
        }

    def by_operator(self) -> dict[str, Cost]:
        """Return costs by ATen operator."""
        return _grouped((call.operator, call) for call in self.calls)

    def by_kind(self) -> dict[str, Cost]:
        """Return costs by kind of operator."""
        return _grouped((call.kind, call) for call in self.calls)

    def _cost(self, calls: Iterable[Call]) -> Cost:
        found = total(call.cost for call in calls)
        if self.training is None:
            return found
        steps = total(call.cost for call in self.training.backward)
        return replace(found, macs_input_grad=steps.macs_input_grad, macs_weight_grad=steps.macs_weight_grad)


def is_inside(path: str, around: str) -> bool:
    """Return whether a module is another one or one of its descendants.

    >>> is_inside("a.b", "a"), is_inside("ab", "a"), is_inside("a", "")
    (True, False, True)
    """
    return not around or path == around or path.startswith(f"{around}.")


def level(path: str) -> int:
    """Return the depth of a module in the hierarchy: 0 for the model.

    >>> level(""), level("layer1.0")
    (0, 2)
    """
    return path.count(".") + 1 if path else 0


def element_ops(calls: Iterable[Call]) -> dict[str, Size]:
    """Return the element operations of calls, by part."""
    found: dict[str, Size] = {}
    for call in calls:
        for part, count in call.parts.items():
            found[part] = found.get(part, 0) + count
    return found


def _grouped(pairs: Iterable[tuple[str, Call]]) -> dict[str, Cost]:
    found: dict[str, Cost] = {}
    for key, call in pairs:
        found[key] = found.get(key, Cost()) + call.cost
    return found
