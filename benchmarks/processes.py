"""Shared by benchmarks of whole commands: CPU and wall time of processes, run in turn and compared."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

PYTHON = sys.executable
PWOCT_COST = str(Path(PYTHON).with_name("pwoct-cost"))
IMPORTS = [PYTHON, "-c", "import sympy, typer, rich.table"]  # the imports that every command needs
ONE_CORE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
AXES = ("CPU", "wall")

Seconds = tuple[float, float]  # CPU and wall


def seconds(command: Sequence[str], environment: dict[str, str] | None = None) -> Seconds:
    """CPU and wall seconds of a process."""
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env={**os.environ, **(environment or {})})
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, wall


def in_turn(
    command: Sequence[str], base: Sequence[str], pairs: int, environment: dict[str, str] | None = None
) -> list[tuple[Seconds, Seconds]]:
    """Times of a command and of its base, run in turn; a first run of each fills the disk cache."""
    for each in (base, command):
        seconds(each, environment)
    return [(seconds(command, environment), seconds(base, environment)) for _ in range(pairs)]


def spread(values: Sequence[float], unit: str = "") -> str:
    """Return the median of some values, and their range."""
    return f"{statistics.median(values):.2f}{unit} ({min(values):.2f} to {max(values):.2f})"


def print_ratios(what: str, measured: Sequence[tuple[Seconds, Seconds]]) -> None:
    """Print the ratios of a command to its base, and the time of the base."""
    for axis, name in enumerate(AXES):
        ratios = [command[axis] / base[axis] for command, base in measured]
        alone = f"the base takes {statistics.median(base[axis] for _, base in measured):.3f} s"
        print(f"{what}, {name} time: median ratio {spread(ratios)}; {alone}; n = {len(ratios)} pairs")


def print_versions(packages: Iterable[str]) -> None:
    """Print the versions and the number of cores of the measurement."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    print(f"Python {platform.python_version()}, {versions}; {os.cpu_count()} cores")


def argument(position: int, default: int) -> int:
    """Return a whole number from the command line."""
    return int(sys.argv[position]) if len(sys.argv) > position else default
