"""Counters in processes of their own: one that crashes, hangs or leaves torch patched harms nothing else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from costmodel.models import apart

TIMEOUT = 600.0  # seconds that a counter may take unless told otherwise


@dataclass(frozen=True)
class Asked:
    """A network by name, with its inputs as text or by a function."""

    network: str
    inputs: tuple[str, ...] = ()
    function: str = ""


@dataclass(frozen=True)
class Said:
    """What a counter reported for a network, or why it failed; and, on request, where it differs."""

    total: int | None = None
    error: str = ""
    where: Mapping[str, Any] | None = None


def ask(
    counter: str,
    networks: Sequence[Asked],
    expected: Sequence[int | None] = (),
    timeout: float = TIMEOUT,
) -> list[Said]:
    """Run a counter on networks in one new process.

    Where it differs from what is expected, the innermost module that differs is looked for.
    """
    job = {"counter": counter, "networks": [asdict(one) for one in networks], "expected": [*expected]}
    try:
        ended = subprocess.run(
            apart.command(__name__),
            input=json.dumps(job),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=apart.environment(),
        )
    except subprocess.TimeoutExpired:
        return [Said(error=f"it did not finish within {timeout:g} s")] * len(networks)
    if ended.returncode:
        return [Said(error=apart.ending(ended.returncode, ended.stderr))] * len(networks)
    return [Said(**said) for said in json.loads(ended.stdout)]


def _do(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Run the counter of a job on its networks, and return what it says of each."""
    networks = [Asked(one["network"], tuple(one["inputs"]), one["function"]) for one in job["networks"]]
    expected = job["expected"] or [None] * len(networks)
    return [asdict(_said(job["counter"], *pair)) for pair in zip(networks, expected, strict=True)]


def _said(counter: str, asked: Asked, expected: int | None) -> Said:
    from costmodel.failures import told
    from costmodel.reconcile.installed import run
    from costmodel.reconcile.locating import locate
    from costmodel.reconcile.rules import counters

    try:
        module, args, kwargs = _built(asked)
        total = run(counter, module, args, kwargs)
        where = None
        if expected is not None and total != expected:
            found = locate(counters()[counter], *_built(asked))
            where = None if found is None else asdict(found)
        return Said(total, where=where)
    except Exception as error:
        return Said(error=told(error))


def _built(asked: Asked) -> Any:
    from costmodel.models import load
    from costmodel.models.inputs import made_by, parse

    network = load(asked.network, device="cpu")
    inputs = made_by(asked.function) if asked.function else parse(asked.inputs)
    return (network.module, *inputs.values("cpu"))


if __name__ == "__main__":
    apart.answer(_do)
