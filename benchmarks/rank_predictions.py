"""Whether predicted times rank configurations like measured times: Spearman's correlation over a grid.

    python benchmarks/rank_predictions.py [--threads 1 --cpu-time] [--depth 20 --batch 64] [--plan reference]

The grid: alpha 0, 1/8, ..., 7/8; without bottlenecks, with all, with all but HH. Four networks without
bottlenecks calibrate the prediction to the machine.
"""

import argparse
import time
from fractions import Fraction

import torch

from costmodel.networks.resnet import resnet
from costmodel.speed.bench import BenchSetting, bench
from costmodel.speed.bench_tables import describe
from costmodel.speed.ceilings import measure_machine
from costmodel.speed.prediction import rank_correlation
from costmodel.speed.stopwatch import MODES
from pwoct.training.device import keep_freed_memory

SETS: tuple[tuple[str, ...], ...] = ((), ("HH", "HL", "LH", "LL"), ("HL", "LH", "LL"))
DTYPES = ("float32", "bfloat16")
KNOWN = ("0", "1/4", "1/2", "3/4")  # alphas of the networks that the prediction is fitted to


def main() -> None:
    parser = argparse.ArgumentParser(description="Correlate the ranks of predicted and measured times.")
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plan", default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    clock = time.thread_time if options.cpu_time else time.perf_counter
    alphas = [Fraction(i, 8) for i in range(8)]
    grid = {resnet(options.depth, alpha=a, paths=p, width=options.width) for p in SETS for a in alphas}
    known = [resnet(options.depth, alpha=alpha, width=options.width) for alpha in KNOWN]
    others = sorted((design for design in grid if not design.is_plain and design not in known), key=describe)
    machine = measure_machine(DTYPES, clock=clock)
    for dtype in DTYPES:
        for mode in MODES:
            setting = BenchSetting(options.batch, dtype, mode, options.plan)
            results = bench(
                [*known, *others], setting, machine, rounds=options.rounds, clock=clock, fitted=len(known)
            )
            del results[1]  # the plain network, spelled out
            rank = rank_correlation([r.timing.median for r in results], [r.predicted for r in results])
            print(f"{mode} {dtype}: {len(results)} networks, {rank:.3f}", flush=True)
            for result in results if options.verbose else ():
                milliseconds = f"{result.timing.median * 1e3:.1f} {result.predicted * 1e3:.1f}"
                print(f"  {describe(result.design)}: measured, predicted {milliseconds} ms")


if __name__ == "__main__":
    main()
