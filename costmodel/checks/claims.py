"""All claims, grouped by subject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from costmodel.checks import SUBJECTS
from costmodel.checks.calculator_theorems import calculator_claims
from costmodel.checks.closed_theorems import closed_claims
from costmodel.checks.depth_theorems import depth_claims
from costmodel.checks.grid_theorems import grid_claims
from costmodel.checks.kind_theorems import kind_claims
from costmodel.checks.network_theorems import network_claims
from costmodel.checks.octave_theorems import octave_claims
from costmodel.checks.point_theorems import point_claims
from costmodel.checks.printed_theorems import printed_claims
from costmodel.checks.prove import Claim
from costmodel.checks.random_layer_tables import layer_table_claims
from costmodel.checks.random_tables import random_table_claims
from costmodel.checks.refusal_theorems import refusal_claims
from costmodel.checks.table_theorems import table_claims
from costmodel.checks.theorems import operator_claims
from costmodel.checks.training_theorems import training_claims
from costmodel.checks.transposed_theorems import transposed_claims
from costmodel.checks.wording_theorems import wording_claims

CLAIMS: Mapping[str, Sequence[Callable[..., Iterable[Claim]]]] = {
    "points": [point_claims, training_claims, kind_claims, refusal_claims],
    "operators": [operator_claims, transposed_claims],
    "octave": [octave_claims],
    "networks": [depth_claims, network_claims],
    "calculator": [
        calculator_claims,
        table_claims,
        printed_claims,
        closed_claims,
        grid_claims,
        layer_table_claims,
        random_table_claims,
        wording_claims,
    ],
}


def claims_of(subjects: Iterable[str] = SUBJECTS, *, every: bool = False) -> Iterator[Claim]:
    """Yield the claims of some subjects; `every` also yields those that take long."""
    chosen = set(subjects)
    for subject, makers in CLAIMS.items():
        for claims in makers if subject in chosen else ():
            yield from claims(every=every)
