"""Speed compared with the published package `octconv` 0.1.0: same network, weights and outputs, in turn.

    pip install --no-deps octconv==0.1.0
    python benchmarks/octconv_package.py [--threads 1 --cpu-time] [--depth 56 --width 16 --batch 128]

The package supports only stride convention A, so our network is built with it. Both run channels_last.
"""

import argparse
import copy
import time
from collections.abc import Callable

import torch
from octconv import OctConv2d
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from costmodel.speed.stopwatch import Timing, in_turns
from pwoct.branches import Octave, as_octave
from pwoct.octave import OctConv
from pwoct.plan import optimize_for_inference, plan_for, with_plan
from pwoct.resnet import ResNet, resnet
from pwoct.training.device import keep_freed_memory

PATHS = {"conv_h2h": "hh", "conv_h2l": "hl", "conv_l2h": "lh", "conv_l2l": "ll"}


class Ported(nn.Module):
    """One of our octave layers as the package's layer, with the same weights."""

    def __init__(self, layer: OctConv) -> None:
        super().__init__()
        alphas = float(layer.alpha_in), float(layer.alpha_out)
        kernel = layer.kernel_size[0]
        self.layer = OctConv2d(layer.c_in, layer.c_out, kernel, layer.stride, kernel // 2, alphas)
        for theirs, ours in PATHS.items():
            path = getattr(layer, ours)
            if path is not None:
                getattr(self.layer, theirs).weight = copy.deepcopy(path.weight)

    def forward(self, x: Octave | Tensor) -> Octave:
        """Convolve (high, low)."""
        octave = as_octave(x)
        y = self.layer(octave.high if octave.low is None else tuple(octave))
        return as_octave(y) if isinstance(y, Tensor) else Octave(*y)


def port(model: ResNet) -> ResNet:
    """Return the network with every octave layer replaced by the package's."""
    ported = copy.deepcopy(model)
    for name, module in list(ported.named_modules()):
        if isinstance(module, OctConv):
            ported.set_submodule(name, Ported(module))
    return ported.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def step(forward: nn.Module, x: Tensor, labels: Tensor, dtype: torch.dtype) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        logits = forward(x)
    cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
    for parameter in forward.parameters():
        parameter.grad = None


@torch.no_grad()
def infer(model: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = model(x)
    return y


def inference(model: ResNet, x: Tensor, dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    model.eval()
    theirs = port(model)
    error = (infer(theirs, x) - infer(model, x)).abs().max() / infer(model, x).abs().max()
    print(f"relative difference of the outputs: {error:.1e}")
    ours = optimize_for_inference(model, dtype=dtype, batch=len(x))
    theirs, x = theirs.to(dtype), x.to(dtype)
    return {"package": lambda: infer(theirs, x), "ours": lambda: infer(ours, x)}


def training(model: ResNet, x: Tensor, dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    model.train()
    theirs, ours = port(model), with_plan(model, plan_for(model, x.shape, dtype, training=True))
    labels = torch.zeros(len(x), dtype=torch.long)
    return {
        "package": lambda: step(theirs, x, labels, dtype),
        "ours": lambda: step(ours, x, labels, dtype),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Time our networks beside those of the package octconv.")
    parser.add_argument("--depth", type=int, default=56)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu-time", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    clock = time.thread_time if options.cpu_time else time.perf_counter
    x = torch.randn(options.batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    print("mode dtype alpha package_ms ours_ms times_as_fast")
    for mode in (inference, training):
        for dtype in (torch.float32, torch.bfloat16):
            for alpha in ("1/4", "1/2", "3/4"):
                torch.manual_seed(0)
                model = resnet(options.depth, alpha=alpha, width=options.width, stride_rule="A")
                model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                timings = in_turns(mode(model, x, dtype), options.rounds, clock)
                show(mode.__name__, dtype, alpha, timings)


def show(mode: str, dtype: torch.dtype, alpha: str, timings: dict[str, Timing]) -> None:
    package, ours = timings["package"], timings["ours"]
    milliseconds = f"{package.median * 1e3:.1f} {ours.median * 1e3:.1f}"
    print(f"{mode} {dtype} {alpha} {milliseconds} {ours.faster_than(package):.2f}", flush=True)


if __name__ == "__main__":
    main()
