"""Run the code of an `nn.Module` with symbols for sizes, and read its counts off as sympy expressions.

Parameters and inputs are fake tensors: they have a shape and no data. A shape's entries are symbols, so one
run stands for all sizes, as long as no branch of the code depended on them. Every such branch is recorded by
the tracer as a condition; a run is a proof only where all of them follow from the sizes being at least 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import sympy as sp
import torch
from torch import Tensor, nn
from torch._dynamo.source import ConstantSource
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv
from torch.utils._sympy.functions import FloorDiv
from torch.utils._sympy.functions import Max as TorchMax
from torch.utils.flop_counter import FlopCounterMode

from costmodel.checks.measure import WEIGHTED, flops_by_module, mode
from costmodel.checks.observe import Running
from costmodel.sizes import Size

LARGEST = sp.Integer(2**63 - 1)
LEAST = 2  # a proof holds for all symbols from here on: code may treat 1 apart, where a size can broadcast


class NotSymbolicError(ValueError):
    """A module whose code can't be run, or whose sizes can't be named, by symbols."""


def size(name: str) -> sp.Symbol:
    """Return the symbol of a size: a positive whole number."""
    return sp.Symbol(name, positive=True, integer=True)


@dataclass(frozen=True)
class Dimensions:
    """All sizes that a module's parameters may have, as expressions in symbols, and numbers to try them with.

    A constructor is run on numbers. Sizes of parameters are recognised by their values, which must be
    distinct; with two sets of numbers, so that no size is recognised by chance.
    """

    sizes: tuple[Size, ...]
    samples: tuple[Mapping[sp.Symbol, int], ...]

    def named(self, sample: Mapping[sp.Symbol, int]) -> dict[int, Size]:
        """Return the sizes by their values in a sample."""
        values = {int(sp.sympify(s).subs(sample)): s for s in self.sizes}
        if len(values) != len(self.sizes):
            raise ValueError(f"a sample must tell the sizes {self.sizes} apart, got {sample}")
        return values


Shapes = dict[str, tuple[Size, ...]]


def symbolic_shapes(build: Callable[[Mapping[sp.Symbol, int]], nn.Module], sizes: Dimensions) -> Shapes:
    """Return the shape of each parameter and buffer in symbols.

    Raises NotSymbolicError where a size is none of those that are known, or changes its name between samples.
    """
    found = [_named_shapes(build(sample), sizes.named(sample)) for sample in sizes.samples]
    for shapes in found[1:]:
        for name, shape in shapes.items():
            if shape != found[0].get(name):
                raise NotSymbolicError(f"{name}: {found[0].get(name)} in one sample, {shape} in another")
    return found[0]


def _named_shapes(model: nn.Module, names: Mapping[int, Size]) -> Shapes:
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: _named_shape(name, tuple(tensor.shape), names) for name, tensor in state.items()}


def _named_shape(name: str, shape: tuple[int, ...], names: Mapping[int, Size]) -> tuple[Size, ...]:
    channels, kernel = shape[:2], shape[2:]
    for channel in channels:
        if channel not in names and channel != 1:
            known = ", ".join(f"{s} = {value}" for value, s in names.items())
            raise NotSymbolicError(f"{name}: size {channel} is none of {known}")
    return tuple(names.get(extent, extent) for extent in (*channels, *kernel))


@dataclass
class Traced:
    """What one symbolic run counted, by module, and the conditions under which it holds."""

    macs: dict[str, sp.Expr] = field(default_factory=dict)
    params: dict[str, sp.Expr] = field(default_factory=dict)
    activations: dict[str, sp.Expr] = field(default_factory=dict)
    conditions: list[sp.Basic] = field(default_factory=list)


class Tracer:
    """Runs modules on symbolic sizes."""

    def __init__(self, samples: Mapping[sp.Symbol, int]) -> None:
        # No size is 0 or 1 by itself, and equal samples are no reason to take two sizes for one.
        self._env = ShapeEnv(specialize_zero_one=False, duck_shape=False)
        self._ints = {symbol: self._symint(symbol, hint) for symbol, hint in samples.items()}
        self._symbols = {i.node.expr: symbol for symbol, i in self._ints.items()}

    def _symint(self, symbol: sp.Symbol, hint: int) -> torch.SymInt:
        source = ConstantSource(f"size_{symbol.name}")
        created = self._env.create_symbol(hint, source, DimDynamic.DYNAMIC, None)
        made = self._env.create_symintnode(created, hint=hint, source=source)
        assert isinstance(made, torch.SymInt)
        return made

    def symint(self, expression: Size) -> Any:
        """Return a size that torch computes with."""
        if isinstance(expression, int):
            return expression
        if expression in self._ints:
            return self._ints[expression]
        symbols = sorted(expression.free_symbols, key=str)
        return sp.lambdify(symbols, expression, "math")(*(self._ints[symbol] for symbol in symbols))

    def _symints(self, value: Size | tuple[Size, ...]) -> Any:
        return tuple(map(self.symint, value)) if isinstance(value, tuple) else self.symint(value)

    def expression(self, value: Any) -> sp.Expr:
        """Return what torch computed, in our symbols."""
        if not isinstance(value, torch.SymInt):
            return sp.Integer(value)
        return self._translated(value.node.expr)

    def run(
        self,
        model: nn.Module,
        shapes: Shapes,
        inputs: Sequence[tuple[Size, ...]],
        attributes: Mapping[str, Size | tuple[Size, ...]] | None = None,
    ) -> Traced:
        """Run a model forward, in eval mode, on tensors of those shapes.

        `attributes`, such as `conv.groups`, are given symbolic values before.

        Raises NotSymbolicError, which names the module, where the code fails on symbols.
        """
        traced = Traced(params=_parameters(model, shapes))
        for path, value in (attributes or {}).items():
            module, _, name = path.rpartition(".")
            setattr(model.get_submodule(module), name, self._symints(value))
        with ExitStack() as stack:
            stack.enter_context(mode(model, training=False))
            stack.enter_context(self._fake_tensors())
            stack.enter_context(_one_algorithm())
            stack.enter_context(torch.no_grad())
            stack.enter_context(self._noted_activations(model, traced))
            state = {name: self._empty(shape) for name, shape in shapes.items()}
            tensors = tuple(self._empty(shape) for shape in inputs)
            running = Running(model)
            stack.enter_context(running.watched())
            counter = stack.enter_context(FlopCounterMode(display=False))
            try:
                functional_call(model, state, tensors)
            except (RuntimeError, ValueError, TypeError) as error:
                raise NotSymbolicError(running.failed(error, " on symbolic sizes")) from error
        flops = flops_by_module(model, counter)
        traced.macs = {name: self.expression(count) / 2 for name, count in flops.items()}
        traced.conditions = list(dict.fromkeys(self._translated(guard.expr) for guard in self._env.guards))
        return traced

    def _fake_tensors(self) -> FakeTensorMode:
        fake = FakeTensorMode(shape_env=self._env, allow_non_fake_inputs=True)
        fake.cache_enabled = False  # symbolic shapes do not repeat: looking for them takes half of the time
        return fake

    @contextmanager
    def _noted_activations(self, model: nn.Module, traced: Traced) -> Iterator[None]:
        def note(name: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
            elements = sp.prod(map(self.expression, output.shape))
            traced.activations[name] = traced.activations.get(name, 0) + elements

        layers = [(name, m) for name, m in model.named_modules() if isinstance(m, WEIGHTED)]
        handles = [module.register_forward_hook(partial(note, name)) for name, module in layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _empty(self, shape: tuple[Size, ...]) -> Tensor:
        return torch.empty([self.symint(extent) for extent in shape])

    def _translated(self, expression: Any) -> sp.Expr:
        floors = expression.replace(FloorDiv, lambda a, b: sp.floor(a / b))
        return floors.replace(TorchMax, sp.Max).xreplace(self._symbols)


@cache
def follows(condition: sp.Basic) -> bool:
    """Return whether a condition follows from all of its symbols being at least 2.

    >>> n = size("n")
    >>> follows(n * n > 3), follows(sp.Ne(n, 1)), follows(n < 16)
    (True, True, False)
    """
    if isinstance(condition, sp.And):
        return all(map(follows, condition.args))
    if isinstance(condition, sp.Or):
        return any(map(follows, condition.args))
    if not isinstance(condition, sp.core.relational.Relational):
        return bool(condition == sp.true)
    if condition.has(LARGEST):
        return True  # a size that the machine can represent: no theorem is about others
    above = {symbol: LEAST + sp.Dummy(nonnegative=True, integer=True) for symbol in condition.free_symbols}
    return _is_decided(type(condition), sp.expand((condition.lhs - condition.rhs).subs(above)))


def _is_decided(relation: type, difference: sp.Expr) -> bool:
    """Return whether a relation to 0 holds whatever nonnegative values the symbols have."""
    terms = sp.Add.make_args(difference)
    constant = difference.subs(dict.fromkeys(difference.free_symbols, 0))
    rises, falls = all(t.is_nonnegative for t in terms), all(t.is_nonpositive for t in terms)
    positive, negative = rises and constant > 0, falls and constant < 0
    return bool(
        {
            sp.StrictGreaterThan: positive,
            sp.GreaterThan: rises,
            sp.StrictLessThan: negative,
            sp.LessThan: falls,
            sp.Unequality: positive or negative,
            sp.Equality: difference == 0,
        }[relation]
    )


def _parameters(model: nn.Module, shapes: Shapes) -> dict[str, sp.Expr]:
    found: dict[str, sp.Expr] = {}
    for name, _ in model.named_parameters():
        module = name.rpartition(".")[0]
        found[module] = found.get(module, sp.Integer(0)) + sp.prod(shapes[name])
    return found


@contextmanager
def _one_algorithm() -> Iterator[None]:
    """Keep torch from choosing a convolution's algorithm by the size of the batch: a condition, otherwise."""
    onednn: Any = torch.backends.mkldnn
    enabled, onednn.enabled = onednn.enabled, False
    try:
        with torch.backends.nnpack.flags(enabled=False):
            yield
    finally:
        onednn.enabled = enabled
