"""Independent counts of an `nn.Module`; the only file that knows fvcore.

A count by module is a mapping from module names, as in `named_modules()`, to the count of what ran inside;
the name of the whole model is the empty string. MACs are those of convolutions and matrix products. fvcore
counts MACs; `FlopCounterMode` counts two operations per MAC.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten
from torch.utils.flop_counter import FlopCounterMode

from costmodel.outputs import tensors_in

if TYPE_CHECKING:
    from costmodel.sizes import Size  # imports sympy, which a counter's process need not

# Convolutions and linear layers: each is counted separately, and their outputs are called activations.
WEIGHTED = (nn.modules.conv._ConvNd, nn.Linear)

# fvcore's names of matrix products; its total also includes normalisation and pooling.
_MAC_OPERATORS = ("conv", "linear", "addmm", "mm", "matmul", "bmm", "einsum")


def fvcore_macs(model: nn.Module, inputs: Sequence[Tensor]) -> dict[str, int]:
    """Return fvcore's MACs by module, of a forward pass in eval mode.

    What runs outside convolutions and linear layers is attributed to the whole model. The tracer stores the
    stack of calls with each operator: in a thread of its own the stack is short.
    """
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(_fvcore_macs, model, inputs).result()


def _fvcore_macs(model: nn.Module, inputs: Sequence[Tensor]) -> dict[str, int]:
    layers = {name: module for name, module in model.named_modules() if isinstance(module, WEIGHTED)}
    with mode(model, training=False), torch.no_grad(), _quiet_tracing():
        from fvcore.nn import FlopCountAnalysis  # the import also compiles scripts, and warns

        analysis = FlopCountAnalysis(_Traceable(model, layers.values()), tuple(inputs))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        counts = [_sum_macs(analysis.by_operator(f"layers.{i}")) for i in range(len(layers))]
        total = _sum_macs(analysis.by_operator())
    found = dict.fromkeys((name for name, _ in model.named_modules()), 0)
    for name, macs in zip(layers, counts, strict=True):
        for around in accumulate(name.split("."), _child):
            found[around] += macs
    return {**found, "": total}


@dataclass(frozen=True)
class OwnCounts:
    """fvcore's counts of the operators that run in each module itself."""

    macs: dict[str, int]
    missing: dict[str, dict[str, int]]  # operators without a rule, or whose rule failed
    einsum: dict[str, int]  # what its rule for einsum gave; included in the MACs


def fvcore_own_counts(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> OwnCounts:
    """Return fvcore's MACs of what runs in each module itself, of a forward pass on any inputs.

    A rule of fvcore that fails is recorded for its module, and does not end the count.
    """
    leaves, structure = tree_flatten((tuple(args), dict(kwargs)))
    with _quiet_tracing():
        from fvcore.nn import FlopCountAnalysis

        wrapper = _WithStructure(model, leaves, structure)
        analysis = FlopCountAnalysis(wrapper, tuple(x for x in leaves if isinstance(x, Tensor)))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).ancestor_mode("owner")
        analysis.set_op_handle(**{name: _forgiving(name, h) for name, h in analysis._op_handles.items()})
        # What runs in a module counts for that module alone, not for its parents.
        analysis._get_all_ancestors = lambda name: {analysis.canonical_module_name(name)}
        counts, missing = analysis.by_module_and_operator(), analysis._analyze().unsupported_ops
    names = {name: name.removeprefix("model").removeprefix(".") for name in counts}
    failed = {name: [op for op in count if op.startswith("failed ")] for name, count in counts.items()}
    return OwnCounts(
        {names[name]: macs for name, count in counts.items() if (macs := _sum_macs(count))},
        {
            names[name]: {**missing[name], **{op.removeprefix("failed "): 1 for op in failed[name]}}
            for name in counts
            if missing[name] or failed[name]
        },
        {names[name]: int(count["einsum"]) for name, count in counts.items() if count.get("einsum")},
    )


def _forgiving(name: str, handle: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def handled(inputs: Any, outputs: Any) -> Any:
        try:
            return handle(inputs, outputs)
        except (AssertionError, IndexError, TypeError, ValueError, NotImplementedError):
            # One of fvcore's rules does not know these shapes: this operator is reported as failed.
            return Counter({f"failed {name}": 1})

    return handled


def flop_counter_macs(model: nn.Module, inputs: Sequence[Any]) -> dict[str, int]:
    """Return `FlopCounterMode`'s MACs by module, of a forward pass in eval mode."""
    with mode(model, training=False), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(*inputs)
    return {name: whole_macs(flops) for name, flops in flops_by_module(model, counter).items()}


class NoTracker:
    """Replaces the module tracker of `FlopCounterMode`, where only its total is used.

    It takes time, and its gradient hooks fail for some models.
    """

    parents = frozenset({"Global"})

    def __enter__(self) -> None:
        """Start."""

    def __exit__(self, *_: object) -> None:
        """End."""


def total_counter(rules: Mapping[Any, Any] | None = None) -> FlopCounterMode:
    """Return a counter of which only the total is used; rules: by operator of ATen, in place of its own."""
    counter = FlopCounterMode(display=False, custom_mapping=dict(rules or {}))
    counter.mod_tracker = NoTracker()  # type: ignore[assignment]  # before it is entered
    return counter


def total_macs(model: nn.Module, inputs: Sequence[Any]) -> int:
    """Return `FlopCounterMode`'s MACs of a whole model, of a forward pass in eval mode."""
    counter = total_counter()
    with mode(model, training=False), torch.no_grad(), counter:
        model(*inputs)
    return whole_macs(counter.get_total_flops())


def flops_by_module(model: nn.Module, counter: FlopCounterMode) -> dict[str, Any]:
    """Return the operations that a counter saw by module; symbolic where sizes are."""
    root, canonical = type(model).__name__, canonical_names(model)
    found: dict[str, Any] = {"": 0}
    for key, by_operator in counter.get_flop_counts().items():
        if key == "Global":
            found[""] = sum(by_operator.values())
        elif key.startswith(f"{root}."):
            name = canonical.get(key.removeprefix(f"{root}."))
            if name:
                found[name] = found.get(name, 0) + sum(by_operator.values())
    return found


def layer_training_macs(layer: nn.Module, shape: Sequence[int], *, input_grad: bool) -> int:
    """Return `FlopCounterMode`'s MACs of one layer alone, forward and backward, on an input of a given shape.

    Alone, because in a network with branches the counter attributes the gradients of neighbours to a layer.
    """
    weight = next(layer.parameters())
    x = torch.zeros(tuple(shape), device=weight.device, dtype=weight.dtype, requires_grad=input_grad)
    with total_counter() as counter:
        y = layer(x).sum()
        if y.requires_grad:
            torch.autograd.backward(y)
    for parameter in layer.parameters():
        parameter.grad = None
    return whole_macs(counter.get_total_flops())


def parameters_by_module(model: nn.Module) -> dict[str, int]:
    """Return the parameters that each module holds itself."""
    counts = {name: sum(p.numel() for p in m.parameters(recurse=False)) for name, m in model.named_modules()}
    return {name: count for name, count in counts.items() if count}


def own_counts(counts: Mapping[str, int], model: nn.Module) -> dict[str, int]:
    """Return the count of each module outside its children."""
    return {
        name: counts.get(name, 0)
        - sum(counts.get(_child(name, child), 0) for child, _ in module.named_children())
        for name, module in model.named_modules()
    }


def canonical_names(model: nn.Module) -> dict[str, str]:
    """Return, for every name of a module, the first name of that module."""
    first: dict[nn.Module, str] = {}
    return {
        name: first.setdefault(module, name) for name, module in model.named_modules(remove_duplicate=False)
    }


@contextmanager
def mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Switch a model to train or eval mode, and restore each module's own mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class _WithStructure(nn.Module):
    """A model for the tracer, which passes tensors only: other inputs and keywords are filled in."""

    def __init__(self, model: nn.Module, leaves: Sequence[Any], structure: Any) -> None:
        super().__init__()
        self.model = model
        self._inputs = leaves, structure

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        leaves, structure = self._inputs
        given = iter(inputs)
        values = [next(given) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        args, kwargs = tree_unflatten(values, structure)
        return tuple(tensors_in(self.model(*args, **kwargs)))


class _Traceable(nn.Module):
    """A model for fvcore: it returns a tuple of tensors, and presents its layers as siblings.

    The tracer accepts no other outputs. It copies what runs in a module once per enclosing module; with
    siblings, large networks take half the time.
    """

    def __init__(self, model: nn.Module, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self._hidden = (model,)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensors_in(self._hidden[0](*inputs)))

    def state_dict(self, *arguments: Any, **options: Any) -> Any:
        """Return the parameters that the tracer must know: all of the model's."""
        return self._hidden[0].state_dict(*arguments, **options)


def _child(name: str, child: str) -> str:
    return ".".join(filter(None, (name, child)))


def _sum_macs(count: Mapping[str, int]) -> int:
    return sum(int(count.get(operator, 0)) for operator in _MAC_OPERATORS)


def whole_macs(flops: Size) -> int:
    """Return the MACs of a count of two operations per MAC; ValueError if it is odd."""
    macs, rest = divmod(flops, 2)
    if rest:
        raise ValueError(f"a count of two operations per MAC must be even, got {flops}")
    return int(macs)


@contextmanager
def _quiet_tracing() -> Iterator[None]:
    """Silence the tracer's warnings that it is deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
