"""The run time of the exact search on spaces per stage; each question is a whole process, as a user runs it.

Prints the median CPU and wall seconds, and the points found. Imports and the compilation of closed forms
are included; they take most of the time. The target is 10 s for 10^8 configurations, parameters, MACs and one
more budget.

    python benchmarks/search.py [repeats]
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

COMMAND = [str(Path(sys.executable).with_name("pwoct-cost")), "search", "--per-stage", "--format", "json"]
EIGHTHS, SIXTEENTHS = (["--alpha", "0:7/8:1/8"], ["--alpha", "0:15/16:1/16"])
BUDGETS = ["--max-params", "0.4M", "--max-macs", "60M"]

QUESTIONS = {
    "params, MACs": [*EIGHTHS, "--beta", "2,3,4,8", *BUDGETS],
    "params, MACs, activations": [*EIGHTHS, "--beta", "2,3,4,8", *BUDGETS, "--max-activations", "2M"],
    "params, MACs, bytes": [*EIGHTHS, "--beta", "2,3,4,8", *BUDGETS, "--max-bytes", "20M"],
    "most params in MACs": [*EIGHTHS, "--beta", "2,3,4,8", "--max-macs", "60M", "--maximise", "params"],
    "alphas with 1, activations": ["--alpha", "0:1:1/8", "--beta", "2,3,4,8", "--max-activations", "2M"],
    "params, MACs, latency": [
        *EIGHTHS,
        *("--beta", "2,3,4,8", *BUDGETS, "--max-latency", "8ms", "--machine", "25G,10G,5us"),
    ],
    "16 alphas, activations": [*SIXTEENTHS, "--beta", "2,3,4,6,8", *BUDGETS, "--max-activations", "2M"],
    "16 alphas, no budgets, bytes": [*SIXTEENTHS, "--beta", "2,3,4,6,8", "--minimise", "bytes"],
}


def ask(options: list[str]) -> tuple[float, float, int, int]:
    """Return CPU and wall seconds of a question, and the numbers of configurations and points."""
    before, start = os.times(), time.perf_counter()
    ran = subprocess.run([*COMMAND, *options], capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    document = json.loads(ran.stdout)
    return cpu, wall, document["configurations"], document["points"]


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"{'question':30} {'configurations':>14} {'points':>7} {'CPU s':>6} {'wall s':>6}")
    for name, options in QUESTIONS.items():
        asked = [ask(options) for _ in range(repeats)]
        cpu, wall = (statistics.median(run[i] for run in asked) for i in (0, 1))
        print(f"{name:30} {asked[0][2]:14,} {asked[0][3]:7,} {cpu:6.2f} {wall:6.2f}")
    print(f"median of {repeats} processes each")
    versions = ", ".join(f"{package} {version(package)}" for package in ("numpy", "sympy"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}")


if __name__ == "__main__":
    main()
