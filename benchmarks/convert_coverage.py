"""How many convolutional classifiers of timm and pytorchcv convert: a seeded sample, each tested in full.

For each network: `pwoct.convert`; forward and backward in training mode with a gradient for every parameter
that had one; torch.export, whose program gives the same outputs; and verification by the cost model with all
MACs covered. A classifier counts as convolutional if it convolves and multiplies only by its weights. Both
packages must be installed as well; neither is a dependency.

    python benchmarks/convert_coverage.py run RESULTS.jsonl [--count 200] [--seed 16] [--part 1/1]
    python benchmarks/convert_coverage.py table RESULTS.jsonl
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from coverage import PACKAGES, OutOfTime, add_run, limited, read, sampled
from torch.overrides import TorchFunctionMode

STEPS = ("convert", "train", "export", "verify")
LARGEST = 25_000_000  # parameters; larger networks are examined on tensors without data
SIDES = (64, 128)


def build(name: str, device: str) -> Any:
    """A network with random weights."""
    import torch

    package, _, model = name.partition(":")
    torch.manual_seed(0)
    with torch.device(device):
        if package == "timm":
            import timm

            return timm.create_model(model)
        from pytorchcv.model_provider import get_model

        return get_model(model)


def shapes(net: Any) -> list[tuple[int, ...]]:
    """Return input shapes to try, small ones first."""
    config = getattr(net, "default_cfg", None) or {}
    size = config.get("input_size") or (getattr(net, "in_channels", 3), *getattr(net, "in_size", (224, 224)))
    small = [(2, size[0], side, side) for side in SIDES if side < size[1]]
    return [*small, (2, *size)]


class Attention(BaseException):
    """Derived from BaseException, since a network's code might catch an Exception."""


class NoAttention(TorchFunctionMode):
    """Ends a run at the first attention, which already decides the question."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") == "scaled_dot_product_attention":
            raise Attention
        return func(*args, **(kwargs or {}))


def is_classifier(name: str) -> tuple[bool, str]:
    """Whether a network convolves, gives one row of numbers per image, and multiplies only by its weights.

    Networks with tensors that do not move to the meta device are examined on real data.
    """
    try:
        return classifies(name, "meta")
    except Exception:  # without data its own code may raise anything; a real fault raises again with data
        return classifies(name, "cpu")


def classifies(name: str, device: str) -> tuple[bool, str]:
    """Decide the same on one device."""
    import torch

    from costmodel.tracing import trace

    net = build(name, device).eval()
    shape = shapes(net)[-1]
    if len(shape) != 4:
        return False, "no images"
    try:
        with torch.no_grad(), NoAttention():
            out = net(torch.zeros(shape, device=device))
    except Attention:
        return False, "multiplies by attention"
    if not isinstance(out, torch.Tensor) or out.dim() != 2:
        return False, "no classifier"
    found = trace(net, [torch.zeros(shape, device=device)])
    kinds = {call.kind for call in found.calls if call.cost.macs}
    if "convolution" not in kinds or not kinds <= {"convolution", "linear"}:
        return False, f"multiplies by {', '.join(sorted(kinds))}"
    of_linear = sum(int(c.cost.macs) for c in found.calls if c.kind == "linear")
    share = of_linear / int(found.total().macs)
    return (share < 0.5, f"linear layers do {share:.0%} of its work" if share >= 0.5 else "")


def first_size(net: Any, device: str) -> Any:
    """A batch of the smallest images on which a network runs in training mode."""
    import torch

    failed: Exception | None = None
    for shape in shapes(net):
        x = torch.randn(shape, device=device)
        try:
            net.eval()
            with torch.no_grad():
                net(x)
            return x
        except Exception as error:  # foreign networks raise all kinds of errors on images that are too small
            failed = error
    raise RuntimeError(f"it runs on none of its sizes: {failed}") from failed


def gradients(net: Any, x: Any) -> set[str]:
    """The names of the parameters that a training step reaches."""
    net.train()
    net.zero_grad(set_to_none=True)
    out = net(x)
    first = out[0] if isinstance(out, tuple | list) else out
    first.float().sum().backward()
    found = {name for name, p in net.named_parameters() if p.grad is not None}
    net.zero_grad(set_to_none=True)
    return found


class Trial:
    """One network in the sequence of tests."""

    def __init__(self, name: str, alpha: str) -> None:
        self.name, self.alpha = name, alpha
        self.result: dict[str, Any] = {"name": name, "alpha": alpha}

    def convert(self) -> None:
        """Convert the network and count the outcomes for its convolutions."""
        from costmodel.tracing import trace
        from pwoct.conversion import conversion_of, convert

        size = sum(p.numel() for p in build(self.name, "meta").parameters())
        device = "meta" if size > LARGEST else "cpu"
        self.net = build(self.name, device)
        try:
            self.x = first_size(self.net, device)
        except RuntimeError:  # it has tensors that do not move to the meta device
            device = "cpu"
            self.net = build(self.name, device)
            self.x = first_size(self.net, device)
        self.made = convert(self.net, alpha=self.alpha, inputs=self.x)
        found = conversion_of(self.made)
        reasons = Counter(layer.reason for layer in found.kept)
        before, after = (int(trace(n, [self.x]).total().macs) for n in (self.net, self.made))
        self.result.update(
            device=device, shape=list(self.x.shape), octave=len(found.converted), macs=before,
            convolutions=len(found.layers), reasons=reasons, macs_converted=after,
        )  # fmt: skip
        if not found.converted:
            raise RuntimeError(f"no convolution became an octave layer: {dict(reasons)}")

    def train(self) -> None:
        """Make one step: every parameter that had a gradient must have one."""
        from pwoct.conversion import conversion_of

        plain, now = gradients(self.net, self.x), gradients(self.made, self.x)
        gone = tuple(f"{layer.name}." for layer in conversion_of(self.made).converted)
        missing = {n for n in plain - now if not n.startswith(gone)}
        missing |= {n for n, _ in self.made.named_parameters() if n.startswith(gone) and n not in now}
        if missing:
            raise RuntimeError(f"no gradient for {sorted(missing)[:4]}")

    def export(self) -> None:
        """Export, and compare with the network if it has data."""
        import torch

        made = self.made.eval()
        program = torch.export.export(made, (self.x,))
        if self.x.device.type == "meta":
            return
        with torch.no_grad():
            wanted = made(self.x)
            difference = (program.module()(self.x) - wanted).abs().max()
        if not difference <= 1e-4 * wanted.abs().max().clamp_min(1e-6):
            raise RuntimeError(f"the exported program differs by {float(difference):.2g}")

    def verify(self) -> None:
        """Compare the formulas with counters."""
        from costmodel.checks.verify_foreign import verify_module

        report = verify_module(self.made.eval(), [self.x], title=self.name)
        if report.uncovered:
            raise RuntimeError(f"uncovered: {sorted({call.operator for call in report.uncovered})}")
        if report.verdict == "differs":
            raise RuntimeError(f"differs: {report.differences[:2]}")
        self.result["verdict"] = report.verdict


def examine(name: str, seconds: int, alpha: str) -> dict[str, Any]:
    """Run all tests on one network."""
    trial = Trial(name, alpha)
    start = time.process_time()
    for step in STEPS:
        try:
            with limited(seconds):
                getattr(trial, step)()
            trial.result[step] = True
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            lines = str(error).splitlines() or [""]
            trial.result[step] = False
            trial.result[f"{step}_error"] = f"{type(error).__name__}: {lines[0]}"[:300]
            if step == "convert" or isinstance(error, OutOfTime):
                break
    trial.result["seconds"] = round(time.process_time() - start, 1)
    return trial.result


def run(arguments: argparse.Namespace) -> None:
    """Examine networks until enough of them were convolutional classifiers."""
    sampled(arguments, lambda name: one(name, arguments), lambda result: not result.get("left"))


def one(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Examine one network; a mark written before lets the next run skip a network that ends the process."""
    mark = Path(arguments.results).with_suffix(".running")
    if mark.exists() and mark.read_text() == name:
        mark.unlink()
        return {"name": name, "convert": False, "convert_error": "the process ended"}
    mark.write_text(name)
    try:
        with limited(arguments.seconds):
            fits, why = is_classifier(name)
    except (KeyboardInterrupt, SystemExit):
        raise
    except OutOfTime as error:
        mark.unlink()
        return {"name": name, "convert": False, "convert_error": f"before it is converted: {error}"}
    except BaseException as error:
        fits, why = False, f"can't be built here: {type(error).__name__}: {error}"[:200]
    result = examine(name, arguments.seconds, arguments.alpha) if fits else {"name": name, "left": why}
    mark.unlink()
    return result


def table(arguments: argparse.Namespace) -> None:
    """Print a page's tables."""
    results = [r for path in arguments.results for r in read(Path(path)) if not r.get("left")]
    passed = [r for r in results if all(r.get(step) for step in STEPS)]
    print(f"| step | of {len(results)} networks |\n| --- | --- |")
    for step in STEPS:
        print(f"| {step} | {sum(bool(r.get(step)) for r in results)} |")
    print(f"| all | {len(passed)} |\n\n| network | step | reason |\n| --- | --- | --- |")
    for r in results:
        for step in STEPS:
            if r.get(f"{step}_error"):
                print(f"| {r['name']} | {step} | {r[f'{step}_error'].replace('|', '/')} |")
    reasons: Counter[str] = Counter()
    for r in results:
        for reason, times in r.get("reasons", {}).items():
            reasons[re.sub(r"its \d+ groups", "its groups", reason.partition(":")[0])] += times
    print("\n| why a convolution stays plain | convolutions |\n| --- | --- |")
    for reason, count in reasons.most_common():
        print(f"| {reason} | {count} |")


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    running = add_run(commands, count=200, seed=16)
    running.add_argument("--alpha", default="1/4")
    running.set_defaults(do=run)
    shown = commands.add_parser("table")
    shown.add_argument("results", nargs="+")
    shown.set_defaults(do=table)
    arguments = parser.parse_args()
    arguments.do(arguments)


if __name__ == "__main__":
    print(", ".join(f"{package} {version(package)}" for package in PACKAGES), file=sys.stderr)
    main()
