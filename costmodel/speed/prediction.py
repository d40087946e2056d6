"""Predicted seconds of a network by a plan, and a machine model fitted to measured networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import exp, log

from costmodel.networks.network import layers
from costmodel.operators.recorder import Operator
from costmodel.sizes import check_choice
from costmodel.speed.folding import folded_layers, native
from costmodel.speed.roofline import Machine, estimate
from costmodel.speed.winograd import layer_by_winograd

PLANS = ("reference", "lean", "blocked", "folded", "native")
SNAPSHOTS = ("folded", "native")  # for inference alone
OWN_KERNELS = ("blocked", "native")


def seconds(
    operators: Iterable[Operator],
    machine: Machine,
    dtype: str,
    *,
    training: bool = False,
    plan: str = "reference",
) -> float:
    """Return how long a network takes by a plan."""
    check_choice("plan", plan, PLANS)
    found = list(operators)
    if plan in ("reference", "lean"):
        return sum(estimate(op, machine, dtype, training=training).seconds for op in found)
    if plan == "folded":
        left = (op for _, layer in folded_layers(found, dtype) for op in layer)
        return sum(estimate(op, machine, dtype).seconds for op in left)
    # This package's kernels: one call in total, full vectors for any number of channels.
    parts = [layer if plan == "blocked" else native(layer) for _, layer in layers(found)]
    found = [op for layer in parts for op in layer_by_winograd(layer, training=training)]
    own = replace(machine, seconds_per_call=0.0)
    return sum(estimate(op, own, dtype, training=training, in_blocks=False).seconds for op in found)


Sample = tuple[Sequence[Operator], str, float]  # operators, plan, measured seconds


def fit(machine: Machine, samples: Sequence[Sample], dtype: str, *, training: bool = False) -> Machine:
    """Return the attained performance of the machine: the parameters that predict the samples best.

    Ceilings are attained by large tensors; those of a network are small, and its calls come from Python. So
    traffic may be up to 4 times as slow and calls up to 16 times as expensive; then all times are scaled to
    be right on average.

    Raises:
        ValueError: if there are no samples.
    """
    if not samples:
        raise ValueError("fitting needs at least one measured network")
    candidates = [
        replace(
            machine,
            bytes_per_second=machine.bytes_per_second / slower,
            seconds_per_call=machine.seconds_per_call * dearer,
        )
        for slower in (1, 2, 4)
        for dearer in (1, 2, 4, 8, 16)
    ]
    scored = [(*_misfit(candidate, samples, dtype, training), candidate) for candidate in candidates]
    _, scale, best = min(scored, key=lambda entry: entry[0])
    return best.scaled(scale)


def _misfit(machine: Machine, samples: Sequence[Sample], dtype: str, training: bool) -> tuple[float, float]:
    """Return the squared deviation of log ratios from their mean, and the factor given by the mean."""
    logs = [
        log(measured / seconds(operators, machine, dtype, training=training, plan=plan))
        for operators, plan, measured in samples
    ]
    mean = sum(logs) / len(logs)
    return sum((value - mean) ** 2 for value in logs), exp(mean)


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Return Spearman's rank correlation; equal values share their mean rank.

    Raises:
        ValueError: if the lengths differ, or fewer than two values are given.

    >>> rank_correlation([1, 2, 3], [10, 20, 30]), rank_correlation([1, 2, 3], [3, 2, 1])
    (1.0, -1.0)
    """
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"need two lists of equal length of at least 2, got {len(a)} and {len(b)} values")
    x, y = _ranks(a), _ranks(b)
    mean = (len(a) + 1) / 2
    covariance = sum((p - mean) * (q - mean) for p, q in zip(x, y, strict=True))
    norm = (sum((p - mean) ** 2 for p in x) * sum((q - mean) ** 2 for q in y)) ** 0.5
    if norm == 0:
        raise ValueError("the ranks of equal values have no correlation")
    return float(covariance / norm)


def _ranks(values: Sequence[float]) -> list[float]:
    return [sum(v < value for v in values) + (sum(v == value for v in values) + 1) / 2 for value in values]
