"""Whether a network costs the same each time that it runs, and each time that it is built.

A proof is about code, not about one run of it. So the code may not ask for what differs from run to run, the
clock or random numbers of the system, nor change in each run. Other runs and another instance must cost the
same, layer by layer, and so must a run with data.
"""

from __future__ import annotations

import datetime
import gc
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

from costmodel.models import Network, load
from costmodel.models.foreign import foreign
from costmodel.models.inputs import Inputs
from costmodel.tracing.calls import Trace, TraceError
from costmodel.tracing.trace import trace, trace_with_data

RUNS = 4
# Limits of a run with data, which is skipped for larger networks: it takes seconds, or memory.
MOST_MACS, MOST_BYTES = 5 * 10**8, 2**28
# Where code of others builds a network; other sources are files, or networks of ours.
REBUILT = frozenset({"module", "file", "timm", "torchvision", "convert"})

_UNSTEADY = "the network does not cost the same in each run"
_CLOCKS = (
    *("time", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns"),
    *("process_time", "process_time_ns", "thread_time", "thread_time_ns", "localtime", "gmtime"),
)
_SOURCES: Mapping[Any, str] = {
    **{getattr(time, name): f"time.{name}" for name in _CLOCKS},
    datetime.datetime.now: "datetime.now",
    datetime.datetime.utcnow: "datetime.utcnow",
    datetime.date.today: "date.today",
    os.urandom: "os.urandom",
    os.times: "os.times",
    os.getpid: "os.getpid",
}
_STANDARD = Path(os.__file__).parent
# Where clocks may be read: torch and this package.
_BELOW = (Path(torch.__file__).parent, Path(__file__).parents[1])

Layer = tuple[Any, Any, Any]  # MACs, activations, parameters


def differs_between_runs(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return why a network does not cost the same in each run; "" if nothing shows that it does not.

    Raises TraceError if it does not run.
    """
    with _watched() as asked:
        traced = trace(module, args, kwargs)
    if asked:
        return f"the code asks for {asked[0]}, which differs from run to run"
    if traced.unsettled:
        return f"{traced.unsettled} in each run, so that no run stands for the others"
    first = layers_of(traced)
    for number in range(2, RUNS + 1):
        layers = layers_of(trace(module, args, kwargs))
        if found := first_difference(first, layers, "the first run", f"run {number}"):
            return f"{_UNSTEADY}: {found}"
    with_data = _with_data(module, args, kwargs) if traced.total().macs <= MOST_MACS else None
    found = first_difference(first, with_data or first, "a run without data", "one with data")
    return found and f"the code sees whether its tensors have data: {found}"


def _with_data(
    module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Mapping[str, Layer] | None:
    """Return the costs of a run with zeros; None if the code fails on them, or its weights are large."""
    if sum(p.numel() * p.element_size() for p in module.parameters()) > MOST_BYTES:
        return None
    try:
        return layers_of(trace_with_data(module, args, kwargs))
    except TraceError:
        return None


def differs_between_instances(network: Network, inputs: Inputs) -> str:
    """Return why another network that is built in the same way costs something else; "" if it does not.

    Raises ValueError if it can't be built again, or does not run.
    """
    if network.name.source not in REBUILT:
        return ""
    other = load(network.name.text, device=network.device)
    if other.module is network.module:
        return ""
    with foreign(f"another {network.name.called} fails"):
        one, again, two = (
            layers_of(trace(made.module, *inputs.values(made.device), values=partial(made.with_data, inputs)))
            for made in (network, network, other)
        )
    if found := first_difference(one, again, "the first run", "the second"):
        return f"{_UNSTEADY}: {found}"
    found = first_difference(one, two, "the first", "the second")
    return found and f"two networks that {network.name.called} builds with the same arguments differ: {found}"


def layers_of(traced: Trace) -> dict[str, Layer]:
    """Return the MACs, activations and parameters of each module itself, by path."""
    found = {info.path: (0, 0, info.parameters) for info in traced.modules}
    for call in traced.calls:
        macs, activations, parameters = found.get(call.module, (0, 0, 0))
        found[call.module] = macs + call.cost.macs, activations + call.cost.activations, parameters
    return found


def first_difference(one: Mapping[str, Layer], two: Mapping[str, Layer], first: str, second: str) -> str:
    """Return the first module that two runs do not cost the same, with both numbers; "" if there is none."""
    for path in dict.fromkeys((*one, *two)):
        pairs = zip(one.get(path, (0, 0, 0)), two.get(path, (0, 0, 0)), strict=True)
        for what, (a, b) in zip(("MACs", "activations", "parameters"), pairs, strict=True):
            if a != b:
                return f"{path or '(model)'} has {a:,} {what} in {first}, {b:,} in {second}"
    return ""


@contextmanager
def _watched() -> Iterator[list[str]]:
    """Yield a list of the clocks and other sources that code of the network asks in a block."""
    asked: list[str] = []

    def note(frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and (name := _name_of(function)) and (place := _asking(frame)):
            asked.append(f"{name} ({place})")

    before = sys.getprofile()
    collecting = gc.isenabled()
    gc.disable()  # its callbacks, which may read clocks, would run within the network's code
    sys.setprofile(note)
    try:
        yield asked
    finally:
        _profile_again(before)
        if collecting:
            gc.enable()


def _profile_again(before: Any) -> None:
    """Set what `sys.getprofile` gave: a function, nothing, or cProfile's object (no function)."""
    if enable := getattr(before, "enable", None):
        sys.setprofile(None)
        enable()
    else:
        sys.setprofile(before)


def _name_of(function: Any) -> str:
    try:
        return _SOURCES.get(function, "")
    except TypeError:  # a method of something that has no hash
        return ""


def _asking(frame: FrameType | None) -> str:
    """Return the line that asks, through Python's library or directly; "" if torch or this package does."""
    while frame is not None and _is_standard(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None or any(Path(frame.f_code.co_filename).is_relative_to(folder) for folder in _BELOW):
        return ""
    return f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"


def _is_standard(file: str) -> bool:
    path = Path(file)
    inside = any(part in ("site-packages", "dist-packages") for part in path.parts)
    return file.startswith("<frozen") or (path.is_relative_to(_STANDARD) and not inside)
