"""The cost of an octave convolution's forms beside the plain one: predicted from vector fill, and measured.

    python benchmarks/convolution_forms.py [--threads 1 --cpu-time] [--dtype bfloat16] [--batch 64]

For each stage of a ResNet of width 16 and each alpha: the parts among which a plan can choose. The prediction
counts c_in * fill(c_out) * taps * pixels, where fill rounds up to vectors of 16 output channels; it was
written before anything was measured.
"""

import argparse
import time
from collections.abc import Iterator
from typing import NamedTuple

import torch

from costmodel.speed.roofline import VECTOR, fill
from costmodel.speed.stopwatch import in_turns
from pwoct.plan.folded.convolve import Convolution, Geometry
from pwoct.training.device import keep_freed_memory

STAGES = ((16, 32), (32, 16), (64, 8))  # channels, size


class Form(NamedTuple):
    """One convolution: its channels, kernel, stride along a row, and the size of its input."""

    name: str
    c_in: int
    c_out: int
    kernel: tuple[int, int]
    stride: int
    size: tuple[int, int]

    @property
    def vectors(self) -> int:
        """The number of products of an input channel with a vector of output channels."""
        pixels = self.size[0] * self.size[1] // self.stride
        return self.c_in * fill(self.c_out, VECTOR) * self.kernel[0] * self.kernel[1] * pixels


def forms(channels: int, size: int) -> Iterator[Form]:
    """Yield the plain convolution, then the possible parts of an octave convolution."""
    square, high, half = (3, 3), (size, size), (size // 2, size // 2)
    yield Form("plain", channels, channels, square, 1, high)
    yield Form("LL, HL and LH joined", channels, channels, square, 1, half)
    for quarters in (1, 2, 3):
        low = channels * quarters // 4
        c = channels - low
        alpha = f"alpha {quarters}/4:"
        yield Form(f"{alpha} HH", c, c, square, 1, high)
        yield Form(f"{alpha} HH, two pixels at once", c, 2 * c, (3, 4), 2, high)
        yield Form(f"{alpha} HL", c, low, square, 1, half)
        yield Form(f"{alpha} LH", low, c, square, 1, half)
        yield Form(f"{alpha} LH, repeated in a row", low, 2 * c, square, 1, half)
        yield Form(f"{alpha} LL", low, low, square, 1, half)
        yield Form(f"{alpha} all packed", 4 * c + low, 4 * c + low, square, 1, half)


def convolution(form: Form, batch: int, dtype: torch.dtype) -> tuple[Convolution, torch.Tensor]:
    x = torch.randn(batch, form.c_in, *form.size).to(dtype, memory_format=torch.channels_last)
    weight = torch.randn(form.c_out, form.c_in, *form.kernel).to(dtype)
    return Convolution(weight, torch.zeros(form.c_out, dtype=dtype), Geometry((1, 1), (1, form.stride))), x


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the forms of an octave convolution.")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu-time", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    keep_freed_memory()
    clock = time.thread_time if options.cpu_time else time.perf_counter
    for channels, size in STAGES:
        found = list(forms(channels, size))
        made = [convolution(form, options.batch, getattr(torch, options.dtype)) for form in found]
        runs = {str(i): lambda c=c, x=x: [c(x, relu=True) for _ in range(5)] for i, (c, x) in enumerate(made)}
        timings = in_turns(runs, options.rounds, clock)
        print(f"{channels} channels, {size}x{size}, {options.dtype}: ms; share of plain: predicted, measured")
        for i, form in enumerate(found):
            timing, plain = timings[str(i)], timings["0"]
            predicted, measured = form.vectors / found[0].vectors, 1 / timing.faster_than(plain)
            print(f"  {form.name:34} {timing.median / 5 * 1e3:7.3f} {predicted:6.2f} {measured:6.2f}")


if __name__ == "__main__":
    main()
