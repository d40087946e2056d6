"""The costs published in the OctConv paper, compared with those of converted networks.

Each row is a network of the paper (Chen et al., ICCV 2019, tables 2, 5, 6 and 7) or of a port that publishes
its counts (d-li14/octconv.pytorch), converted as the authors' code builds it: pooling for strides (rule A),
and no low channels from the last stage on. Other readings and PwiseOct are shown too. Nothing is trained; the
networks have no data.

    python benchmarks/octconv_paper.py [--only ResNet-50]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from math import prod
from typing import Any

from imagenet_networks import ResNet, mobilenet_v1, mobilenet_v2

Layers = Mapping[str, str]
LAST_STAGE: Layers = {"stages.3.*": "alpha:0", "stem.*": "plain"}
V1: Layers = {"blocks.10.pointwise.*": "alpha:0", "blocks.11.*": "plain", "blocks.12.*": "plain"}
V2: Layers = {
    "*.project.*": "alpha:0",
    **{f"blocks.{i}.*": "plain" for i in range(13, 17)},
    "tail.*": "plain",
}
BY_EVERY_LAYER: Layers = {"stem.*": "plain"}
IMAGE = (1, 3, 224, 224)
PWISE: dict[str, Any] = {"beta": 2, "paths": "HL,LH,LL"}


@dataclass(frozen=True)
class Published:
    """A network of a table, and its published values: "3.1 G" MACs, "25.6" million parameters."""

    name: str
    source: str
    build: Callable[[], Any]
    layers: Layers
    alpha: str
    macs: str
    params: str

    def agrees(self, macs: int) -> bool:
        """Whether a count, rounded to the published digits, equals the published one."""
        return printed_as(macs, self.macs) == self.macs

    @property
    def billions(self) -> str:
        """The published MACs in billions, with all their digits: "325 M" is 0.325."""
        if not self.macs:
            return ""
        number, unit = self.macs.split()
        return str(Decimal(number) * Decimal({"M": "0.001", "G": "1"}[unit]))


def _rows(
    name: str, source: str, build: Any, layers: Layers, *printed: tuple[str, str, str]
) -> list[Published]:
    return [Published(name, source, build, layers, *row) for row in printed]


def _resnext(depth: int) -> Any:
    return partial(ResNet, depth, width=128, groups=32)


LARGE = partial(ResNet, 152, strided=2, big_stem=True)
PUBLISHED = [
    *_rows(
        "ResNet-50", "table 2", partial(ResNet, 50), LAST_STAGE,
        ("0", "4.1 G", "25.6"), ("1/8", "3.6 G", "25.6"), ("1/4", "3.1 G", "25.6"), ("1/2", "2.4 G", "25.6"),
        ("3/4", "1.9 G", "25.6"),
    ),
    *_rows(
        "ResNeXt-50 (32x4d)", "table 6", _resnext(50), LAST_STAGE,
        ("1/4", "3.2 G", "25.0"), ("1/2", "2.4 G", "25.0"),
    ),
    *_rows(
        "ResNeXt-101 (32x4d)", "table 6", _resnext(101), LAST_STAGE,
        ("1/4", "5.7 G", "44.2"), ("1/2", "4.0 G", "44.2"),
    ),
    *_rows("ResNet-152, other stem", "table 7", LARGE, LAST_STAGE, ("1/8", "10.9 G", "60.2")),
    *_rows(
        "SE-ResNet-152, other stem", "table 7", partial(LARGE, se=True), LAST_STAGE, ("1/8", "10.9 G", "66.8")
    ),
    *_rows(
        "MobileNet v1, 0.75", "table 5", partial(mobilenet_v1, 0.75), V1,
        ("0", "325 M", "2.6"), ("3/8", "213 M", "2.6"),
    ),
    *_rows("MobileNet v1", "table 5", mobilenet_v1, V1, ("1/2", "321 M", "4.2")),
    *_rows("MobileNet v2", "table 5", mobilenet_v2, V2, ("3/8", "256 M", "3.5")),
    *_rows("MobileNet v2, 1.125", "table 5", partial(mobilenet_v2, 1.125), V2, ("1/2", "295 M", "4.2")),
    *_rows("ResNet-50", "d-li14", partial(ResNet, 50), LAST_STAGE, ("1/2", "2.367 G", "25.557")),
    *_rows(
        "ResNet-101", "d-li14", partial(ResNet, 101), LAST_STAGE,
        ("0", "7.801 G", "44.549"), ("1/2", "3.991 G", "44.549"),
    ),
    *_rows(
        "ResNet-152", "d-li14", partial(ResNet, 152), LAST_STAGE,
        ("0", "11.514 G", "60.193"), ("1/2", "5.615 G", "60.193"),
    ),
    *_rows(
        "MobileNet v1", "d-li14", mobilenet_v1, V1, ("0", "568.7 M", "4.232"), ("1/2", "318.2 M", "4.232")
    ),
]  # fmt: skip
UNPRINTED = [
    *_rows("ResNet-26", "figure 4", partial(ResNet, 26), LAST_STAGE, ("1/4", "", ""), ("1/2", "", "")),
    *_rows(
        "SE-ResNet-50", "figure 4", partial(ResNet, 50, se=True), LAST_STAGE, ("1/4", "", ""), ("1/2", "", "")
    ),
    *_rows("ResNet-101", "figure 4", partial(ResNet, 101), LAST_STAGE, ("1/4", "", "")),
    *_rows("ResNet-200", "figure 4", partial(ResNet, 200), LAST_STAGE, ("1/4", "", ""), ("1/2", "", "")),
]


def printed_as(count: int, like: str) -> str:
    """Round a count to the digits of a published one: "3.1 G".

    >>> printed_as(3_103_526_912, "3.1 G"), printed_as(211_379_016, "213 M")
    ('3.1 G', '211 M')
    """
    number, unit = like.split()
    value = Decimal(count) / {"M": 10**6, "G": 10**9}[unit]
    return f"{value.quantize(Decimal(number), ROUND_HALF_UP)} {unit}"


@dataclass(frozen=True)
class Counted:
    """A converted network: MACs, parameters, input elements of poolings, output elements of upsamplings."""

    macs: int
    params: int
    pooled: int
    upsampled: int


def converted(row: Published, rule: str = "A", layers: Layers | None = None, **pwise: Any) -> Counted:
    """Convert a row's network and count its operators."""
    import torch

    from costmodel.tracing import trace
    from pwoct.conversion import conversion_of, convert

    x = torch.zeros(IMAGE, device="meta")
    with torch.device("meta"):
        net = row.build()
    chosen = row.layers if layers is None else layers
    made = convert(net, alpha=row.alpha, stride_rule=rule, layers=chosen, inputs=x, **pwise)
    found = trace(made.eval(), [x])
    total = found.total()
    specs = [layer.spec for layer in conversion_of(made).converted if layer.spec is not None]
    upsampled = sum(
        len(spec.layout_out.high) * prod(spec.size)
        for spec in specs
        if spec.kind == "dense" and spec.layout_in.low and spec.stride == 1
    )
    return Counted(int(total.macs), found.parameters.all, int(total.pool_ops), upsampled)


def giga(count: int) -> str:
    """MACs in billions."""
    return f"{count / 1e9:.3f}"


def line(row: Published) -> str:
    """One row of the page's first table."""
    mine, pwise = converted(row), converted(row, **PWISE) if row.alpha != "0" else None
    verdict = "" if not row.macs else "yes" if row.agrees(mine.macs) else "**no**"
    cells = [
        row.name, row.source, row.alpha, row.billions, giga(mine.macs), verdict,
        giga(mine.macs + mine.pooled + mine.upsampled), giga(pwise.macs) if pwise else "", row.params,
        f"{mine.params / 1e6:.3f}", f"{pwise.params / 1e6:.3f}" if pwise else "",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def readings(row: Published) -> str:
    """One row of the page's second table: other rules for strides, and octave layers in every stage."""
    counts = [converted(row), converted(row, "C"), converted(row, layers=BY_EVERY_LAYER)]
    cells = [row.name, row.alpha, row.billions, *(giga(count.macs) for count in counts)]
    return f"| {' | '.join(cells)} |"


HEADS = (
    *(
        "network",
        "source",
        "alpha",
        "published",
        "rule A",
        "agrees",
        "with pooling and upsampling",
        "PwiseOct",
    ),
    *("published M params", "M params", "PwiseOct's"),
)
READINGS = ("network", "alpha", "published", "rule A", "rules B and C", "rule A, last stage octave too")


def table(heads: Sequence[str], rows: Iterable[str]) -> None:
    """Print a table, row by row."""
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for row in rows:
        print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="networks whose name begins so")
    parser.add_argument("--readings", action="store_true", help="other readings of the paper's text instead")
    arguments = parser.parse_args()
    rows = [row for row in [*PUBLISHED, *UNPRINTED] if row.name.startswith(arguments.only)]
    if arguments.readings:
        table(READINGS, (readings(row) for row in rows if row.macs and row.alpha != "0"))
    else:
        table(HEADS, map(line, rows))


if __name__ == "__main__":
    main()
