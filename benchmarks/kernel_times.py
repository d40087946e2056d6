"""What the kernels spend their time on: each operation of a network timed alone, summed by kind.

    python benchmarks/kernel_times.py [--depth 56 --width 16 --batch 64] [--dtype float32] [--rounds 5]

One thread, its own processor time, medians over the rounds; operations are timed in turn. The ratios to the
plain network show which kinds of work shrink less than the MACs.
"""

from __future__ import annotations

import argparse
import ctypes
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

import torch

from costmodel.networks.resnet import resnet as design
from costmodel.speed.stopwatch import in_turns
from pwoct.plan import with_plan
from pwoct.plan.compiled import operations
from pwoct.plan.compiled.library import DTYPES, load
from pwoct.plan.compiled.operations import Operation
from pwoct.plan.compiled.program import Program
from pwoct.plan.compiled.training import TrainingStep
from pwoct.resnet import resnet
from pwoct.training.device import keep_freed_memory

PLAIN, ALPHAS = Fraction(0), (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))
KINDS = {
    operations.WINOGRAD_CONVOLUTION: "3x3 by Winograd's method",
    operations.WINOGRAD_WEIGHT_GRADIENT: "weight gradients, by Winograd's method",
    operations.WEIGHT_GRADIENT: "weight gradients, directly",
    operations.PAIRED_WEIGHT_GRADIENT: "weight gradients, directly",
    operations.PAIRING: "weight gradients, directly",
    operations.POOLING: "pooling and repeating",
    operations.SUMMING: "pooling and repeating",
    operations.STATISTICS: "normalisation",
    operations.NORMALISATION: "normalisation",
    operations.NORMALISATION_SUMS: "normalisation",
    operations.NORMALISATION_GRADIENT: "normalisation",
}


def kind_of(operation: Operation) -> str:
    """Return the kind of an operation, in words."""
    if operation.kind != operations.CONVOLUTION:
        return KINDS.get(operation.kind, "others")
    if operation.input == operations.NONE:
        return "pooling and repeating"
    return "3x3 directly" if operation.kernel_height == 3 else "1x1 and parts of 3x3"


def programs(options: argparse.Namespace, alpha: Fraction) -> Iterator[tuple[Operation, Callable[[], None]]]:
    """Yield the operations of inference, each with what runs it alone for a batch."""
    model = resnet(options.depth, alpha=alpha, width=options.width).eval()
    program: Program = with_plan(model, "native", dtype=options.dtype).program  # type: ignore[assignment]
    lanes = operations.lanes_of(program.dtype)
    blocks = options.batch // lanes
    size = int(load().pwoct_vector_bytes())
    vectors = program.vectors + program.scratch
    images, results, maps = (
        torch.zeros(count * size, dtype=torch.uint8)
        for count in (blocks * program.sizes[0], blocks * program.sizes[1], vectors)
    )
    of_network = program.weights, program.biases, program.tables, program.constants
    numbers = (ctypes.c_void_p * len(of_network))(*(tensor.data_ptr() for tensor in of_network))
    kept = (*of_network, images, results, maps)
    run = getattr(load(), f"pwoct_run_{DTYPES[program.dtype]}")

    def only(operation: Operation) -> Callable[[], None]:
        counts = (0, results.data_ptr(), 0, 0, maps.data_ptr(), vectors, program.scratch, blocks, 1)
        rest = [ctypes.c_int64(n) for n in counts]
        one, count = (Operation * 1)(operation), ctypes.c_int64(1)

        def call() -> None:
            assert len(kept) > len(numbers)  # what pointers point to lives as long as this function
            run(one, count, numbers, ctypes.c_void_p(images.data_ptr()), *rest)

        return call

    for operation in program.operations:
        yield operation, only(operation)


def steps(options: argparse.Namespace, alpha: Fraction) -> Iterator[tuple[Operation, Callable[[], None]]]:
    """Yield the operations of a training step, each with what runs it alone for a batch."""
    model: Any = with_plan(resnet(options.depth, alpha=alpha, width=options.width).train(), "blocked")
    x = torch.randn(options.batch, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16, enabled=options.dtype == torch.bfloat16):
        model(x)
    step: TrainingStep
    ((step, tape),) = model._recorded.values()
    _, done = step.forward(x, tape.parameters)
    gradients = torch.zeros((1, step.parameter_count))
    for operation in (*step.forward_operations, *step.backward_operations):
        if operation.kind != operations.BARRIER:
            one = (Operation * 1)(operation)
            yield operation, lambda one=one: step._run(one, done, gradients)  # type: ignore[misc]


def times(found: Iterable[tuple[Operation, Callable[[], None]]], rounds: int) -> dict[str, float]:
    """Milliseconds by kind."""
    listed = {str(number): one for number, one in enumerate(found)}
    timings = in_turns({name: call for name, (_, call) in listed.items()}, rounds, time.thread_time)
    total: dict[str, float] = {}
    for name, (operation, _) in listed.items():
        kind = kind_of(operation)
        total[kind] = total.get(kind, 0.0) + 1e3 * timings[name].median
    return total


def report(options: argparse.Namespace, name: str, timed: dict[Fraction, dict[str, float]]) -> None:
    designs = {a: design(options.depth, alpha=a, width=options.width) for a in timed}
    macs = {a: sum(int(one.cost.macs) for one in found.operators()) for a, found in designs.items()}
    print(f"{name}, {str(options.dtype).removeprefix('torch.')}: ms, and the speed-up over the plain network")
    for kind in sorted({kind for one in timed.values() for kind in one}):
        line(kind, {alpha: found.get(kind, 0.0) for alpha, found in timed.items()})
    line("all", {alpha: sum(found.values()) for alpha, found in timed.items()})
    line("MACs, millions", {alpha: count / 1e6 for alpha, count in macs.items()})


def line(name: str, found: dict[Fraction, float]) -> None:
    plain = found[PLAIN]
    cells = (
        f"{value:8.2f}" + (f" {plain / value:5.2f}" if value and alpha else " " * 6)
        for alpha, value in found.items()
    )
    print(f"  {name:<44}", *cells, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the operations of the plans native and blocked.")
    parser.add_argument("--depth", type=int, default=56)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", default="float32", type=lambda name: getattr(torch, name))
    options = parser.parse_args()
    if options.batch < 1 or options.batch % (lanes := operations.lanes_of(options.dtype)):
        parser.error(f"--batch must be a multiple of the {lanes} images of a block, got {options.batch}")
    torch.set_num_threads(1)
    keep_freed_memory()
    for name, listed in (("inference", programs), ("training", steps)):
        report(options, name, {a: times(listed(options, a), options.rounds) for a in (PLAIN, *ALPHAS)})


if __name__ == "__main__":
    main()
