"""Many networks verified at once: every depth, alpha, beta and set of bottleneck paths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain, combinations
from multiprocessing import get_context
from typing import Any

import torch

from costmodel.checks.verify import verify_named
from costmodel.operators.octave import PATHS
from costmodel.report import Column, Table

DEPTHS = (20, 32, 44, 56, 110)
ALPHAS = ("1/8", "1/4", "1/2", "3/4")
BETAS = ("2", "4")
SUBSETS = tuple(chain.from_iterable(combinations(PATHS, size) for size in range(len(PATHS) + 1)))


@dataclass(frozen=True)
class Configuration:
    """One network of a sweep."""

    depth: int
    kind: str  # plain, Oct or PwiseOct
    alpha: str = "0"
    beta: str = "2"
    paths: tuple[str, ...] = ()

    def __str__(self) -> str:
        options = f" alpha {self.alpha} beta {self.beta} paths {','.join(self.paths) or 'none'}"
        return f"resnet{self.depth} {self.kind}{options if self.kind != 'plain' else ''}"


@dataclass(frozen=True)
class Outcome:
    """The outcome of the verification of one network."""

    configuration: Configuration
    modules: int
    numbers: int
    differences: tuple[str, ...]


def configurations(depths: Sequence[int] = DEPTHS) -> Iterator[Configuration]:
    """Yield every network of the sweep; Oct has no bottleneck paths, so beta has no effect there."""
    for depth in depths:
        yield Configuration(depth, "plain")
        for alpha in ALPHAS:
            yield Configuration(depth, "Oct", alpha)
            for beta in BETAS:
                for paths in SUBSETS:
                    yield Configuration(depth, "PwiseOct", alpha, beta, paths)


def verify_configuration(configuration: Configuration, **options: Any) -> Outcome:
    """Verify one network in full."""
    report = verify_named(
        f"resnet{configuration.depth}",
        alpha=configuration.alpha,
        beta=configuration.beta,
        paths=list(configuration.paths),
        **options,
    )
    return Outcome(configuration, len(report.rows), report.numbers_compared, tuple(report.differences))


def sweep(configurations: Iterable[Configuration], jobs: int) -> Iterator[Outcome]:
    """Yield the outcome of each network, verified in several processes, in order."""
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        yield from pool.map(verify_configuration, configurations)


def summary_table(outcomes: Sequence[Outcome]) -> Table:
    """Return one row per depth and kind: networks, modules and numbers compared, and networks that differ."""
    groups: dict[tuple[int, str], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.configuration.depth, outcome.configuration.kind), []).append(outcome)
    rows = [_summary(f"resnet{depth}", kind, group) for (depth, kind), group in groups.items()]
    rows.append(_summary("all", "", outcomes))
    columns = [
        Column("model", "network"),
        Column("kind", "kind"),
        *(Column(key, heading, "count") for key, heading in _COUNTED.items()),
    ]
    return Table("summary", "Networks verified: formula beside counts, module by module", columns, rows)


_COUNTED = {
    "networks": "networks",
    "modules": "modules",
    "numbers": "numbers compared",
    "differing": "networks that differ",
}


def _summary(model: str, kind: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "model": model,
        "kind": kind,
        "networks": len(outcomes),
        "modules": sum(outcome.modules for outcome in outcomes),
        "numbers": sum(outcome.numbers for outcome in outcomes),
        "differing": sum(bool(outcome.differences) for outcome in outcomes),
    }
