"""What ran, at every level at which a counter can look: modules, functions, calls, dispatched operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LEVELS = ("module", "function", "call", "aten", "node")


class Shape(tuple[int, ...]):
    """The shape of a tensor among the arguments of an event."""

    __slots__ = ()


@dataclass(slots=True)
class Event:
    """One execution at one level.

    A module is a run of an `nn.Module`; a function is one of `torch.nn.functional`, as a patch of that name
    sees it; a call is what Python hands to torch, as a traced graph has it; aten is a dispatched operator;
    a node is one of an ONNX file, with its attributes as options.
    """

    level: str
    name: str  # the class of a module, "relu", "conv2d", "convolution"
    module: str  # path of the innermost module that ran; "" is the model
    parent: int  # index of the event inside which it ran; -1 for none
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[Shape, ...] = ()
    macs: int = 0  # of a dispatched operator, by our formulas
    kind: str = ""  # of a dispatched operator, as the table of conventions calls it
    parts: Mapping[str, int] = field(default_factory=dict)  # its element operations, by our conventions
    is_used: bool = True  # whether the model's output depends on it


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """What a hook on a module can know of it."""

    path: str
    classes: tuple[str, ...]  # its class and the bases of this, by qualified name
    attributes: Mapping[str, Any]
    parameters: tuple[tuple[str, Shape, bool], ...]  # name within it, shape, whether it is trained
    children: tuple[str, ...]  # paths of its children, each once


@dataclass(frozen=True)
class Seen:
    """One forward pass in eval mode without gradients, and the modules of the model by path."""

    events: tuple[Event, ...]
    modules: Mapping[str, ModuleFacts]
    parameters: int
    batch: int
    images: int  # the batch, as a counter knows it that looks at a single positional input; else 1
    uncovered: tuple[str, ...] = ()  # operators whose MACs no formula gives
    stand_ins: frozenset[str] = (
        frozenset()
    )  # classes of objects that were given to torch's functions as tensors

    @property
    def macs(self) -> int:
        """All MACs."""
        return sum(event.macs for event in self.events)
