"""Counters in separate processes: one that crashes, hangs or is killed loses only its own result.

A process builds the network again, by name.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

from costmodel.checks.counters import COUNTERS, Counted
from costmodel.models import Network, apart, load
from costmodel.models.foreign import foreign
from costmodel.models.inputs import Inputs, made_by, parse

TIMEOUT = 600.0  # default limit of a counter, in seconds
Results = Mapping[str, Counted | str]  # by counter; a string says why it gave no result


@dataclass(frozen=True)
class Job:
    """The job of a counter: a network by name, its inputs as text or by function, and other sizes."""

    network: str
    inputs: tuple[str, ...] = ()
    function: str = ""
    others: tuple[tuple[str, ...], ...] = ()


def job_of(network: Network, inputs: Inputs, others: Sequence[Inputs] = ()) -> Job:
    """Return the job of counting a network on its inputs and at other sizes."""
    return Job(
        network.name.text,
        tuple(map(str, inputs.given)),
        inputs.source,
        tuple(tuple(map(str, other.given)) for other in others),
    )


class CountersApart:
    """Counters that run side by side, each in its own process, for the duration of a `with` block."""

    def __init__(
        self, job: Job, names: Sequence[str] = tuple(COUNTERS), timeout: float | None = None
    ) -> None:
        self._job, self._names = job, names
        self._until = time.monotonic() + (TIMEOUT if timeout is None else timeout)
        self._running: dict[str, tuple[subprocess.Popen[str], IO[str]]] = {}

    def __enter__(self) -> CountersApart:
        self._running = {name: _start(name, self._job) for name in self._names}
        return self

    def __exit__(self, *_: object) -> None:
        for process, errors in self._running.values():
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
            errors.close()

    def results(self) -> Results:
        """Wait for all counters, and return their results."""
        return {name: _result(*running, self._until) for name, running in self._running.items()}


def run_here(network: Network, inputs: Inputs, others: Sequence[Inputs] = ()) -> Results:
    """Run counters in this process, one after another: for networks that are known to be harmless."""
    return {name: _guarded(name, network, inputs, others) for name in COUNTERS}


def _guarded(name: str, network: Network, inputs: Inputs, others: Sequence[Inputs]) -> Counted | str:
    try:
        return count(name, network, inputs.values, others)
    except ValueError as error:
        return str(error)


def _start(name: str, job: Job) -> tuple[subprocess.Popen[str], IO[str]]:
    errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - it lives as long as the process
    process = subprocess.Popen(
        apart.command(__name__),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env=apart.environment(),
    )
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps({"counter": name, **asdict(job)}))
        process.stdin.close()
    except BrokenPipeError:
        pass  # it has ended; its exit code says how
    process.stdin = None
    return process, errors


def _result(process: subprocess.Popen[str], errors: IO[str], until: float) -> Counted | str:
    try:
        out, _ = process.communicate(timeout=max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        return "it did not finish in time"
    if process.returncode:
        errors.seek(0)
        return apart.ending(process.returncode, errors.read())
    found: dict[str, Any] = json.loads(out)
    return str(found["error"]) if "error" in found else Counted(**found)


def count(name: str, network: Network, values: Any, others: Sequence[Inputs] = ()) -> Counted:
    """Run one counter, on the meta device where it can work there, else on the CPU.

    Raises ValueError if it also fails on the CPU.
    """
    if name == "torch" and network.device == "meta":
        try:
            return _counted(name, network, values, others)
        except ValueError:
            pass  # the code needs real values
    return _counted(name, network.on("cpu"), values, others)


def _counted(name: str, network: Network, values: Any, others: Sequence[Inputs]) -> Counted:
    device = network.device
    with foreign(f"{name} can't follow {network.name.text}"):
        return COUNTERS[name](network.module, values(device), [other.values(device) for other in others])


def _do(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run the counter of a job, and return its result."""
    try:
        network = load(job["network"])
        others = [parse(other) for other in job["others"]]
        return count(job["counter"], network, _inputs(job, network).values, others).as_json()
    except ValueError as error:
        return {"error": str(error)}


def _inputs(asked: Mapping[str, Any], network: Network) -> Inputs:
    if asked["function"]:
        return made_by(asked["function"])
    given = parse(asked["inputs"]) if asked["inputs"] else network.inputs
    if given is None:
        raise ValueError(f"{asked['network']} needs an input")
    return given


if __name__ == "__main__":
    apart.answer(_do)
