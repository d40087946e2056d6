"""How long `pwoct-cost verify resnet56` takes, as a ratio to what it cannot do without.

Runs the command, and a process that imports torch and fvcore and builds the network once, in turn, and prints
the median of the ratios of CPU time and of wall time. The target is at most 3.
Measured with torch 2.13 on one core, n = 5 pairs: 2.20 (2.15 to 2.25). With --alpha 1/4
3.2, and with --paths all besides 4.0: octave networks have up to 12 convolutions where the plain one has 1.

    python benchmarks/verify_time.py [pairs] [options of verify]
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

os.environ["OMP_NUM_THREADS"] = "1"

PYTHON = Path(sys.executable)
BUILD = "import torch, fvcore.nn, pwoct; pwoct.build('resnet56')"
BASE = [str(PYTHON), "-W", "ignore", "-c", BUILD]
COMMAND = [str(PYTHON.with_name("pwoct-cost")), "verify", "resnet56"]


def seconds(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a process."""
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, wall


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    command = [*COMMAND, *sys.argv[2:]]
    for each in (BASE, command):
        seconds(each)  # fills the disk cache
    measured = [(seconds(command), seconds(BASE)) for _ in range(pairs)]
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "fvcore"))
    print(f"Python {platform.python_version()}, {versions}; {os.cpu_count()} cores; n = {pairs} pairs")
    for axis, name in enumerate(("CPU", "wall")):
        ratios = [verified[axis] / base[axis] for verified, base in measured]
        base = statistics.median(base[axis] for _, base in measured)
        print(
            f"{name} time: median ratio {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}); imports and one network take {base:.2f} s"
        )


if __name__ == "__main__":
    main()
