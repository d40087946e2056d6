"""The MACs that torchvision, timm and pytorchcv publish for their own networks, beside ours.

torchvision writes `_ops` (10^9 operations) into the description of each set of weights, with two or three
decimals. timm's tables of results have `infer_gmacs`, for the image size of each row: fvcore's total. The
README of pytorchcv has `FLOPs/2`, by its own counter. Each counter is described by rules (`reconcile`'s, and
published_pytorchcv.toml), which are applied to the operators that run here, on networks without weights.
The figures are in published_timm.csv and published_pytorchcv.csv; nothing is downloaded.

    python benchmarks/published_macs.py docs/published-macs.md [--seconds 60]

torchvision, timm and pytorchcv must be installed as well; none of them is a dependency.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

from coverage import OutOfTime, limited

# Explanations found by hand, where no single term explains a difference.
NOTES = {
    "cbam_resnet50": "without adaptive pooling 4,116.953; the rest, 0.0004 %, is not explained",
    "fishnet150": "given if upsampling counts 1 per element that it reads",
}
HERE = Path(__file__).parent
# Properties that a network has only with its weights.
OPTIONS = {"googlenet": "(aux_logits=False)", "inception_v3": "(transform_input=True)"}


@dataclass(frozen=True)
class Published:
    """A library's figures for a network: its operations as printed, in units of 10^`power`."""

    package: str
    name: str
    size: int
    printed: str
    power: int
    params: str  # as printed: a whole number, or millions with decimals
    counter: str = ""  # whose rules gave the number; "" for our own convention


@dataclass(frozen=True)
class Compared:
    """A published number, our MACs, and the number by the counter's rules for the operators that ran."""

    published: Published
    macs: int = 0
    counted: Fraction = Fraction(0)
    params: int = 0
    terms: tuple[tuple[str, Fraction], ...] = ()  # the terms by which the rules' number differs from our MACs
    error: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the published number equals this one in its decimals."""
        return not self.error and printed(self.counted, self.published.power, self.published.printed)

    @property
    def without(self) -> str:
        """The single term whose removal gives the published number, if there is one."""
        found = (
            what
            for what, amount in self.terms
            if printed(self.counted - amount, self.published.power, self.published.printed)
        )
        return "" if self.agrees or self.error else next(found, "")

    @property
    def same_params(self) -> bool:
        """Whether the published number of parameters equals ours in its decimals."""
        text = self.published.params
        return printed(Fraction(self.params), 6 if "." in text else 0, text)


def printed(value: Fraction, power: int, like: str) -> bool:
    """Return whether a value, in units of 10^power, is printed as a text, in its decimals.

    A value halfway between two may be rounded either way.

    >>> printed(Fraction(4_089_184_256), 9, "4.089"), printed(Fraction(100_005, 100), 0, "1000.0")
    (True, False)
    """
    decimals = -int(Decimal(like).as_tuple().exponent)
    difference = abs(value / 10**power - Fraction(like))
    return bool(difference <= Fraction(1, 2 * 10**decimals))


def of_torchvision() -> Iterator[Published]:
    """Return the image classifiers of torchvision with the numbers of their default weights."""
    from torchvision import models

    for name in models.list_models(module=models):
        weights: Any = models.get_model_weights(name)
        meta, size = weights.DEFAULT.meta, weights.DEFAULT.transforms().crop_size[0]
        options = f"(image_size={size})" if name.startswith("vit_") else OPTIONS.get(name, "")
        yield Published("torchvision", name + options, size, str(meta["_ops"]), 9, str(meta["num_params"]))


def _read(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def of_timm() -> Iterator[Published]:
    """Return the sampled rows of timm's results; its two decimals may lack a trailing zero."""
    for row in _read("published_timm.csv"):
        giga = str(Decimal(row["giga"]).quantize(Decimal("0.01")))
        millions = str(Decimal(row["params_million"]).quantize(Decimal("0.01")))
        yield Published("timm", row["model"], int(row["size"]), giga, 9, millions, "fvcore")


def of_pytorchcv() -> Iterator[Published]:
    """Return the rows of pytorchcv's README."""
    for row in _read("published_pytorchcv.csv"):
        yield Published("pytorchcv", row["model"], int(row["size"]), row["mega"], 6, row["params"], "own")


def build(published: Published) -> Any:
    """Return a network on the meta device, without fused attention, for images of the published size."""
    import torch

    if published.package == "torchvision":
        from costmodel.models import load

        return load(f"torchvision:{published.name}").module
    with torch.device("meta"):
        if published.package == "pytorchcv":
            from pytorchcv.model_provider import get_model

            return get_model(published.name)
        import timm
        from timm.layers import set_fused_attn

        set_fused_attn(False)  # fvcore has no rule for the fused operator
        net = timm.create_model(published.name)
        if net.default_cfg["input_size"][-1] == published.size:
            return net
        try:
            return timm.create_model(published.name, img_size=published.size)
        except TypeError:  # for any size
            return net


def compare(published: Published, seconds: int) -> Compared:
    """Run a network without weights, and count its operators by our rules and by those of its library."""
    import torch

    from costmodel.reconcile.bridge import predict
    from costmodel.reconcile.observe import observe
    from costmodel.reconcile.rules import counters, read

    try:
        with limited(seconds):
            size = (1, 3, published.size, published.size)
            seen = observe(build(published), [torch.zeros(size, device="meta")])
            if not published.counter:
                return Compared(published, seen.macs, Fraction(seen.macs), seen.parameters)
            own = (HERE / "published_pytorchcv.toml").read_text(encoding="utf-8")
            rules = read(own) if published.counter == "own" else counters()[published.counter]
            found = predict(seen, rules)
    except (Exception, OutOfTime) as error:
        return Compared(published, error=f"{type(error).__name__}: {error}".splitlines()[0][:120])
    unit = rules.macs_per_unit
    terms = tuple((term.what, Fraction(term.amount, unit)) for term in found.terms if term.amount)
    return Compared(published, seen.macs, Fraction(found.total, unit), seen.parameters, terms)


def write(page: Path, rows: list[Compared]) -> None:
    """Write one section per library: a summary, a table, and what explains each difference."""
    lines = [HEADER]
    for package, text in SECTIONS.items():
        own = [row for row in rows if row.published.package == package]
        agreeing, params = sum(row.agrees for row in own), sum(row.same_params for row in own)
        lines += ["", f"## {package} {version(package)}", "", text, ""]
        lines += [f"{agreeing} of {len(own)} published counts are reproduced to every digit, and "]
        lines[-1] += f"{params} of {len(own)} parameter counts.{_rest(own)}"
        unit = "10⁶" if package == "pytorchcv" else "10⁹"
        counted = "" if package == "torchvision" else " its rule on what runs |"
        dashes = "" if package == "torchvision" else " ---: |"
        lines += ["", f"| network | input | published, {unit} |{counted} our MACs | difference |"]
        lines += [f"| --- | --- | ---: |{dashes} ---: | --- |", *map(_line, own)]
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _rest(rows: list[Compared]) -> str:
    """Summarise the explanations of differences, with the number of rows for each."""
    other = [row for row in rows if not row.agrees]
    parts = {
        "are reproduced once one term is left out": sum(bool(row.without) for row in other),
        "are no longer in the package": sum("Unsupported model" in row.error for row in other),
        "are different networks by now, with other parameter counts": sum(
            not row.error and not row.without and not row.same_params for row in other
        ),
        "are explained in the table": sum(row.published.name in NOTES for row in other),
    }
    said = "; ".join(f"{count} {what}" for what, count in parts.items() if count)
    return f" Of the other {len(other)}: {said}." if other else ""


HEADER = """# Published MACs

Written by `benchmarks/published_macs.py`, on networks without weights. Our MACs are those of
`pwoct-cost cost` at the same input size. Where a library counts by another convention, its rule is applied to
what runs here, so that the numbers can be compared in all their digits; `pwoct-cost reconcile` does the same
for any network."""

_TIMM = "https://github.com/huggingface/pytorch-image-models/blob/7479d451a6dfd8af27f941b8e82a7402461fae80/results"
_PYTORCHCV = "https://github.com/osmr/imgclsmob/blob"

SECTIONS = {
    "torchvision": """`_ops` of the default weights of its image classifiers, as its package has them. Its
convention is ours.""",
    "timm": f"""`infer_gmacs` of
[its results on an RTX 3090]({_TIMM}/benchmark-infer-amp-nchw-pt240-cu124-rtx3090.csv),
read on 2026-11-29: every fourth row of two stretches of the table, and four more. The convention is fvcore's
total with unfused attention: our MACs, and normalisation, adaptive pooling and upsampling.""",
    "pytorchcv": f"""`FLOPs/2` of
[its README]({_PYTORCHCV}/017fe2cdad2463c5cea801622899bfca5fbdcbb3/pytorch/README.md),
read on 2026-11-29: all of its networks for ImageNet and four for CIFAR-10. The convention is that of
[its counter]({_PYTORCHCV}/5f497474d1d3064bbc5cfd23c7c66da2082b9c7a/pytorch/model_stats.py),
transcribed in `benchmarks/published_pytorchcv.toml`: half of 2 FLOPs per MAC, 4 per element of a
normalisation, 1 of a ReLU, the windows of pooling, and a little less for convolutions without a bias.""",
}


def _line(row: Compared) -> str:
    published = row.published
    size = f"{published.size}x{published.size}"
    start = f"| `{published.package}:{published.name}` | {size} | {published.printed} |"
    if row.error:
        return f"{start} {'' if published.package == 'torchvision' else '| '}| {_told(row.error)} |"
    if published.package != "torchvision":
        start += f" {float(row.counted / 10**published.power):,.{3 + (published.power == 9)}f} |"
    return f"{start} {row.macs:,} | {_difference(row)} |"


def _told(error: str) -> str:
    return "no longer in the package" if "Unsupported model" in error else error


def _difference(row: Compared) -> str:
    """Explain a difference: a different network, or an operator that was counted differently."""
    text = row.published.params
    other = (
        "" if row.same_params else f"another network: {row.params:,} parameters, published {_grouped(text)}"
    )
    if row.agrees:
        return other
    if row.without:
        return f"given without {row.without}"
    if published := NOTES.get(row.published.name):
        return published
    share = row.counted / 10**row.published.power / Fraction(row.published.printed) - 1
    return f"{float(share) * 100:+.2f} %; {other or _largest(row)}"


def _grouped(text: str) -> str:
    return f"{int(text):,}" if text.isdigit() else text


def _largest(row: Compared) -> str:
    parts = sorted(row.terms, key=lambda term: -abs(term[1]))[:3]
    return "beyond our MACs: " + ", ".join(f"{what} {int(amount):,}" for what, amount in parts)


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--seconds", type=int, default=60, help="processor time for each network")
    arguments = parser.parse_args()
    published = [*of_torchvision(), *of_timm(), *of_pytorchcv()]
    write(arguments.page, [compare(one, arguments.seconds) for one in published])


if __name__ == "__main__":
    main()
