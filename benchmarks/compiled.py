"""The gain from torch.compile: plain and octave networks, compiled by block, beside plans without a compiler.

    python benchmarks/compiled.py [--depth 20 --width 16 --batch 128] [--alphas 0 1/2] [--rounds 9]

Blocks are compiled one by one, so that identical blocks share their code; compiling the whole network at once
takes several times as long. Needs a C++ compiler and some minutes. The compile time is that of the first
step.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from costmodel.speed.stopwatch import in_turns
from pwoct.plan import plan_for, with_plan
from pwoct.resnet import ResNet, resnet
from pwoct.training.device import keep_freed_memory

DTYPES = (torch.float32, torch.bfloat16)


def build(options: argparse.Namespace, alpha: str) -> ResNet:
    torch.manual_seed(0)
    model = resnet(options.depth, alpha=alpha, width=options.width)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def compiled(model: ResNet) -> ResNet:
    for stage in model.stages.children():
        for block in stage.children():
            block.compile()
    return model


def step(forward: nn.Module, x: Tensor, dtype: torch.dtype) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        logits = forward(x)
    cross_entropy(logits.float(), torch.zeros(len(x), dtype=torch.long)).backward()  # type: ignore[no-untyped-call]
    for parameter in forward.parameters():
        parameter.grad = None


@torch.no_grad()
def infer(forward: nn.Module, x: Tensor) -> None:
    forward(x)


def candidates(
    options: argparse.Namespace, alpha: str, dtype: torch.dtype, training: bool
) -> dict[str, Callable[[], None]]:
    """The module, its compiled version, and the best plan."""
    x = torch.randn(options.batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    module, blocks, planned = (build(options, alpha).train(training) for _ in range(3))
    plan = plan_for(planned, x.shape, dtype, training=training)
    best, blocks = with_plan(planned, plan, dtype=dtype), compiled(blocks)
    if training:
        named = {"module": module, "compiled": blocks, plan: best}
        return {name: lambda model=model: step(model, x, dtype) for name, model in named.items()}  # type: ignore[misc]
    named = {"module": module.to(dtype), "compiled": blocks.to(dtype), plan: best}
    return {name: lambda model=model: infer(model, x.to(dtype)) for name, model in named.items()}  # type: ignore[misc]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time torch.compile beside the execution plans.")
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--alphas", nargs="+", default=["0", "1/2"])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    keep_freed_memory()
    torch._dynamo.config.recompile_limit = 64  # blocks with different shapes
    print("mode dtype alpha what first_s milliseconds times_as_fast_as_the_module")
    for training in (False, True):
        for dtype in DTYPES:
            for alpha in options.alphas:
                runs = candidates(options, alpha, dtype, training)
                first = {name: seconds(run) for name, run in runs.items()}
                timings = in_turns(runs, options.rounds, time.perf_counter)
                mode, kind = "training" if training else "inference", str(dtype).removeprefix("torch.")
                for name, timing in timings.items():
                    times = f"{first[name]:.1f} {timing.median * 1e3:.1f}"
                    faster = timing.faster_than(timings["module"])
                    print(f"{mode} {kind} {alpha} {name} {times} {faster:.2f}", flush=True)


def seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
