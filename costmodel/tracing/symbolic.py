"""A module run on symbolic sizes: one run stands for all sizes that take the same path through the code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import sympy as sp
import torch
from torch import Tensor, nn
from torch._dispatch.python import enable_python_dispatcher
from torch._dynamo.source import ConstantSource
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import DimDynamic

from costmodel.sizes import Size
from costmodel.tracing.calls import Call, TraceError
from costmodel.tracing.instead import INSTEAD
from costmodel.tracing.ordered import DENSE, marked
from costmodel.tracing.pricing import price
from costmodel.tracing.questions import Questions
from costmodel.tracing.raw import Raw
from costmodel.tracing.runs import FakeTensors, run
from costmodel.tracing.shortcuts import Shortcuts
from costmodel.tracing.substitute import fake
from costmodel.tracing.translation import Translation

Key = int | str
Symbols = Mapping[Key, Mapping[int, str]]


def size_symbol(name: str) -> sp.Symbol:
    """Return the symbol of a size: a positive integer."""
    return sp.Symbol(name, positive=True, integer=True)


def sizes_of(args: Sequence[Any], kwargs: Mapping[str, Any], symbols: Symbols) -> dict[str, int]:
    """Return the size for which each symbol stands in given inputs.

    Raises ValueError if an input has no such axis, a symbol stands for two sizes, or the names are not given
    by input and axis.
    """
    _check_names(symbols)
    found: dict[str, int] = {}
    for key, axes in symbols.items():
        tensor = _input(args, kwargs, key)
        for axis, name in axes.items():
            if not -tensor.dim() <= axis < tensor.dim():
                raise ValueError(f"input {key} has {tensor.dim()} axes, got {name} for axis {axis}")
            size = int(tensor.shape[axis])
            if found.setdefault(name, size) != size:
                raise ValueError(f"{name} must be one size, got {found[name]} and {size}")
    return found


def _check_names(symbols: Any) -> None:
    if not (isinstance(symbols, Mapping) and all(map(_are_named, symbols.values()))):
        needed = "the names of sizes by input and axis, such as {0: {2: 'h', 3: 'w'}}"
        raise ValueError(f"symbols must be {needed}, got {symbols!r}")


def _are_named(axes: Any) -> bool:
    return isinstance(axes, Mapping) and all(
        isinstance(axis, int) and isinstance(name, str) for axis, name in axes.items()
    )


def _input(args: Sequence[Any], kwargs: Mapping[str, Any], key: Key) -> Tensor:
    value = kwargs.get(key) if isinstance(key, str) else args[key] if key < len(args) else None
    if not isinstance(value, Tensor):
        raise ValueError(f"symbols are for tensors, got input {key}: {type(value).__name__}")
    return value


def distinct(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return sample sizes for symbols: all distinct and none 1, so that they are not taken for constants.

    >>> distinct({"n": 1, "h": 224, "w": 224})
    {'n': 2, 'h': 224, 'w': 256}
    """
    found: dict[str, int] = {}
    for name, size in sizes.items():
        start = max(size, 2)
        step = 32 if start >= 32 else 1
        found[name] = next(s for s in count(start, step) if s not in found.values())
    return found


class SymbolicTensors(FakeTensors):
    """Tensors without data, with symbols for some of their sizes."""

    instead = INSTEAD

    def __init__(self, hints: Mapping[str, int]) -> None:
        # No size is specialised to 0 or 1, and equal hints do not make two sizes one.
        self.env = Questions(specialize_zero_one=False, duck_shape=False)
        self.sizes = {name: self._size(name, hint) for name, hint in hints.items()}
        self.symbols = {s.node.expr: size_symbol(name) for name, s in self.sizes.items()}
        super().__init__()
        self.mode = FakeTensorMode(shape_env=self.env, allow_non_fake_inputs=True)
        self.mode.cache_enabled = (
            False  # symbolic shapes do not repeat, and looking them up takes half the time
        )
        self.execute = Shortcuts(self.mode)
        self.substitutes = type(self.substitutes)(partial(fake, self.mode))

    def _size(self, name: str, hint: int) -> Any:
        source = ConstantSource(f"size_{name}")
        created = self.env.create_symbol(hint, source, DimDynamic.DYNAMIC, None)
        return self.env.create_symintnode(created, hint=hint, source=source)

    def dispatcher(self) -> AbstractContextManager[Any]:
        """Let torch decompose composite operators by its Python rules, which keep symbols."""
        return enable_python_dispatcher()

    def prepare(self, args: Sequence[Any], kwargs: Mapping[str, Any], symbols: Symbols) -> None:
        """Make the inputs whose sizes are symbols."""
        for key, axes in symbols.items():
            tensor = _input(args, kwargs, key)
            shape: list[Any] = list(tensor.shape)
            for axis, name in axes.items():
                shape[axis] = self.sizes.get(name, shape[axis])
            with self.mode:
                made = marked(torch.empty(shape, dtype=tensor.dtype), DENSE)
            self.substitutes.put(tensor, made.requires_grad_(tensor.requires_grad))


@dataclass
class Symbolic:
    """The outcome of a run on symbols."""

    calls: tuple[Call, ...]
    conditions: tuple[sp.Basic, ...]
    places: tuple[str, ...]  # "by" the module and operator in which each condition arose, or "before" it
    fixed: dict[str, int] = field(default_factory=dict)  # sizes that the code specialised
    where: dict[str, str] = field(default_factory=dict)  # and the modules and operators that did so
    changed: str = ""  # the change that the module made to itself
    unregistered: Size = 0  # elements of the parameters that ran but are not registered


def run_symbolic(
    module: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    symbols: Symbols,
    hints: Mapping[str, int],
) -> Symbolic:
    """Run a module on symbols; a size without a hint keeps its value in the inputs.

    Raises TraceError if the code fails on symbols.
    """
    tensors = SymbolicTensors(hints)
    tensors.prepare(args, kwargs, symbols)
    watch = _Specialisations(tensors)
    ran = run(module, args, kwargs, tensors, training=False, watch=watch)
    translation = Translation(tensors.symbols)
    calls = tuple(price(raw, translation.size) for raw in ran.forward)
    unregistered = sum(translation.size(elements) for elements, _ in ran.by_hand)
    watch.finish()
    conditions = tuple(translation.expression(guard.expr) for guard in tensors.env.guards)
    fixed = {name: int(s.node.expr) for name, s in tensors.sizes.items() if s.node.expr.is_Integer}
    known = set(tensors.symbols.values())
    strange = {s for call in calls for s in _symbols(call)} - known
    if strange:
        raise TraceError(f"(model): sizes depend on values: {', '.join(sorted(map(str, strange)))}")
    return Symbolic(calls, conditions, tuple(watch.places), fixed, watch.where, ran.changed, unregistered)


def _symbols(call: Call) -> set[Any]:
    return {
        s for value in (call.cost.macs, call.cost.elements_written) for s in sp.sympify(value).free_symbols
    }


class _Specialisations:
    """Records where conditions arise, and where a symbol becomes a number.

    What an operator asks arises by it; what the code asks between operators arises before the next one.
    """

    def __init__(self, tensors: SymbolicTensors) -> None:
        self._tensors = tensors
        self.where: dict[str, str] = {}
        self.places: list[str] = []
        self._before: list[str] = []  # the sizes that were numbers when the operator began
        self._asked = 0  # and the number of conditions at that time
        tensors.execute = partial(self._begin, tensors.execute)

    def _begin(self, execute: Any, operator: Any, args: Any, kwargs: Any) -> Any:
        self._asked, self._before = len(self._tensors.env.guards), self._numbers()
        return execute(operator, args, kwargs)

    def __call__(self, raw: Raw) -> None:
        """Inspect the symbols after an operator ran."""
        if len(self._tensors.env.guards) > len(self.places):
            where = f"{raw.module or '(model)'}: {raw.name}"
            self._note(f"before {where}", self._asked, self._before)
            self._note(f"by {where}", len(self._tensors.env.guards), self._numbers())

    def finish(self) -> None:
        """Record what happened after the last operator."""
        self._note("by the code", len(self._tensors.env.guards), self._numbers())

    def _numbers(self) -> list[str]:
        return [name for name, size in self._tensors.sizes.items() if size.node.expr.is_Integer]

    def _note(self, place: str, asked: int, numbers: Sequence[str]) -> None:
        self.places += [place] * (asked - len(self.places))
        for name in numbers:
            self.where.setdefault(name, place)
