"""Training throughput in images per second, against the usual script and against the machine's limit.

The usual script: float32, NCHW, eager, a DataLoader whose data set crops, mirrors and normalises image by
image in plain torch (the faster of 0 and 2 workers), in a separate process. Ours: the recipe `fast`, eager
and with torch.compile. All run in turn, so that a busy machine slows all alike; medians over the turns.

The limit is a roofline: the longer of the time for a step's products at the measured rate of matrix products
in bfloat16, and the time for its tensors at the measured bandwidth, each read and written once per operator.
Winograd's method needs fewer products than there are MACs; its transforms are not counted. The limit for
MACs, one product each, is shown beside it.

Needs idle cores. Predicted before measuring: 3 times the usual script.

    python benchmarks/train_throughput.py [resnet20 resnet56] [--steps 8] [--turns 5] [--no-compile]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.utils.data import DataLoader, Dataset

from costmodel.networks.resnet import named
from costmodel.operators.recorder import cost_of
from costmodel.speed.winograd import products
from pwoct.resnet import resnet
from pwoct.training.config import compose
from pwoct.training.data import Images
from pwoct.training.distributed import Ranks
from pwoct.training.record import RunFolder
from pwoct.training.reporter import Quiet
from pwoct.training.saver import Keeping
from pwoct.training.signals import Signals
from pwoct.training.synthetic import synthetic
from pwoct.training.train import Session, settled

BATCH = 128
MEAN, SCALE = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2470, 0.2435, 0.2616])


class OneByOne(Dataset[tuple[Tensor, int]]):
    """A data set whose images are cropped, mirrored and normalised one by one."""

    def __init__(self, images: Images) -> None:
        self.pixels, self.labels = images.pixels.permute(0, 3, 1, 2).contiguous(), images.labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        x = pad(self.pixels[index].float() / 255, (4, 4, 4, 4))
        top, left = torch.randint(0, 9, (2,)).tolist()
        x = x[:, top : top + 32, left : left + 32]
        if torch.rand(()) < 0.5:
            x = x.flip(-1)
        return (x - MEAN[:, None, None]) / SCALE[:, None, None], int(self.labels[index])


def usual_steps(depth: int, workers: int) -> Iterator[None]:
    """The usual script; every `next` is a step."""
    model = resnet(depth)
    optimiser = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    criterion = nn.CrossEntropyLoss()
    loader = DataLoader(OneByOne(synthetic().train), BATCH, shuffle=True, drop_last=True, num_workers=workers)
    while True:
        for x, labels in loader:
            optimiser.zero_grad()
            criterion(model(x), labels).backward()
            optimiser.step()
            yield


def apart(depth: int, workers: int) -> Iterator[None]:
    """The usual script in a separate process, unaffected by our treatment of freed memory."""
    context = get_context("spawn")
    mine, its = context.Pipe()
    process = context.Process(target=serve, args=(its, depth, workers))
    process.start()
    its.close()  # so that its end is noticed
    try:
        while True:
            mine.send(True)
            mine.recv()
            yield
    finally:
        mine.send(False)
        process.join()


def serve(connection: Connection, depth: int, workers: int) -> None:
    """Make a step of the usual script whenever True is received, and end at False."""
    steps = usual_steps(depth, workers)
    while connection.recv():
        next(steps)
        connection.send(None)


def our_session(name: str, compiled: bool) -> Session:
    """A session of the recipe `fast` that writes nothing."""
    values = {"model.name": name, "data.dataset": "synthetic", "machine.compile": compiled}
    dataset = synthetic()
    config = settled(compose("fast", values=values), dataset, Ranks())
    folder = RunFolder(Path(tempfile.gettempdir()) / "never written")
    return Session(config, dataset, folder, Ranks(), Signals(), Quiet(), Keeping(60.0))


def our_steps(session: Session) -> Iterator[None]:
    """Our loop, over and over the same epoch."""
    while True:
        session.progress.step %= session.progress.steps_per_epoch
        session.make_step()
        yield


def seconds_per_step(step: Iterator[None], steps: int) -> float:
    """The mean over `steps` steps."""
    start = time.perf_counter()
    for _ in range(steps):
        next(step)
    return (time.perf_counter() - start) / steps


def input_seconds(session: Session) -> float:
    """Return the time to make a batch: the median of 50."""
    times = []
    for step in range(50):
        start = time.perf_counter()
        session.batches(0, step % len(session.batches))
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def best(action: Callable[[], object], times: int = 20) -> float:
    """The shortest of several times, in seconds."""
    measured = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        measured.append(time.perf_counter() - start)
    return min(measured)


def gemm_rate() -> float:
    """Return MACs per second of a large matrix product in bfloat16."""
    a = torch.randn(2048, 2048, dtype=torch.bfloat16)
    return 2048**3 / best(lambda: torch.mm(a, a))


def bandwidth() -> float:
    """Return bytes per second, read and written, of adding two feature maps of the first stage."""
    a, b = (torch.ones(BATCH, 16, 32, 32, dtype=torch.bfloat16) for _ in range(2))
    return 3 * 2 * a.numel() / best(lambda: torch.add(a, b, out=a))


def limits(name: str, rate: float, bytes_a_second: float) -> tuple[float, float, float]:
    """Return the least seconds of a step: for MACs, for products with Winograd's method, for tensors."""
    operators = named(name).operators(BATCH)
    cost, fewer = cost_of(operators), cost_of([products(operator) for operator in operators])
    moved = int(cost.bytes_read("bfloat16") + cost.bytes_written("bfloat16"))
    # Backward reads and writes about twice what forward does.
    return int(cost.macs_training) / rate, float(fewer.macs_training) / rate, 3 * moved / bytes_a_second


def measure(name: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Seconds per step of every method, by name."""
    depth = int(name.removeprefix("resnet"))
    sessions = {"ours, eager": our_session(name, False)}
    if not arguments.no_compile:
        sessions["ours, compiled"] = our_session(name, True)
    ways = {f"usual, {workers} workers": apart(depth, workers) for workers in (0, 2)}
    ways |= {way: our_steps(session) for way, session in sessions.items()}
    for step in ways.values():
        seconds_per_step(step, 3)  # compiles, and fills caches
    turns = [
        {way: seconds_per_step(step, arguments.steps) for way, step in ways.items()}
        for _ in range(arguments.turns)
    ]
    found = {way: statistics.median(turn[way] for turn in turns) for way in ways}
    return {**found, "input": input_seconds(sessions["ours, eager"])}


def report(name: str, found: dict[str, float], rate: float, bytes_a_second: float) -> None:
    """Print the images per second, the speed-up and the share of the roofline."""
    usual = min(seconds for way, seconds in found.items() if way.startswith("usual"))
    macs, fewer, tensors = limits(name, rate, bytes_a_second)
    print(
        f"{name}, batch {BATCH}; at least {1e3 * macs:.1f} ms for MACs, "
        f"{1e3 * fewer:.1f} ms for products of Winograd's method, {1e3 * tensors:.1f} ms for tensors"
    )
    for way, seconds in found.items():
        if way != "input":
            shares = f"{max(fewer, tensors) / seconds:.0%} of the limit, {macs / seconds:.0%} of that of MACs"
            speed = f"{BATCH / seconds:6,.0f} images/s  {1e3 * seconds:6.1f} ms"
            print(f"  {way:18} {speed}  {usual / seconds:4.2f} times the usual  {shares}")
    part = found["input"] / found["ours, eager"]
    print(f"  input: {1e3 * found['input']:.2f} ms a batch, {part:.1%} of a step")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=["resnet20", "resnet56"])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--no-compile", action="store_true")
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}")
    rate, bytes_a_second = gemm_rate(), bandwidth()
    print(f"bfloat16 matrix products: {rate / 1e9:,.0f} GMAC/s; adding maps: {bytes_a_second / 1e9:.1f} GB/s")
    for name in arguments.models:
        report(name, measure(name, arguments), rate, bytes_a_second)


if __name__ == "__main__":
    main()
