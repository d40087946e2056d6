"""All claims, grouped by subject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

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
from costmodel.checks.wording_theorems import wording_claims

CLAIMS: Mapping[str, Sequence[Callable[[bool], Iterable[Claim]]]] = {
    "points": [
        lambda every: point_claims(every=every),
        lambda every: training_claims(every=every),
        lambda every: kind_claims(every=every),
        lambda every: refusal_claims(every=every),
    ],
    "operators": [lambda every: operator_claims(pairs=every)],
    "octave": [lambda every: octave_claims(every=every)],
    "networks": [lambda every: depth_claims(every=every), lambda every: network_claims(every=every)],
    "calculator": [
        lambda every: calculator_claims(every=every),
        lambda every: table_claims(every=every),
        lambda every: printed_claims(every=every),
        lambda every: closed_claims(every=every),
        lambda every: grid_claims(every=every),
        lambda every: layer_table_claims(every=every),
        lambda every: random_table_claims(every=every),
        lambda every: wording_claims(every=every),
    ],
}
