"""`pwoct-cost cost timm:resnet50` beside fvcore's whole run of the same network: time and memory.

Both sides are whole processes, imports included, run in turn on one core. fvcore's is its usual use: build
the network, pass an image of zeros, print the total and the table by module. Processor time is user and
system time; memory is the peak resident set, most of which the imports of torch and timm take. The
targets are a ratio of at most 1 in time, and of at most 1/3 in memory beyond the imports. It needs timm and
fvcore.

    python benchmarks/cost_time.py [runs] [network of timm]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence

from processes import ONE_CORE, PYTHON, argument, print_versions, spread

FVCORE = """
import sys, logging, torch, timm
from fvcore.nn import FlopCountAnalysis, flop_count_table
logging.disable(logging.WARNING)
net = timm.create_model(sys.argv[1]).eval()
counted = FlopCountAnalysis(net, torch.zeros(1, *net.default_cfg["input_size"]))
print(counted.total(), flop_count_table(counted))
"""
MEGABYTE = 2**10  # the operating system counts kibibytes

Use = tuple[float, float]  # seconds of processor time, mebibytes


def used(command: Sequence[str]) -> Use:
    """The time and memory of a process."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **ONE_CORE}
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ends with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / MEGABYTE


def main() -> None:
    network = sys.argv[2] if len(sys.argv) > 2 else "resnet50"
    command = [PYTHON, "-m", "costmodel", "cost", f"timm:{network}"]
    fvcore = [PYTHON, "-W", "ignore", "-c", FVCORE, network]
    empty = [PYTHON, "-c", "import torch, timm"]  # the imports that both need
    for each in (command, fvcore):
        used(each)
    runs = [(used(command), used(fvcore), used(empty)) for _ in range(argument(1, 5))]
    print_versions(("torch", "timm", "fvcore"))
    for axis, (what, unit) in enumerate((("processor time", " s"), ("peak memory", " MiB"))):
        sides = [statistics.median(run[side][axis] for run in runs) for side in range(3)]
        whole = spread([ours[axis] / theirs[axis] for ours, theirs, _ in runs])
        beyond = spread(
            [(ours[axis] - base[axis]) / (theirs[axis] - base[axis]) for ours, theirs, base in runs]
        )
        print(
            f"{network}, {what}: cost {sides[0]:.2f}{unit}, fvcore {sides[1]:.2f}{unit}, imports alone "
            f"{sides[2]:.2f}{unit}; median ratio {whole}, beyond the imports {beyond}; n = {len(runs)} runs"
        )


if __name__ == "__main__":
    main()
