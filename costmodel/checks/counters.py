"""Independent counts of any network, module by module; each result is plain data.

A module's count covers the operators that ran in the module itself, without its children. The counters are
independent of `costmodel.tracing`: fvcore traces with TorchScript, and torch's counter observes dispatched
operators.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from costmodel.checks.measure import NoTracker, fvcore_own_counts, mode, total_counter, whole_macs
from costmodel.failures import first_line
from costmodel.outputs import tensors_in
from costmodel.uncompiled import uncompiled

Arguments = tuple[Sequence[Any], Mapping[str, Any]]


@dataclass
class Counted:
    """The result of one counter, by module; "" stands for what runs in the model itself."""

    counter: str
    version: str
    macs: dict[str, int] = field(default_factory=dict)
    activations: dict[str, int] = field(default_factory=dict)
    # fvcore: each module's operators without a rule, and what its rule for einsum gave
    missing: dict[str, dict[str, int]] = field(default_factory=dict)
    einsum: dict[str, int] = field(default_factory=dict)
    # torch: the operators for which it has a rule, and those without one that it saw run, by module
    rules: list[str] = field(default_factory=list)
    unruled: dict[str, list[str]] = field(default_factory=dict)
    # torch: MACs and activations by module and operator, and the MACs of a training step by operator
    macs_by_operator: dict[str, dict[str, int]] = field(default_factory=dict)
    activations_by_operator: dict[str, dict[str, int]] = field(default_factory=dict)
    training_by_operator: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)  # all, trainable, frozen, buffers
    own_parameters: dict[str, int] = field(default_factory=dict)
    training: int | None = None  # MACs of a whole training step
    sizes: list[int | None] = field(default_factory=list)  # total MACs at other sizes
    notes: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """The MACs of the whole model."""
        return sum(self.macs.values())

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON-serialisable data."""
        return asdict(self)


def count_by_fvcore(model: nn.Module, inputs: Arguments, others: Sequence[Arguments] = ()) -> Counted:
    """Return fvcore's counts of a forward pass in eval mode."""
    del others
    from importlib.metadata import version

    # Without gradients, the tracer sees inside user-defined autograd functions.
    with mode(model, training=False), _plain(), torch.no_grad():
        counted = fvcore_own_counts(model, *inputs)
    return Counted("fvcore", version("fvcore"), counted.macs, {}, counted.missing, counted.einsum)


def count_by_torch(model: nn.Module, inputs: Arguments, others: Sequence[Arguments] = ()) -> Counted:
    """Return FlopCounterMode's counts of a forward pass and of a training step, and the parameters."""
    found = Counted("torch", torch.__version__, rules=[str(operator) for operator in flop_registry])
    found.parameters, found.own_parameters = _parameters(model), _own_parameters(model)
    with mode(model, training=False), _plain():
        watch = _forward(model, inputs)
        found.macs_by_operator = _by_module(watch)
        found.macs, found.activations = _sums(found.macs_by_operator), _sums(watch.outputs)
        found.activations_by_operator = {module: dict(count) for module, count in watch.outputs.items()}
        found.unruled = {module: sorted(names) for module, names in watch.unruled.items()}
    with mode(model, training=True), _plain():
        try:
            found.training_by_operator = _macs(_step(model, inputs))
            found.training = sum(found.training_by_operator.values())
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            found.notes.append(f"no training step: {first_line(error)}")
    with mode(model, training=False), _plain():
        found.sizes = [_other(model, other) for other in others]
    return found


COUNTERS = {"fvcore": count_by_fvcore, "torch": count_by_torch}


@contextmanager
def _plain() -> Iterator[None]:
    """Enable gradients, and run attention and recurrent layers as matrix products, which counters see.

    Code that `torch.compile` was given runs as it is written.
    """
    fused: Any = torch.backends.mha
    onednn: Any = torch.backends.mkldnn
    before = fused.get_fastpath_enabled(), onednn.enabled
    fused.set_fastpath_enabled(False)
    onednn.enabled = False
    try:
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), uncompiled():
            yield
    finally:
        fused.set_fastpath_enabled(before[0])
        onednn.enabled = before[1]


class _Watch(FlopCounterMode):
    """torch's counter, which also records the module in which it counted."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(display=False)
        self.mod_tracker: Any = NoTracker()
        # By module and operator.
        self.flops: dict[str, Counter[str]] = {}
        self.outputs: dict[str, Counter[str]] = {}
        self.unruled: dict[str, set[str]] = {}
        self._model = model
        self._names = [""]

    def _count_flops(self, func_packet: Any, out: Any, args: Any, kwargs: Any) -> Any:
        if func_packet in self.flop_registry:
            rule: Any = self.flop_registry[func_packet]
            module, operator = self._names[-1], str(func_packet)
            self.flops.setdefault(module, Counter())[operator] += rule(*args, **kwargs, out_val=out)
            first = tensors_in(out)[:1]
            self.outputs.setdefault(module, Counter())[operator] += sum(y.numel() for y in first)
        else:
            self.unruled.setdefault(self._names[-1], set()).add(str(func_packet))
        return out

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Track which modules run."""
        with ExitStack() as stack:
            for name, module in self._model.named_modules():
                if isinstance(module, torch.jit.ScriptModule):
                    continue
                enter = module.register_forward_pre_hook(partial(self._enter, name))
                leave = module.register_forward_hook(self._leave, always_call=True)
                stack.callback(enter.remove)
                stack.callback(leave.remove)
            stack.enter_context(self)
            yield

    def _enter(self, name: str, _module: nn.Module, _inputs: Any) -> None:
        self._names.append(name)

    def _leave(self, _module: nn.Module, _inputs: Any, _output: Any) -> None:
        self._names.pop()


def _forward(model: nn.Module, inputs: Arguments) -> _Watch:
    watch = _Watch(model)
    with watch.watching():
        model(*inputs[0], **inputs[1])
    return watch


def _step(model: nn.Module, inputs: Arguments) -> dict[str, int]:
    """The FLOPs of a training step by operator: forward, and backward from all outputs with gradients."""
    counter = total_counter()
    with counter:
        outputs = [y for y in tensors_in(model(*inputs[0], **inputs[1])) if y.requires_grad]
        if outputs:
            torch.autograd.backward(outputs, [torch.ones_like(y) for y in outputs])
    for parameter in model.parameters():
        parameter.grad = None
    return {str(name): int(flops) for name, flops in counter.get_flop_counts().get("Global", {}).items()}


def _other(model: nn.Module, inputs: Arguments) -> int | None:
    """The MACs at another size; None where the model does not run there."""
    try:
        return sum(_sums(_by_module(_forward(model, inputs))).values())
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError):
        return None


def _sums(by_operator: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    sums = {module: sum(counts.values()) for module, counts in by_operator.items()}
    return {module: count for module, count in sums.items() if count}


def _by_module(watch: _Watch) -> dict[str, dict[str, int]]:
    return {module: _macs(flops) for module, flops in watch.flops.items()}


def _macs(flops: Mapping[str, int]) -> dict[str, int]:
    """Return the MACs of each operator; ValueError if one of ATen has an odd number of operations.

    The rule of a library's own operator may count any operations. Half of them are compared with nothing: no
    formula covers such an operator.
    """
    return {
        name: whole_macs(count) if name.startswith("aten.") else int(count) // 2
        for name, count in flops.items()
        if count
    }


def _parameters(model: nn.Module) -> dict[str, int]:
    parameters = list(model.parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    return {
        "all": sum(p.numel() for p in parameters),
        "trainable": trainable,
        "frozen": sum(p.numel() for p in parameters) - trainable,
        "buffers": sum(buffer.numel() for buffer in model.buffers()),
    }


def _own_parameters(model: nn.Module) -> dict[str, int]:
    """Each module's own parameters; a tied parameter belongs to the first module that holds it."""
    seen: set[nn.Parameter] = set()
    found: dict[str, int] = {}
    for name, module in model.named_modules():
        own = [p for p in module.parameters(recurse=False) if p not in seen]
        seen.update(own)
        if own:
            found[name] = sum(p.numel() for p in own)
    return found
