"""ResNet-56 configurations per second in the grid evaluator, against building and tracing each model.

In one run, on one core: parameters and MACs of 1,036,800 configurations by `costmodel.grids.evaluate`, and
of a sample of them by building the `pwoct` network and tracing it with fvcore. The sample must agree exactly.
Predicted before measuring: 3,000,000 configurations per second, and a ratio of more than 1,000,000. The
target is 1,000,000 configurations per second.

    python benchmarks/grid.py [repeats] [models]
"""

from __future__ import annotations

import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from importlib.metadata import version
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from costmodel.checks.measure import fvcore_macs
from costmodel.grids.compiled import _operators, compiled
from costmodel.grids.evaluate import evaluate
from costmodel.grids.grid import PATH_SUBSETS, Grid, grid
from pwoct.resnet import resnet


def seconds(work: Callable[[], Any]) -> tuple[float, float]:
    """CPU and wall seconds of a call."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def configurations() -> Grid:
    """81 alphas from 0 to 1, 800 betas from 1 to 14.3, all 16 sets of paths."""
    alphas = [Fraction(k, 80) for k in range(81)]
    return grid(alphas, [Fraction(k, 60) for k in range(60, 860)], PATH_SUBSETS, depths=[56])


def traced(everything: Grid, i: int) -> tuple[int, int]:
    """Return parameters and MACs of configuration i by building and tracing the network."""
    choice = everything.network(i).stages[0]
    model = resnet(56, alpha=choice.alpha, beta=choice.beta, paths=choice.paths)
    params = sum(parameter.numel() for parameter in model.parameters())
    return params, fvcore_macs(model, [torch.zeros(1, 3, 32, 32)])[""]


def evaluated(everything: Grid, repeats: int) -> tuple[list[float], list[float], list[float]]:
    """Return CPU seconds of calls that compile formulas, and CPU and wall seconds of later calls."""
    compiling, cpu, wall = [], [], []
    for _ in range(repeats):
        compiled.cache_clear()
        _operators.cache_clear()
        compiling.append(seconds(lambda: evaluate(everything))[0])
        again = seconds(lambda: evaluate(everything))
        cpu.append(again[0])
        wall.append(again[1])
    return compiling, cpu, wall


def main() -> None:
    repeats, models = (int(text) for text in (*sys.argv[1:], *("7", "10")[len(sys.argv) - 1 :]))
    torch.set_num_threads(1)
    everything = configurations()
    making = min(seconds(configurations)[0] for _ in range(repeats))
    compiling, cpu, wall = evaluated(everything, repeats)
    sample = random.Random(0).sample(range(len(everything)), models)
    traced(everything, 0)  # loads fvcore
    tracing = []
    results = evaluate(everything)
    for i in sample:
        start = time.process_time()
        found = traced(everything, i)
        tracing.append(time.process_time() - start)
        assert found == (results["params"][i], results["macs"][i]), everything.name(i)
    report(len(everything), making, (compiling, cpu, wall), tracing)


def report(
    count: int, making: float, grids: tuple[list[float], list[float], list[float]], tracing: list[float]
) -> None:
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "sympy", "torch", "fvcore"))
    print(f"Python {platform.python_version()}, {versions}; one core; {count:,} configurations of ResNet-56")
    for name, values in zip(("CPU, formulas compiled anew", "CPU", "wall"), grids, strict=True):
        middle = statistics.median(values)
        print(
            f"grid, {name}: {middle:.3f} s (n = {len(values)}, {min(values):.3f} to {max(values):.3f}): "
            f"{count / middle:,.0f} configurations a second"
        )
    print(f"making the arrays of the grid: {making:.3f} s CPU")
    one, spread = statistics.median(tracing), f"{min(tracing):.2f} to {max(tracing):.2f}"
    print(f"build and trace, CPU: {one:.2f} s a model (n = {len(tracing)}, {spread}); all agree exactly")
    print(f"ratio of CPU times: {one * count / statistics.median(grids[1]):,.0f}")


if __name__ == "__main__":
    main()
