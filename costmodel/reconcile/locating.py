"""Where a counter and its rules differ: the innermost module that differs when it is counted alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from costmodel.reconcile.exporting import predict_alone
from costmodel.reconcile.installed import run
from costmodel.reconcile.observe import quiet
from costmodel.reconcile.rules import Rules


@dataclass(frozen=True)
class Difference:
    """A module whose prediction differs from what the counter says of it alone."""

    path: str
    type: str
    predicted: int
    actual: int
    operators: tuple[str, ...]  # what was counted in it, by the rules
    ran: tuple[str, ...] = ()  # the operators that PyTorch dispatched in it


def locate(
    counter: Rules, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Difference | None:
    """Return the innermost module on which a counter and its rules differ; None where they agree.

    A module that fails when it is counted alone is passed over.
    """
    inputs = _inputs_by_module(model, args, kwargs)
    found = None
    path, inside = "", [""]
    while inside:
        path = inside.pop(0)
        difference = _difference(counter, model.get_submodule(path), *inputs[path], path)
        if difference is not None:
            found = difference
            inside = [f"{path}.{name}".lstrip(".") for name, _ in model.get_submodule(path).named_children()]
            inside = [child for child in inside if child in inputs]
    return found


def _difference(
    counter: Rules, module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], path: str
) -> Difference | None:
    try:
        observed, expected = predict_alone(counter, module, args, kwargs)
    except ValueError:  # the part does not run alone, or is not predicted alone; the whole was compared
        return None
    try:
        actual = run(counter.name, module, args, kwargs)
    except Exception:  # a counter may raise anything on a part alone
        return None
    if expected.total == actual:
        return None
    whats = tuple(dict.fromkeys(term.what for term in expected.terms))
    ran = tuple(dict.fromkeys(event.name for event in observed.events if event.level == "aten"))
    return Difference(path, type(module).__name__, expected.total, actual, whats, ran)


def _inputs_by_module(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, tuple[Sequence[Any], Mapping[str, Any]]]:
    """Run a model, and return what each of its modules was given first."""
    found: dict[str, tuple[Sequence[Any], Mapping[str, Any]]] = {}
    handles = []
    for path, module in model.named_modules():

        def note(_: nn.Module, args: Any, kwargs: Any, path: str = path) -> None:
            found.setdefault(path, (args, kwargs))

        handles.append(module.register_forward_pre_hook(note, with_kwargs=True))
    try:
        with quiet():
            model.eval()(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    return found
