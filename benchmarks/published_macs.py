"""The MACs that torchvision and timm publish for their own networks, beside ours.

torchvision writes `_ops` (10^9 operations) into the description of each set of weights, with two or three
decimals; timm writes `infer_gmacs` into its tables of results, for the image size of each row. Nothing is
downloaded: torchvision's descriptions are in its package; a table of timm's is given as a file.

    python benchmarks/published_macs.py docs/published-macs.md [--timm RESULTS.csv] [--seconds 30]
"""

from __future__ import annotations

import argparse
import csv
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from coverage import OutOfTime, limited

# What a network is with its weights, and not without.
OPTIONS = {"googlenet": "(aux_logits=False)", "inception_v3": "(transform_input=True)"}


@dataclass(frozen=True)
class Published:
    """What a library says of a network: 10^9 operations, as it is written."""

    name: str
    shape: tuple[int, ...]
    giga: str
    params: int | None


@dataclass(frozen=True)
class Compared:
    """A published number and ours."""

    published: Published
    macs: int = 0
    params: int = 0
    uncovered: int = 0
    error: str = ""

    @property
    def agrees(self) -> bool:
        """Whether our MACs are the published number, in its decimals."""
        return not self.error and rounded(self.macs, self.published.giga) == Decimal(self.published.giga)


def rounded(macs: int, like: str) -> Decimal:
    """Return MACs in 10^9, with as many decimals as a text has.

    >>> rounded(4_089_184_256, "4.089")
    Decimal('4.089')
    """
    return (Decimal(macs) / 10**9).quantize(Decimal(like))


def of_torchvision() -> Iterator[Published]:
    """Return the image classifiers of torchvision with the numbers of their default weights."""
    from torchvision import models

    for name in models.list_models(module=models):
        weights: Any = models.get_model_weights(name)
        entry = weights.DEFAULT
        size = entry.transforms().crop_size[0]
        options = f"(image_size={size})" if name.startswith("vit_") else OPTIONS.get(name, "")
        yield Published(
            f"torchvision:{name}{options}",
            (1, 3, size, size),
            str(entry.meta["_ops"]),
            entry.meta["num_params"],
        )


def of_timm(path: Path) -> Iterator[Published]:
    """Return the rows of a results table of timm's that say MACs."""
    for row in csv.DictReader(path.open(encoding="utf-8")):
        giga = row.get("infer_gmacs") or row.get("gmacs") or ""
        size = int(float(row.get("infer_img_size") or row.get("img_size") or 0))
        if giga and size:
            yield Published(f"timm:{row['model']}", (1, 3, size, size), giga, None)


def compare(published: Published, seconds: int) -> Compared:
    """Trace a network without weights at the size of the published number."""
    import torch

    from costmodel.models import load
    from costmodel.tracing import trace

    try:
        with limited(seconds):
            network = load(published.name)
            found = trace(network.module, [torch.zeros(published.shape, device=network.device)])
    except (Exception, OutOfTime) as error:
        return Compared(published, error=f"{type(error).__name__}: {error}".splitlines()[0][:120])
    macs = int(found.total().macs)
    return Compared(published, macs, found.parameters.all, len(found.uncovered()))


def write(page: Path, rows: list[Compared]) -> None:
    """Write the table; what differs says by how much."""
    agreeing = sum(row.agrees for row in rows)
    same = sum(row.params == row.published.params for row in rows if row.published.params is not None)
    asked = sum(row.published.params is not None for row in rows)
    lines = [HEADER.format(versions=f"torchvision {version('torchvision')}"), ""]
    lines += [f"{agreeing} of {len(rows)} published numbers are ours, in their decimals; "]
    lines[-1] += f"{same} of {asked} numbers of parameters are ours exactly."
    lines += [""]
    lines += ["| network | input | published, 10⁹ | MACs | difference |", "| --- | --- | ---: | ---: | --- |"]
    lines += [_line(row) for row in rows]
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


HEADER = """# Published MACs

Written by `benchmarks/published_macs.py`: the operations that {versions} publishes for its image classifiers
(`_ops` of the default weights), beside the MACs that `pwoct-cost cost` counts at the same input size, on
networks without weights."""


def _line(row: Compared) -> str:
    size = "x".join(map(str, row.published.shape[2:]))
    start = f"| `{row.published.name}` | {size} | {row.published.giga} |"
    if row.error:
        return f"{start} | {row.error} |"
    params = row.published.params
    if row.agrees:
        other = "" if params in (None, row.params) else f"parameters: {row.params:,}, published {params:,}"
        return f"{start} {row.macs:,} | {other} |"
    difference = (Decimal(row.macs) / 10**9 - Decimal(row.published.giga)) / Decimal(row.published.giga)
    return f"{start} {row.macs:,} | {difference * 100:+.2f} % |"


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("--timm", type=Path, help="a results table of timm's, such as results-imagenet.csv")
    parser.add_argument("--seconds", type=int, default=30, help="processor time for each network")
    arguments = parser.parse_args()
    asked = [*of_torchvision(), *(of_timm(arguments.timm) if arguments.timm else ())]
    write(arguments.page, [compare(one, arguments.seconds) for one in asked])


if __name__ == "__main__":
    main()
