"""Verification: the formulas of operators beside counts of the modules that run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from costmodel.checks.comparison import COUNTED_BY, Check, Report, Row, total_row
from costmodel.checks.defects import Evidence, excuse
from costmodel.checks.measure import (
    flop_counter_macs,
    fvcore_macs,
    layer_training_macs,
    own_counts,
    parameters_by_module,
)
from costmodel.checks.observe import (
    ModuleError,
    Observation,
    ObservedCall,
    observe_training,
    result_is_unused,
)
from costmodel.convention import Cost, dtype_bytes
from costmodel.networks.resnet import ResNetDesign, depth_of, named
from costmodel.operators.recorder import Operator

Counts = dict[str, dict[str, int]]  # by quantity, by counter

OUT_OF_MEMORY = ("can't allocate memory", "Storage size calculation overflowed")


@dataclass
class Formula:
    """The formulas' values for one module: a cost, and the bytes that it is the first to save."""

    kind: str
    cost: Cost = field(default_factory=Cost)
    saved_bytes: int = 0

    def value(self, quantity: str) -> int:
        """Return a quantity that is compared."""
        return self.saved_bytes if quantity == "saved_bytes" else int(getattr(self.cost, quantity))


def verify_named(name: str, *, size: Any = 32, batch: int = 1, **options: Any) -> Report:
    """Verify a network by name; formulas and code each read the options independently.

    Raises ValueError if the name is unknown or an option is out of range.
    """
    from pwoct.resnet import resnet

    net = named(name, size=size, **options)
    return verify_network(net, resnet(depth_of(name), **options), batch=batch, title=name)


def verify_network(net: ResNetDesign, model: nn.Module, *, batch: int = 1, title: str = "network") -> Report:
    """Verify a network that the formulas describe in full: every module, and everything in between.

    Raises ValueError if batch normalisation has a single value per channel, which can't be trained, or if
    the batch does not fit into memory.
    """
    operators = net.operators(batch)
    _check_normalised(operators, batch, net.backbone.size)
    h, w = net.backbone.size
    with _enough_memory(f"a batch of {batch} images of {h}x{w}"):
        images = torch.zeros(batch, net.backbone.in_channels, *net.backbone.size)
        return verify_operators(model, [images], operators, title=title)


@contextmanager
def _enough_memory(what: str) -> Iterator[None]:
    """Turn a failed allocation into a ValueError; any other error is the code's, and is raised."""
    try:
        yield
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        raise ValueError(f"{what} does not fit into memory") from error


def verify_operators(
    model: nn.Module, inputs: Sequence[Tensor], operators: Sequence[Operator], *, title: str = "model"
) -> Report:
    """Verify a module that recorded operators describe in full; their names are those of its modules.

    Code that does not run on the inputs counts as a difference, at the module that fails.
    """
    modules = dict(model.named_modules())
    formulas = formulas_by_module(operators, modules)
    is_unused = partial(result_is_unused, model, inputs)
    try:
        measured = measure(model, inputs, observe_training(model, inputs))
    except ModuleError as error:
        if _is_out_of_memory(error):
            raise
        return Report(title, (), Row("total", "total", (), failure=str(error)))
    names = dict.fromkeys((*formulas, *measured.names))
    rows = [
        compare(name, formulas.get(name), measured.of(name), modules.get(name), partial(is_unused, name))
        for name in names
    ]
    return Report(title, rows, total_row(rows, measured.totals))


def _is_out_of_memory(error: Exception) -> bool:
    return any(text in str(error) for text in OUT_OF_MEMORY)


def formulas_by_module(operators: Sequence[Operator], modules: Mapping[str, nn.Module]) -> dict[str, Formula]:
    """Return the cost of operators by the module that runs them: their own module, or its parent."""
    formulas: dict[str, Formula] = {}
    known: set[str] = set()
    for operator in operators:
        owner = (
            operator.name if operator.part in ("conv", "linear", "bn") else _around(operator.name, modules)
        )
        kind = operator.part if owner == operator.name else type(modules[owner]).__name__
        formula = formulas.setdefault(owner, Formula(kind))
        formula.cost += operator.cost
        for saved in operator.saved:
            if saved.name not in known:
                known.add(saved.name)
                formula.saved_bytes += int(saved.elements) * dtype_bytes("float32")
    return formulas


def _around(name: str, modules: Mapping[str, nn.Module]) -> str:
    while name not in modules:
        name = name.rpartition(".")[0]
    return name


@dataclass(frozen=True)
class CountsOfModel:
    """The results of all counters for a model, by module."""

    macs: Mapping[str, Mapping[str, int]]  # by counter, by module: outside the module's children
    params: Mapping[str, int]
    observed: Observation
    training: Mapping[str, int]
    totals: Counts

    @property
    def names(self) -> list[str]:
        """The modules with something to count, in the model's order."""
        found = {name for counts in self.macs.values() for name, count in counts.items() if count}
        found |= self.params.keys() | self.observed.saved_bytes.keys() | self.observed.calls.keys()
        return [name for name in next(iter(self.macs.values())) if name in found]

    def of(self, name: str) -> Counts:
        """Return the counts of one module; all are 0 if there is no module of that name."""
        (in_training,) = COUNTED_BY["macs_training"]
        return {
            "macs": {counter: counts.get(name, 0) for counter, counts in self.macs.items()},
            "macs_training": {in_training: self.training.get(name, 0)},
            "params": {COUNTED_BY["params"][0]: self.params.get(name, 0)},
            "activations": {COUNTED_BY["activations"][0]: self.observed.activations(name)},
            "saved_bytes": {COUNTED_BY["saved_bytes"][0]: self.observed.saved_bytes[name]},
        }


def measure(model: nn.Module, inputs: Sequence[Tensor], observed: Observation) -> CountsOfModel:
    """Run all counters on a model that hooks have observed."""
    inclusive = {"fvcore": fvcore_macs(model, inputs), "FlopCounterMode": flop_counter_macs(model, inputs)}
    totals = {
        "macs": {counter: counts[""] for counter, counts in inclusive.items()},
        "macs_training": {"FlopCounterMode": observed.training_macs},
        "params": {"parameters()": sum(p.numel() for p in model.parameters())},
        "activations": {"hooks": sum(map(observed.activations, observed.calls))},
        "saved_bytes": {"saved_tensors_hooks": sum(observed.saved_bytes.values())},
    }
    return CountsOfModel(
        {counter: own_counts(counts, model) for counter, counts in inclusive.items()},
        parameters_by_module(model),
        observed,
        training_macs(model, observed),
        totals,
    )


def training_macs(model: nn.Module, observed: Observation) -> dict[str, int]:
    """Return the MACs of a training step for each layer; identical layers are counted once."""
    counted: dict[tuple[str, tuple[bool, ...], ObservedCall], int] = {}

    def count(layer: nn.Module, call: ObservedCall) -> int:
        # Frozen weights need no gradient, and `repr` does not show that.
        key = repr(layer), tuple(p.requires_grad for p in layer.parameters()), call
        if key not in counted:
            counted[key] = layer_training_macs(layer, call.shape, input_grad=call.input_grad)
        return counted[key]

    return {
        name: sum(count(model.get_submodule(name), call) for call in calls)
        for name, calls in observed.calls.items()
    }


def compare(
    name: str,
    formula: Formula | None,
    counts: Counts,
    module: nn.Module | None,
    is_unused: Callable[[], bool],
) -> Row:
    """Return the row of one module: every count beside the formula, and any known defect that excuses it."""
    evidence = None if module is None or formula is None else Evidence(module, formula.cost, is_unused)
    formula = formula or Formula(type(module).__name__)
    checks = []
    for quantity, by_counter in counts.items():
        value = formula.value(quantity)
        wrong = {counter: count for counter, count in by_counter.items() if count != value and evidence}
        excuses = {
            counter: defect.name
            for counter, count in wrong.items()
            if evidence and (defect := excuse(evidence, quantity, counter, count))
        }
        checks.append(Check(quantity, value, by_counter, excuses))
    missing = None if evidence else "module" if module is None else "formula"
    return Row(name or "(model)", formula.kind, checks, missing)


def _check_normalised(operators: Sequence[Operator], batch: int, size: Any) -> None:
    for operator in operators:
        if operator.part == "bn" and 2 * operator.cost.other_outputs == operator.cost.bn_weights:
            raise ValueError(
                f"{operator.name}: batch normalisation needs more than one value per channel to be trained: "
                f"a larger batch or size, got batch {batch} and size {size[0]}x{size[1]}"
            )
