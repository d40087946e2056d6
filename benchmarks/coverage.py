"""Coverage of timm and pytorchcv: a seeded sample of their networks, each traced and checked.

For each network: whether it runs; whether every product has a formula; whether the sum of MACs equals that of
torch's own counter on the meta device; whether there is a closed form in batch, height and width that
equals the count at five random sizes. Both packages must be installed as well; neither is a dependency. A
network that a package itself cannot build here (an optional package is missing) is replaced by the next one
of the sample.

    python benchmarks/coverage.py run RESULTS.jsonl [--count 300] [--seed 14] [--part 1/1] [--forms]

`coverage_table.py` makes a page of the results.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("timm", "pytorchcv")


def names() -> list[str]:
    """Every network of both packages, as `package:name`."""
    import timm
    from pytorchcv.model_provider import _models

    return [f"timm:{n}" for n in timm.list_models()] + [f"pytorchcv:{n}" for n in sorted(_models)]


def build(name: str) -> tuple[Any, tuple[int, ...]]:
    """A network on the meta device, and the shape of its input."""
    import torch

    package, _, model = name.partition(":")
    with torch.device("meta"):
        if package == "timm":
            import timm

            net = timm.create_model(model)
            return net, (1, *net.default_cfg["input_size"])
        from pytorchcv.model_provider import get_model

        net = get_model(model)
        return net, (1, getattr(net, "in_channels", 3), *net.in_size)


class OutOfTime(BaseException):
    """Derived from BaseException: a network's Exceptions are caught and retried, and this must not be."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise OutOfTime if the block takes more seconds of processor time."""

    def stop(*_: Any) -> None:
        raise OutOfTime(f"more than {seconds} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def torch_macs(net: Any, x: Any) -> int:
    """Return the count of torch's counter on the meta device."""
    from torch.utils.flop_counter import FlopCounterMode

    from costmodel.tracing.running import plain_kernels

    with plain_kernels(), FlopCounterMode(display=False) as counter:
        net.eval()(x)
    return int(counter.get_total_flops()) // 2


def examine(name: str, seconds: int, forms: bool) -> dict[str, Any]:
    """Run all checks on one network."""
    import torch

    result: dict[str, Any] = {"name": name}
    try:
        with limited(seconds):
            net, shape = build(name)
    except BaseException as error:
        return {**result, "built": False, "error": f"{type(error).__name__}: {error}"[:200]}
    x = torch.zeros(shape, device="meta")
    start = time.process_time()

    def step(key: str, do: Callable[[], Any]) -> None:
        try:
            with limited(seconds):
                result[key] = do()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            result[f"{key}_error"] = f"{type(error).__name__}: {error}".splitlines()[0][:300]

    step("macs", lambda: traced(net, x, result))
    if not forms:
        step("torch_macs", lambda: torch_macs(net, x))
    elif len(shape) == 4 and is_convolutional(result):
        step("form", lambda: form_of(net, x, result))
    result["seconds"] = round(time.process_time() - start, 2)
    return {**result, "built": True}


def traced(net: Any, x: Any, result: dict[str, Any]) -> int:
    """Return the MACs of a network; other findings of its trace go into the result."""
    from costmodel.tracing import trace

    found = trace(net, [x])
    result.update(
        shape=tuple(x.shape),
        params=found.parameters.all,
        activations=found.total().activations,
        uncovered=sorted({call.operator for call in found.uncovered()}),
        kinds=sorted({call.kind for call in found.calls if call.cost.macs}),
        route=found.route,
        notes=found.notes,
    )
    return int(found.total().macs)


def is_convolutional(result: dict[str, Any]) -> bool:
    """Whether a network convolves and multiplies only by its weights."""
    kinds = set(result.get("kinds", ()))
    return "convolution" in kinds and kinds <= {"convolution", "linear"}


def form_of(net: Any, x: Any, result: dict[str, Any]) -> str:
    """Compare the closed form with counts at five random sizes: exact, for one size, or wrong."""
    from costmodel.tracing import closed_form

    form = closed_form(net, [x], {0: {0: "n", 2: "h", 3: "w"}})
    result.update(domain=form.domain.text, formula=str(form.total.macs)[:1000], checked=0)
    for sizes in sizes_in(form):
        result["checked"] += 1
        if not agrees(form, net, x, sizes):
            return f"wrong at {sizes}"
    fixed = sorted(set(form.specialised) & {"h", "w"})
    return f"exact, {' and '.join(fixed)} fixed by the code" if fixed else form.status


def sizes_in(form: Any, wanted: int = 5) -> Iterator[dict[str, int]]:
    """Return random sizes in a form's domain, seeded by network."""
    draw = random.Random(str(form.total.macs))
    found = 0
    least = {symbol.name: bound for symbol, bound in form.domain.least.items()}
    most = {symbol.name: bound for symbol, bound in form.domain.most.items()}
    for _ in range(20000):
        sizes = {
            "n": draw.randint(max(least.get("n", 1), 1), 4),
            "h": form.domain.fixed.get("h") or draw.randint(least["h"], most.get("h", least["h"] + 160)),
            "w": form.domain.fixed.get("w") or draw.randint(least["w"], most.get("w", least["w"] + 160)),
        }
        if form.domain.holds(sizes) and form.movement.holds(sizes):
            found += 1
            yield sizes
        if found == wanted:
            return


def agrees(form: Any, net: Any, x: Any, sizes: dict[str, int]) -> bool:
    """Whether every quantity of a form equals the count at these sizes."""
    import torch

    from costmodel.tracing import trace

    shape = (sizes["n"], x.shape[1], sizes["h"], sizes["w"])
    return bool(form.at(**sizes) == trace(net, [torch.zeros(shape, device="meta")]).total())


def run(arguments: argparse.Namespace) -> None:
    """Examine networks until enough of them could be built."""
    sampled(
        arguments,
        lambda name: examine(name, arguments.seconds, arguments.forms),
        lambda result: result["built"],
    )


def sampled(
    arguments: argparse.Namespace,
    examine: Callable[[str], dict[str, Any]],
    counts: Callable[[dict[str, Any]], bool],
) -> None:
    """Examine a part of a seeded sample until enough results count; results in the file are not repeated."""
    path = Path(arguments.results)
    done = {result["name"]: result for result in read(path)}
    order = names()
    random.Random(arguments.seed).shuffle(order)
    good = 0
    part, parts = map(int, arguments.part.split("/"))
    for name in order[part - 1 :: parts]:
        if good == arguments.count:
            break
        if name not in done:
            done[name] = examine(name)
            with path.open("a") as file:
                file.write(json.dumps(done[name]) + "\n")
            print(json.dumps(done[name])[:400], file=sys.stderr, flush=True)
        good += counts(done[name])


def read(path: Path) -> list[dict[str, Any]]:
    """Return the results in a file; none if the file does not exist."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def add_run(commands: Any, *, count: int, seed: int) -> argparse.ArgumentParser:
    """Add the command that examines a sample, and return its parser."""
    running: argparse.ArgumentParser = commands.add_parser("run")
    running.add_argument("results")
    running.add_argument("--count", type=int, default=count)
    running.add_argument("--seed", type=int, default=seed)
    running.add_argument("--seconds", type=int, default=300)
    running.add_argument("--part", default="1/1", help="which part of the sample, such as 2/3")
    return running


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    running = add_run(commands, count=300, seed=14)
    running.add_argument("--forms", action="store_true")
    running.set_defaults(do=run)
    arguments = parser.parse_args()
    arguments.do(arguments)


if __name__ == "__main__":
    print(", ".join(f"{package} {version(package)}" for package in PACKAGES), file=sys.stderr)
    main()
