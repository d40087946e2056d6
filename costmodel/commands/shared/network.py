"""An external network from options: built, given inputs, run within a time limit."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from costmodel.commands.shared.errors import CHECK_FAILED, MISSING_EXTRA, fail, say
from costmodel.commands.shared.vocabulary import is_built_in, model_name, option

if TYPE_CHECKING:
    from costmodel.models import Network
    from costmodel.models.inputs import Inputs
    from costmodel.tracing.calls import Trace
    from costmodel.tracing.form import ClosedForm

NETWORK_HELP = "resnet56, package.module:factory, net.py:Net(width=64), timm:resnet50, net.pt2, net.onnx."

InputOption: TypeAlias = Annotated[list[str] | None, option("input")]
InputsOption: TypeAlias = Annotated[str | None, option("inputs")]
TimeoutOption: TypeAlias = Annotated[float | None, option("timeout", min=0.001)]


def is_own(name: str) -> bool:
    """Return whether a name refers to an external network: from code, a library or a file.

    >>> is_own("resnet56"), is_own("net.py:Net"), is_own("resnet56(width=8)"), is_own("net.onnx")
    (False, True, True, True)
    """
    return ":" in name or "(" in name or name.lower().endswith((".pt2", ".onnx"))


def given_as(word: str) -> str:
    """Return a sentence on how a network is given, if a word that is no command names one; else "".

    >>> given_as("ResNet-20")
    ' A network is given as pwoct-cost --model resnet20, or to a command: pwoct-cost cost resnet20.'
    >>> given_as("net.py:Net()"), given_as("serach")
    (" A network is given to a command: pwoct-cost cost 'net.py:Net()'.", '')
    """
    name = model_name(word)
    if is_own(name):
        return f" A network is given to a command: pwoct-cost cost {shlex.quote(name)}."
    if is_built_in(name):
        return f" A network is given as pwoct-cost --model {name}, or to a command: pwoct-cost cost {name}."
    return ""


@dataclass(frozen=True)
class NetworkOnInputs:
    """A network and its inputs."""

    network: Network
    inputs: Inputs

    @property
    def title(self) -> str:
        """The network's name with its input shapes."""
        return f"{self.network.name.text}, input {' and '.join(self.inputs.shapes)}"


def asked(name: str, input: Sequence[str] | None, inputs: str | None) -> NetworkOnInputs:
    """Build a network and read its inputs; default: the input that a library's network is designed for.

    Raises ValueError if the network can't be built, or its inputs are not known.
    """
    from costmodel.models.inputs import made_by, parse

    if input and inputs:
        raise ValueError("give either --input or --inputs, not both: one of them gives all inputs")
    given = parse(input) if input else None
    network = _built(name)
    if network.note:
        say(f"pwoct-cost: {network.note}")
    given = given or (made_by(inputs) if inputs else network.inputs)
    if given is None:
        raise ValueError(f"{name} needs an input: --input 1,3,224,224")
    return NetworkOnInputs(_with_sizes(network, given), given)


def _with_sizes(network: Network, inputs: Inputs) -> Network:
    """Return a network whose lazy layers have sizes, on the CPU if its code needs values for that."""
    from costmodel.tracing.calls import TraceError
    from costmodel.tracing.lazy_layers import has_lazy_layers
    from costmodel.tracing.trace import with_sizes

    if not has_lazy_layers(network.module):
        return network
    doing = f"{network.name.text} does not run on {inputs}"
    try:
        run_foreign(doing, with_sizes, network.module, *inputs.values(network.device))
    except TraceError:
        network = network.on("cpu")
        run_foreign(doing, with_sizes, network.module, *inputs.values("cpu"))
    return network


def _built(name: str) -> Network:
    from costmodel.models import load
    from costmodel.models.libraries import MissingLibraryError

    try:
        return load(name)
    except MissingLibraryError as error:
        fail(str(error), MISSING_EXTRA)


@contextmanager
def within(seconds: float | None, name: str) -> Iterator[None]:
    """Run foreign code within a time limit; its output goes to stderr.

    Raises TimeLimitError, a ValueError, if it takes longer.
    """
    from costmodel.models.limits import time_limit

    with time_limit(seconds, f"building and running {name}"):
        yield


def positional(found: NetworkOnInputs) -> list[Any]:
    """Return the inputs as tensors.

    Raises ValueError if one has a name: conversion takes positional arguments only.
    """
    args, named = found.inputs.values(found.network.device)
    if named:
        raise ValueError(f"convert takes inputs by position, got the names {', '.join(named)}")
    return list(args)


def run_foreign(doing: str, function: Any, *arguments: Any, **options: Any) -> Any:
    """Call a function that runs foreign code: its output goes to stderr, and it can't end the program.

    Raises ValueError; errors that already state their origin are passed on unchanged.
    """
    from costmodel.models.foreign import foreign
    from costmodel.tracing.calls import TraceError

    try:
        with foreign(doing):
            return function(*arguments, **options)
    except ValueError as error:
        if isinstance(error.__cause__, TraceError):
            raise error.__cause__ from None
        raise


@contextmanager
def refused(doing: str, *, running: bool = False) -> Iterator[None]:
    """Exit with code 1 where a network itself is refused: it changes, hides its work, or ends the program.

    Other ValueErrors, about what was asked, pass through; with `running`, not those of a network that fails.
    """
    from costmodel.tracing.calls import TraceError, UndefinedCostError

    kind = TraceError if running else UndefinedCostError
    try:
        yield
    except ValueError as error:
        own = next((e for e in (error, error.__cause__) if isinstance(e, kind)), None)
        if own is not None:
            fail(f"{doing}: {own}", CHECK_FAILED)
        if error.__cause__ is None or isinstance(error.__cause__, Exception):
            raise
        fail(str(error), CHECK_FAILED)


def traced(found: NetworkOnInputs, *, training: bool = False) -> Trace:
    """Return the trace of a network on its inputs.

    Raises ValueError if it does not run.
    """
    from costmodel.tracing.trace import trace

    args, kwargs = found.inputs.values(found.network.device)
    doing = f"{found.network.name.text} does not run on {found.inputs}"
    how = {"training": training, "values": partial(found.network.with_data, found.inputs)}
    result: Trace = run_foreign(doing, trace, found.network.module, args, kwargs, **how)
    return result


def closed_form_of(found: NetworkOnInputs, symbols: Sequence[str]) -> ClosedForm:
    """Return the cost of a network in the sizes that symbols name.

    Raises ValueError if the symbols do not fit the inputs, or there is no closed form.
    """
    from costmodel.models.symbols import parse
    from costmodel.tracing.closed_form import closed_form

    axes = parse(symbols, found.inputs)
    args, kwargs = found.inputs.values(found.network.device)
    doing = f"{found.network.name.text} has no closed form in {' '.join(symbols)}"
    form: ClosedForm = run_foreign(doing, closed_form, found.network.module, args, axes, kwargs)
    return form


def say_uncovered(form: ClosedForm) -> None:
    """Say which operators are missing in a closed form, and whether it does not hold at the given sizes."""
    if form.caveat:
        say(f"pwoct-cost: {form.caveat}")
    if form.uncovered:
        names = ", ".join(dict.fromkeys(call.operator for call in form.uncovered))
        say(f"pwoct-cost: not covered, and not in any formula: {names}")


def traced_within(
    seconds: float | None, name: str, input: Sequence[str] | None, inputs: str | None
) -> tuple[str, Trace]:
    """Build and trace a network within a time limit; return its name with its inputs, and the trace."""
    with within(seconds, name):
        found = asked(name, input, inputs)
        return found.title, traced(found)
