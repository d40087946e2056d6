"""Certificates: all that a proof rests on, as data that another program can check."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sympy as sp

    from costmodel.checks.proof.domain import SizeDomain
    from costmodel.checks.prove import ProofRun, Theorem

SCHEMA = 2


def certificate(theorems: Iterable[Theorem]) -> dict[str, Any]:
    """Return theorems as plain data: expressions are text.

    Of each run: the domain, every pair of traced and formula's expression, every condition with the steps
    by which it follows, the sample that chose the path through the code, and the instances that were counted
    with plain numbers. The SHA-256 of all theorems shows whether anything was changed or left out later.
    """
    content = list(map(_theorem, theorems))
    digest = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {"schema": SCHEMA, "sha256": digest, "theorems": content}


def _theorem(theorem: Theorem) -> dict[str, Any]:
    return {
        "name": theorem.claim.name,
        "kind": theorem.claim.kind,
        "for_all": theorem.claim.for_all,
        "failures": list(theorem.failures),
        "runs": list(map(_run, theorem.runs)),
    }


def _run(run: ProofRun) -> dict[str, Any]:
    return {
        "name": run.case.name,
        "domain": _domain(run.case.domain),
        "compared": [[c.name, c.quantity, str(c.code), str(c.formula)] for c in run.compared],
        "conditions": [[str(condition), step] for condition, step in run.conditions.items()],
        "sample": _numbers(run.case.sample),
        "instances": [[_numbers(numbers), macs] for numbers, macs in run.instances],
    }


def _domain(domain: SizeDomain) -> dict[str, Any]:
    return {
        "least": _numbers(domain.least),
        "facts": list(map(str, domain.facts)),
        "worlds": [{str(s): str(e) for s, e in world.items()} for world in domain.worlds],
        "rounded": [[str(quotient), str(size)] for quotient, size in domain.rounded.items()],
    }


def _numbers(numbers: Mapping[sp.Symbol, int]) -> dict[str, int]:
    return {str(symbol): int(value) for symbol, value in numbers.items()}
