"""Predicted latency as a cost that is additive over stages: integer nanoseconds by the roofline.

Each operator's prediction is rounded to nanoseconds, so that sums are exact and their order does not matter.
Which paths of a stage are bottlenecks can be chosen after the recording, since the model has no interaction
between paths: a stage takes the sum of its paths, each recorded alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from costmodel.grids.grid import IntArray
from costmodel.grids.quantities import amount
from costmodel.networks.resnet import resnet
from costmodel.networks.stages import STAGES
from costmodel.operators.octave import PATHS
from costmodel.operators.recorder import Operator
from costmodel.search.space import Space
from costmodel.speed.roofline import Machine, estimate

NANOSECONDS = 10**9
UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}  # in nanoseconds
BLOCKS = 3  # of a stage that are recorded: the first, one of the inner ones, the last
HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Predictor:
    """Predicts the forward pass of one image on a machine, operator by operator as the modules call them."""

    machine: Machine
    dtype: str

    def nanoseconds(self, operator: Operator) -> int:
        """Return what an operator takes, rounded."""
        return round(estimate(operator, self.machine, self.dtype).seconds * NANOSECONDS)


def duration(text: str) -> Fraction:
    """Read a time with its unit, exactly; return nanoseconds.

    Raises ValueError if it is not a positive time.

    >>> duration("1.5ms"), duration("20us")
    (Fraction(1500000, 1), Fraction(20000, 1))
    """
    unit = next((unit for unit in UNITS if text.endswith(unit)), None)
    if unit is None:
        raise ValueError(f"a time is a number with s, ms, us or ns, such as 1.5ms, got {text}")
    return amount(text.removesuffix(unit)) * UNITS[unit]


def read_machine(text: str, dtype: str) -> Machine:
    """Read a machine: MACs per second, bytes per second and time per call, as `pwoct-cost bench` prints them.

    Raises ValueError if the text has another form.

    >>> read_machine("25G,10G,5us", "float32").bytes_per_second
    10000000000.0
    """
    parts = text.split(",")
    if len(parts) != 3:
        raise ValueError(
            "a machine is MACs per second, bytes per second and time per call, such as 25G,10G,5us, "
            f"got {text}"
        )
    macs, bytes_moved = (float(amount(part)) for part in parts[:2])
    return Machine({dtype: macs}, bytes_moved, float(duration(parts[2]) / NANOSECONDS))


def network_latency(predictor: Predictor, depth: int, **options: Any) -> int:
    """Return the nanoseconds of a network; options are those of `costmodel.networks.resnet.resnet`."""
    return sum(times * predictor.nanoseconds(op) for op, times in _recorded(depth, options))


def outside_latency(predictor: Predictor, depth: int, **options: Any) -> int:
    """Return the nanoseconds of stem and head."""
    recorded = _recorded(depth, options)
    return sum(times * predictor.nanoseconds(op) for op, times in recorded if op.place.stage is None)


def stage_latencies(space: Space, depth: int, width_rule: str, predictor: Predictor) -> list[IntArray]:
    """Return the nanoseconds of each choice of each stage (A, N), by the alpha before it; first: (1, N)."""
    alphas, betas, parts = len(space.alphas), len(space.betas), len(PATHS) + 1
    plain = np.zeros((len(STAGES), alphas, alphas, parts), dtype=np.int64)
    compressed = np.zeros((len(STAGES), alphas, alphas, betas, parts), dtype=np.int64)
    some = frozenset[str]().union(*space.path_sets)
    for values, wanted in _networks(space.alphas):
        options = {**space.options, "width_rule": width_rule, "alpha": values}
        found = _by_path(predictor, depth, options)
        for stage, before, own in wanted:
            plain[stage, before, own] = found[stage]
        for i, beta in enumerate(space.betas if some else ()):
            found = _by_path(predictor, depth, {**options, "beta": beta, "paths": some})
            for stage, before, own in wanted:
                compressed[stage, before, own, i] = found[stage]
    return [_chosen(space, plain[stage], compressed[stage])[: alphas if stage else 1] for stage in STAGES]


def _networks(alphas: Sequence[Fraction]) -> Iterator[tuple[list[Fraction], list[tuple[int, int, int]]]]:
    """Yield alphas of networks that are not plain, with the stages to take from each.

    A stage comes with the positions of the alpha before it and of its own.
    """
    for i, j in product(range(len(alphas)), repeat=2):
        a, b = alphas[i], alphas[j]
        first = [(0, 0, i)] if j == 0 else []
        if a or b:
            yield [a, b, a], [*first, (1, i, j), (2, j, i)]
        else:
            yield [a, b, HALF], [*first, (1, i, j)]
            yield [HALF, a, b], [(2, i, j)]


def _by_path(predictor: Predictor, depth: int, options: dict[str, Any]) -> dict[int, list[int]]:
    """Return for each stage the nanoseconds of its paths, in their order, and of what belongs to no path."""
    sums = {stage: dict.fromkeys((*PATHS, None), 0) for stage in STAGES}
    for op, times in _recorded(depth, options):
        if op.place.stage is not None:
            sums[op.place.stage][op.place.path] += times * predictor.nanoseconds(op)
    return {stage: list(paths.values()) for stage, paths in sums.items()}


def _recorded(depth: int, options: dict[str, Any]) -> Iterator[tuple[Operator, int]]:
    """Yield the operators of a few blocks a stage, and how often each occurs in a network of that depth."""
    n = (depth - 2) // 6
    for op in resnet(6 * min(n, BLOCKS) + 2, **options).operators():
        yield op, n - 2 if n > BLOCKS and op.place.block == 1 else 1


def _chosen(space: Space, plain: IntArray, compressed: IntArray) -> IntArray:
    """Return the sums over paths (A, N), each path as the choice has it, with what belongs to no path."""
    choices = space.choices
    total = plain[:, choices.alpha, -1]
    for p, path in enumerate(PATHS):
        is_compressed = np.array([path in paths for paths in space.path_sets])[choices.paths]
        total = total + np.where(
            is_compressed, compressed[:, choices.alpha, choices.beta, p], plain[:, choices.alpha, p]
        )
    return total
