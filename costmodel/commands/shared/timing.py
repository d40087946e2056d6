"""Times an external network, and shows its MACs and the roofline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from costmodel.commands.shared.errors import say, warn
from costmodel.commands.shared.limits import check_threads
from costmodel.commands.shared.network import NetworkOnInputs, asked, run_foreign, traced, within
from costmodel.commands.shared.options import NETWORK_FIELDS
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format, show
from costmodel.commands.shared.word import COMPUTED
from costmodel.memory import check_memory
from costmodel.report import counted
from costmodel.speed.any_network import AnyMeasurement, CallWork, any_table
from costmodel.speed.bench_tables import machine_table
from costmodel.speed.roofline import Machine
from costmodel.speed.stopwatch import Clock

if TYPE_CHECKING:
    from costmodel.models.inputs import Inputs
    from costmodel.tracing.calls import Call, Trace

# Options of built-in networks, and of others.
BUILT_IN_ONLY = (*NETWORK_FIELDS, "plan", "dtype", "per_layer", "plot")
OWN_ONLY = ("input", "inputs", "timeout")
QUICK_MEANS_LITTLE = "--quick times the network once: a smoke test, not a measurement"
COPIES = 2  # weights and their gradients


@dataclass(frozen=True)
class TimingSetting:
    """The settings of a timing."""

    modes: tuple[str, ...]
    clock: Clock
    rounds: int
    threads: int
    quick: bool
    timeout: float | None

    def __post_init__(self) -> None:
        """Raise ValueError for too many threads."""
        check_threads(self.threads)


@dataclass(frozen=True)
class TimedNetwork:
    """A network with data on the CPU, its inputs, and the operators that run in each mode."""

    found: NetworkOnInputs
    dtype: str
    calls: dict[str, Sequence[Call]]
    uncovered: int  # calls whose MACs no formula gives, of all modes


def own_network(
    name: str,
    given: tuple[Sequence[str] | None, str | None],
    batch: int | None,
    setting: TimingSetting,
) -> TimedNetwork:
    """Build a network with data and count its operators; `given` are --input and --inputs.

    Raises ValueError if it does not run, does not fit into memory, or has weights of a different dtype.
    """
    with within(setting.timeout, name):
        found = asked(name, *given)
        if batch is not None:
            found = replace(found, inputs=_of_batch(found.inputs, batch))
        dtype = _dtype(found)
        needed = sum(p.numel() * p.element_size() for p in found.network.module.parameters())
        check_memory(COPIES * needed, f"timing {name}, which needs its weights,")
        trace = traced(found, training="training" in setting.modes)
        found = replace(found, network=found.network.on("cpu"))
    uncovered = len(trace.uncovered()) + len(trace.uncovered_in_training())
    return TimedNetwork(found, dtype, _calls(trace, setting.modes), uncovered)


def _calls(trace: Trace, modes: Sequence[str]) -> dict[str, Sequence[Call]]:
    """Return the operators that run in each mode; if no training step is possible, a warning says why."""
    calls: dict[str, Sequence[Call]] = {"inference": trace.calls} if "inference" in modes else {}
    if trace.training is not None:
        calls["training"] = (*trace.training.forward, *trace.training.backward)
    elif "training" in modes:
        if not calls:
            raise ValueError(trace.notes[0])
        warn(trace.notes[:1])
    return calls


def _dtype(found: NetworkOnInputs) -> str:
    """Return the dtype of the weights, or of the first input."""
    tensors = [*found.network.module.parameters(), *found.inputs.values("meta")[0]]
    name = next((str(t.dtype).removeprefix("torch.") for t in tensors if t.is_floating_point()), "float32")
    if name not in COMPUTED:
        known = " and ".join(COMPUTED)
        raise ValueError(f"the machine's ceilings are measured in {known}; the weights are {name}")
    return name


def _of_batch(inputs: Inputs, batch: int) -> Inputs:
    """Return inputs whose first axis, which all must share, is the batch."""
    first = {one.shape[:1] for one in inputs.given}
    if inputs.made is not None or len(first) != 1 or first == {()}:
        raise ValueError(f"--batch replaces the first size of all inputs, which must be equal; got {inputs}")
    return replace(inputs, given=tuple(replace(one, shape=(batch, *one.shape[1:])) for one in inputs.given))


def show_own(
    question: Question, own: TimedNetwork, setting: TimingSetting, format: Format, hardware: Mapping[str, Any]
) -> None:
    """Time a network, and show the times beside its work and the roofline."""
    warn([QUICK_MEANS_LITTLE] if setting.quick else [])
    with using_threads(setting.threads):
        machine = ceilings([own.dtype], setting.quick, setting.clock)
        results = _timed(own, setting)
    remarks = [
        "roofline: all operators, each at the ceiling that bounds it, of MACs or of bytes moved once;",
        "share: roofline over measured time; by traffic: the part of the roofline that memory bounds.",
    ]
    if own.uncovered:
        remarks.append(f"Not covered, so their MACs are not included: {counted(own.uncovered, 'call')}.")
    payload = {
        "model": own.found.network.name.text,
        "inputs": own.found.inputs.shapes,
        "quick": setting.quick,
    }
    tables = [machine_table(machine), any_table(own.found.title, machine, results)]
    show("bench", tables, format, {**payload, **hardware, **question.said()}, [], remarks)


def _timed(own: TimedNetwork, setting: TimingSetting) -> list[AnyMeasurement]:
    from costmodel.speed.bench_any import time_modes

    name, rounds = own.found.network.name.text, 1 if setting.quick else setting.rounds
    say(f"{', '.join(own.calls)}, {own.dtype}: {counted(rounds, 'round')}")
    args, kwargs = own.found.inputs.values("cpu")
    given: tuple[Any, ...] = (own.found.network.module, args, kwargs, list(own.calls))
    with within(setting.timeout, name):
        doing = f"{name} does not run on {own.found.inputs}"
        timings = run_foreign(doing, time_modes, *given, rounds=rounds, clock=setting.clock)
    return [
        AnyMeasurement(mode, own.dtype, timings[mode], [_work(call, mode) for call in calls])
        for mode, calls in own.calls.items()
    ]


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Set torch's number of threads; 0 leaves it unchanged."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def ceilings(dtypes: Sequence[str], quick: bool, clock: Clock) -> Machine:
    """Measure this machine."""
    from costmodel.speed.ceilings import measure_machine
    from pwoct.training.device import keep_freed_memory

    keep_freed_memory()
    return measure_machine(sorted(set(dtypes)), quick=quick, clock=clock)


def _work(call: Call, mode: str) -> CallWork:
    macs = call.cost.macs_training if mode == "training" else call.cost.macs
    return CallWork(int(macs), int(call.bytes_read + call.bytes_written))
