"""How long the paper's report and the search for its reading take.

The report (`pwoct-cost paper`, a whole process) is compared with the imports that it cannot do without, run
in turn: the median of the ratios of CPU time and of wall time. The search (`pwoct-cost paper --readings`) is
timed as a whole process, on one core.
Predicted before measuring: a ratio of 2.5, and 10 s of CPU time. The targets are 3, and 60 s.

    python benchmarks/paper_time.py [pairs] [searches]
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

PYTHON = Path(sys.executable)
IMPORTS = [str(PYTHON), "-c", "import sympy, typer, rich.table"]
REPORT = [str(PYTHON.with_name("pwoct-cost")), "paper"]
SEARCH = [*REPORT, "--readings"]
ONE_CORE = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def seconds(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a process."""
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=ONE_CORE)
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, wall


def spread(values: list[float], unit: str = "") -> str:
    """The median of some values, and their range."""
    return f"{statistics.median(values):.2f}{unit} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    pairs, searches = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((1, 15), (2, 3)))
    for command in (IMPORTS, REPORT):
        seconds(command)  # fills the disk cache
    measured = [(seconds(REPORT), seconds(IMPORTS)) for _ in range(pairs)]
    searched = [seconds(SEARCH) for _ in range(searches)]
    versions = ", ".join(f"{name} {version(name)}" for name in ("sympy", "typer", "rich", "numpy"))
    print(f"Python {platform.python_version()}, {versions}; {os.cpu_count()} cores")
    for axis, name in enumerate(("CPU", "wall")):
        ratios = [report[axis] / imports[axis] for report, imports in measured]
        print(f"report, {name} time: median ratio to the imports {spread(ratios)}; n = {pairs} pairs")
    for axis, name in enumerate(("CPU", "wall")):
        print(f"search, {name} time: {spread([one[axis] for one in searched], ' s')}; n = {searches}")


if __name__ == "__main__":
    main()
