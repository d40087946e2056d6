"""How long the main command takes, as a ratio to the imports that it cannot do without.

Runs `pwoct-cost --alpha 0.25 --beta 2 --paths HL,LH,LL` and `python -c "import sympy, typer, rich.table"` in
turn, each as a whole process, and prints the median of the ratios of CPU time and of wall time.
Predicted before measuring: about 1.3. The target is 1.5.

    python benchmarks/startup.py [pairs]
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
COMMAND = [str(PYTHON.with_name("pwoct-cost")), "--alpha", "0.25", "--beta", "2", "--paths", "HL,LH,LL"]


def seconds(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a process."""
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, wall


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    for command in (IMPORTS, COMMAND):
        seconds(command)  # fills the disk cache
    measured = [(seconds(COMMAND), seconds(IMPORTS)) for _ in range(pairs)]
    versions = ", ".join(f"{name} {version(name)}" for name in ("sympy", "typer", "rich"))
    print(f"Python {platform.python_version()}, {versions}; {os.cpu_count()} cores; n = {pairs} pairs")
    for axis, name in enumerate(("CPU", "wall")):
        ratios = [command[axis] / imports[axis] for command, imports in measured]
        base = statistics.median(imports[axis] for _, imports in measured)
        print(
            f"{name} time: median ratio {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}); the imports alone take {base:.3f} s"
        )


if __name__ == "__main__":
    main()
