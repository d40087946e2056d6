"""Octave networks on a GPU: plain and octave modules, the plan "lean", and "lean" by torch.compile.

    python benchmarks/gpu.py [--depth 56 --width 16 --batch 128] [--alphas 1/4 1/2 3/4] [--rounds 21]

Prints a Markdown table to paste, with the device and all versions; none of its figures has been measured
by us. All networks take turns. A time is the median of the rounds, by CUDA events, after a warm-up; a
speed-up is the median of the ratios to the plain module in the same round. Training is a step forward and
backward, without the optimiser. float32 is exact (no TF32); bfloat16 and float16 are by autocast.

Exit codes: 0; 2 for bad options; 3 if there is no CUDA device. With `--device cpu` the script can be tried
on the CPU, in the precisions that it has.
"""

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pwoct.plan import with_plan
from pwoct.resnet import resnet

PRECISIONS = {"float32": None, "tf32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
ON_CPU = ("float32", "bfloat16")
MODES = ("inference", "training")
NO_DEVICE = 3
Run = Callable[[], None]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time octave networks on a GPU.")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--depth", type=int, default=56)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--alphas", nargs="+", default=["1/4", "1/2", "3/4"])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    return parser.parse_args(arguments)


def network(options: argparse.Namespace, alpha: str, mode: str, what: str) -> nn.Module:
    torch.manual_seed(0)
    model = resnet(options.depth, alpha=alpha, width=options.width).train(mode == "training")
    model = model.to(options.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    forward = model if what == "module" else with_plan(model, "lean")
    return torch.compile(forward) if what == "compiled lean" else forward  # type: ignore[return-value]


def run_of(options: argparse.Namespace, forward: nn.Module, mode: str, precision: str) -> Run:
    """Return a function that makes one pass, or one training step."""
    x = torch.randn(options.batch, 3, options.size, options.size, device=options.device)
    x = x.contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(options.batch, dtype=torch.long, device=options.device)
    dtype = PRECISIONS[precision]

    def logits() -> Tensor:
        with torch.autocast(options.device, dtype or torch.bfloat16, enabled=dtype is not None):
            return forward(x)  # type: ignore[no-any-return]

    def infer() -> None:
        with torch.no_grad():
            logits()

    def step() -> None:
        cross_entropy(logits().float(), labels).backward()  # type: ignore[no-untyped-call]
        for parameter in forward.parameters():
            parameter.grad = None

    return infer if mode == "inference" else step


def milliseconds(device: str, run: Run) -> float:
    """Return the time of one run, by events on a GPU."""
    if device == "cpu":
        begin = time.perf_counter()
        run()
        return 1e3 * (time.perf_counter() - begin)
    started, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    started.record()
    run()
    ended.record()
    ended.synchronize()
    return float(started.elapsed_time(ended))


def candidates(options: argparse.Namespace, mode: str, precision: str) -> dict[tuple[str, str], Run]:
    """Return what runs, by alpha and form; the first is the plain module."""
    forms = ["module", "lean"] + ([] if options.no_compile else ["compiled lean"])
    named = [("0", form) for form in forms] + [(alpha, form) for alpha in options.alphas for form in forms]
    return {
        (alpha, form): run_of(options, network(options, alpha, mode, form), mode, precision)
        for alpha, form in named
    }


def rows(options: argparse.Namespace, mode: str, precision: str) -> Iterator[str]:
    """Yield the rows of one mode and precision: all candidates timed in turns."""
    # Both settings, since matrix products and convolutions have one each.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    runs = candidates(options, mode, precision)
    for run in runs.values():
        for _ in range(3):  # the first compiles and chooses algorithms
            run()
    found: dict[tuple[str, str], list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, run in runs.items():
            found[name].append(milliseconds(options.device, run))
    plain = found["0", "module"]
    for (alpha, form), times in found.items():
        faster = statistics.median(p / t for p, t in zip(plain, times, strict=True))
        low, _, high = statistics.quantiles(times, n=4)
        spread = (high - low) / statistics.median(times)
        median = f"{statistics.median(times):.2f}"
        yield f"| {mode} | {precision} | {alpha} | {form} | {median} | {spread:.0%} | {faster:.2f} |"


def header(options: argparse.Namespace) -> str:
    if options.device == "cpu":
        device = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
    else:
        properties = torch.cuda.get_device_properties(0)
        memory = properties.total_memory / 2**30
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        cuda = f"CUDA {torch.version.cuda}, cuDNN {cudnn}"
        device = f"{properties.name}, {memory:.0f} GiB, {cuda}"
    network_ = f"ResNet-{options.depth}, width {options.width}, {options.size} x {options.size}"
    return (
        f"{device}; torch {torch.__version__}, Python {platform.python_version()}\n"
        f"{network_}, batch {options.batch}; medians of {options.rounds} rounds\n\n"
        "| mode | precision | alpha | form | ms | interquartile range | times as fast as plain |\n"
        "|---|---|---|---|---|---|---|"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    if options.rounds < 2:
        print(f"--rounds must be at least 2, got {options.rounds}", file=sys.stderr)
        return 2
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            f"no CUDA device: torch {torch.__version__} finds none; --device cpu tries the script",
            file=sys.stderr,
        )
        return NO_DEVICE
    torch.backends.cudnn.benchmark = True
    known = ON_CPU if options.device == "cpu" else tuple(PRECISIONS)
    print(header(options))
    for mode in MODES:
        for precision in options.precisions or known:
            for row in rows(options, mode, precision):
                print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
