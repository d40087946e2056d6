"""Make and run an `nn.Module` on symbolic sizes, and return its counts as sympy expressions.

The constructor runs on recorded sizes, and its tensors are fake: they have a symbolic shape and no data. One
run of constructor and forward pass stands for all sizes for which every branch of the code goes the same way.
Each branch is recorded as a condition.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any

import sympy as sp
import torch
from torch import Tensor, nn
from torch._dynamo.source import ConstantSource
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import DimDynamic
from torch.utils.flop_counter import FlopCounterMode

from costmodel.checks.dispatched import Dispatched, Work
from costmodel.checks.measure import WEIGHTED, flops_by_module, mode
from costmodel.checks.observe import Running
from costmodel.checks.patches import (
    INITIALISED,
    RecordingEnv,
    one_algorithm,
    sizes_as_text,
    without_initial_weights,
)
from costmodel.checks.proof.decide import follows
from costmodel.checks.proof.quotients import floor_of, size
from costmodel.checks.proof.ratios import unreduced_ratios
from costmodel.checks.proof.recorded import SizeRecord, expression, is_recorded
from costmodel.failures import first_line
from costmodel.sizes import Size

__all__ = ["NotSymbolicError", "Traced", "Tracer", "follows", "size"]

REGISTERED = ("_parameters", "_buffers", "_modules")
FACTORIES = ("empty", "zeros", "ones", "full", "rand", "randn")


class NotSymbolicError(ValueError):
    """A module that can't be made or run with symbolic sizes."""


@dataclass
class Traced:
    """The counts of one symbolic run, by module and by kind of operator, and the conditions for which they
    hold."""

    macs: dict[str, sp.Expr] = field(default_factory=dict)
    params: dict[str, sp.Expr] = field(default_factory=dict)
    activations: dict[str, sp.Expr] = field(default_factory=dict)
    work: dict[str, Work] = field(default_factory=dict)
    conditions: list[sp.Basic] = field(default_factory=list)
    outputs: list[tuple[sp.Expr, ...]] = field(default_factory=list)


class Tracer:
    """Makes and runs modules on the sizes of a record."""

    def __init__(self, record: SizeRecord, samples: Mapping[sp.Symbol, int]) -> None:
        # No size is specialised to 0 or 1, and equal samples do not make two sizes one.
        self._env = RecordingEnv(specialize_zero_one=False, duck_shape=False)
        self._record = record
        self._samples = samples
        self._known: dict[sp.Expr, torch.SymInt] = {}
        self._symbols: dict[sp.Expr, sp.Expr] = {}  # our expression for each of the tracer's symbols
        self._ours: dict[Any, Any] = {}
        record.meet = self.symint

    def symint(self, value: Any) -> Any:
        """Return a size, recorded or plain, as torch computes with it.

        Each expression is a separate symbol to the tracer, which keeps its conditions short; conditions and
        counts are translated back before anything is decided.
        """
        if not is_recorded(value) and not isinstance(value, sp.Expr):
            return value
        expr = expression(value) if is_recorded(value) else value
        if expr.is_Integer:
            return int(expr)
        if expr not in self._known:
            self._known[expr] = self._created(expr)
        return self._known[expr]

    def _created(self, expr: sp.Expr) -> torch.SymInt:
        source = ConstantSource(f"size_{len(self._known)}")
        hint = int(expr.subs(self._samples))
        created = self._env.create_symbol(hint, source, DimDynamic.DYNAMIC, None)
        made = self._env.create_symintnode(created, hint=hint, source=source)
        assert isinstance(made, torch.SymInt)
        self._symbols[created] = expr
        return made

    def expression(self, value: Any) -> sp.Expr:
        """Return torch's expression in our symbols."""
        if not isinstance(value, torch.SymInt):
            return sp.Integer(value)
        return self._translated(value.node.expr)

    def make(self, construct: Callable[[], nn.Module]) -> nn.Module:
        """Return the module that a constructor makes from recorded sizes.

        Raises NotSymbolicError if the constructor fails.
        """
        with self._fake_tensors(), unreduced_ratios(), self._factories(), without_initial_weights():
            try:
                model = construct()
            except Exception as error:
                said = f"(model): the constructor fails on symbolic sizes: {first_line(error)}"
                raise NotSymbolicError(said) from error
        for module in model.modules():
            if isinstance(module, INITIALISED):  # torch's own layers hand their attributes to compiled code
                for name, value in vars(module).items():
                    vars(module)[name] = self._as_symints(value)
        return model

    def _as_symints(self, value: Any) -> Any:
        if is_recorded(value):
            return self.symint(value)
        if type(value) in (tuple, list) and any(map(is_recorded, value)):
            return type(value)(map(self.symint, value))
        return value

    @contextmanager
    def _factories(self) -> Iterator[None]:
        """Allow tensors to be made with recorded sizes."""
        originals = {name: getattr(torch, name) for name in FACTORIES}

        def make(name: str, *arguments: Any, **options: Any) -> Tensor:
            plain = [
                tuple(map(self.symint, a)) if isinstance(a, tuple | list | torch.Size) else self.symint(a)
                for a in arguments
            ]
            return originals[name](*plain, **options)  # type: ignore[no-any-return]

        for name in FACTORIES:
            setattr(torch, name, partial(make, name))
        try:
            yield
        finally:
            for name, original in originals.items():
                setattr(torch, name, original)

    def run(self, model: nn.Module, inputs: Sequence[tuple[Size, ...]]) -> Traced:
        """Run a model forward, in eval mode, on tensors of the given shapes.

        Raises NotSymbolicError, which names the module, if the code fails on symbols, changes itself, or
        holds tensors that are neither parameters nor buffers.
        """
        before = self._states(model)
        traced = Traced(params=self._parameters(model))
        with ExitStack() as stack:
            stack.enter_context(mode(model, training=False))
            stack.enter_context(self._fake_tensors())
            stack.enter_context(one_algorithm())
            stack.enter_context(sizes_as_text())
            stack.enter_context(torch.no_grad())
            stack.enter_context(self._noted_activations(model, traced))
            tensors = tuple(torch.empty([self.symint(extent) for extent in shape]) for shape in inputs)
            running = Running(model)
            stack.enter_context(running.watched())
            counter = stack.enter_context(FlopCounterMode(display=False))
            seen = stack.enter_context(Dispatched())
            try:
                outputs = model(*tensors)
            except Exception as error:
                raise NotSymbolicError(running.failed(error, " on symbolic sizes")) from error
        _check_unchanged(before, self._states(model))
        flops = flops_by_module(model, counter)
        traced.macs = {name: self.expression(count) / 2 for name, count in flops.items()}
        traced.work = {part: Work(*map(self.expression, work)) for part, work in seen.work.items()}
        traced.outputs = [tuple(map(self.expression, y.shape)) for y in _tensors(outputs)]
        guards = (self._translated(guard.expr) for guard in self._env.guards)
        traced.conditions = list(dict.fromkeys((*self._record.conditions, *guards)))
        return traced

    def _parameters(self, model: nn.Module) -> dict[str, sp.Expr]:
        found: dict[str, sp.Expr] = {}
        for name, parameter in model.named_parameters():
            module = name.rpartition(".")[0]
            found[module] = found.get(module, sp.Integer(0)) + sp.prod(map(self.expression, parameter.shape))
        return found

    def _states(self, model: nn.Module) -> State:
        """Return what each module holds besides its hooks: numbers, strings, and which tensors.

        Raises NotSymbolicError if it holds a tensor or a module that no optimiser would find.
        """
        found: State = defaultdict(dict)
        for module_name, module in model.named_modules():
            for name, value in vars(module).items():
                if "hook" in name or name == "training":
                    continue
                found[module_name][name] = self._state(value)
                if name not in REGISTERED and (kind := _unregistered(value)):
                    raise NotSymbolicError(f"{module_name or '(model)'}: {name} {kind}")
        return found

    def _state(self, value: Any) -> Any:
        if is_recorded(value):
            return value.expr
        if isinstance(value, torch.SymInt):
            return "size", id(value)
        if isinstance(value, Fraction):
            return self._state(value.numerator), self._state(value.denominator)
        if isinstance(value, Tensor | nn.Module):
            return type(value).__name__, id(value)
        if isinstance(value, dict):
            return {key: self._state(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._state(inner) for inner in value]
        return str(value)

    def _fake_tensors(self) -> FakeTensorMode:
        fake = FakeTensorMode(shape_env=self._env, allow_non_fake_inputs=True)
        fake.cache_enabled = False  # symbolic shapes do not repeat, and looking them up takes half the time
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

    def _translated(self, expr: Any) -> Any:
        """Return the tracer's expression in our symbols; rounded quotients as polynomials if possible."""
        if expr not in self._ours:
            self._ours[expr] = self._in_ours(expr)
        return self._ours[expr]

    def _in_ours(self, expr: Any) -> Any:
        if expr in self._symbols:
            return self._symbols[expr]
        if not expr.args:
            return expr
        arguments = [self._translated(argument) for argument in expr.args]
        function = _FUNCTIONS.get(type(expr).__name__, expr.func)
        translated = function(*arguments)
        return sp.expand(translated) if isinstance(translated, sp.Expr) else translated


def _floor_div(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    return floor_of(sp.expand(a / b if b.is_Integer else sp.cancel(a / b)))


def _mod(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    return sp.expand(a - b * _floor_div(a, b))


# The tracer's own functions; any other is left as it is, and no condition that contains it is decided.
_FUNCTIONS: Mapping[str, Callable[..., sp.Basic]] = {
    "FloorDiv": _floor_div,
    "CleanDiv": _floor_div,
    "Mod": _mod,
    "PythonMod": _mod,
    "Max": sp.Max,
    "Min": sp.Min,
}


def _tensors(outputs: Any) -> Iterable[Tensor]:
    return (y for y in torch.utils._pytree.tree_leaves(outputs) if isinstance(y, Tensor))


def _unregistered(value: Any, verb: str = "is") -> str:
    """Return what is wrong with an attribute that is or holds a tensor or a module; "" if nothing is."""
    if isinstance(value, Tensor):
        return f"{verb} a tensor, but neither a parameter nor a buffer"
    if isinstance(value, nn.Module):
        return f"{verb} a module, but not a registered one"
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return next(filter(None, (_unregistered(held, "holds") for held in inner)), "")


State = dict[str, dict[str, Any]]


def _check_unchanged(before: State, after: State) -> None:
    for module in {**before, **after}:
        for name in {**before.get(module, {}), **after.get(module, {})}:
            old, new = (states.get(module, {}).get(name) for states in (before, after))
            if old != new:
                raise NotSymbolicError(f"{module or '(model)'}: the code changes itself: {name}")
