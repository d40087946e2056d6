"""Section 5.2's step: for each path, the accuracy that a bottleneck loses, and the parameters it saves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import hypot
from typing import Any

from costmodel.networks.stages import ordered
from costmodel.operators.octave import PATHS
from costmodel.paper.counting import BUILT, PRINTED, Reading
from costmodel.paper.printed import Paper, PrintedRow
from costmodel.paper.records import Accuracy, Record, accuracies, described
from costmodel.report import Column, Table

# What each table's question needs beside its own rows: the networks that its rows are compared with.
BASELINES: Mapping[int, tuple[str, ...]] = {1: (), 2: ("1.2", "1.4"), 3: ("1.2", "1.4", "1.3", "1.5"), 4: ()}
# The network that is also trained with its 1x1 convolutions frozen: what the printed parameters would train.
FROZEN: Mapping[int, tuple[str, ...]] = {1: ("1.3",), 2: (), 3: (), 4: ("4.3",)}
FROZEN_FAMILY = "1x1 frozen"
LOSSES = "Points lost against OctConv of the same alpha; parameters saved, counted as printed and in full"
SAVED_COLUMNS = (
    Column("saved_as_printed", "as printed", "count"),
    Column("saved_in_full", "in full", "count"),
)


@dataclass(frozen=True)
class StudyNetwork:
    """A network of a study: a row of the paper, at a depth, with its 1x1 convolutions trained or frozen."""

    row: PrintedRow
    depth: int
    frozen: bool = False

    @property
    def label(self) -> str:
        """The network in a few words.

        >>> from costmodel.paper.printed import read_paper
        >>> StudyNetwork(read_paper().by_key["1.3"], 20, frozen=True).label
        'Pwise-20 0.25 all, 1x1 frozen'
        """
        label = self.row.at_depth(self.depth).label
        return f"{label}, {FROZEN_FAMILY}" if self.frozen else label

    @property
    def family(self) -> str:
        """Its kind and alpha, or that its 1x1 convolutions are frozen: what it is drawn alike with."""
        return FROZEN_FAMILY if self.frozen else self.row.family

    @property
    def short_label(self) -> str:
        """What tells it from others of its family: the bottlenecks, or the label itself where it has none."""
        name = self.row.path_text or (self.row.family if self.row.alpha else self.label)
        return f"{name}, {FROZEN_FAMILY}" if self.frozen else name

    def settings(self) -> dict[str, Any]:
        """Return the configuration keys of a run of it."""
        return {
            "model.name": f"resnet{self.depth}",
            "model.alpha": str(self.row.alpha),
            "model.paths": ",".join(ordered(self.row.paths)),
            "model.freeze_pointwise": self.frozen,
        }

    def accuracies(self, records: Iterable[Record], dataset: str) -> list[Accuracy]:
        """Return its measured accuracies, one per recipe."""
        return accuracies(
            record
            for record in records
            if record.is_of(self.row, frozen=self.frozen, dataset=dataset, depth=self.depth)
        )

    def params(self, reading: Reading) -> int:
        """Return its parameters under a reading."""
        subject = self.row.at_depth(self.depth)
        return reading.count(subject, "params")

    def trained(self) -> int:
        """Return its trained parameters as built: all, or all but the 1x1 convolutions of bottlenecks.

        >>> from costmodel.paper.printed import read_paper
        >>> StudyNetwork(read_paper().by_key["1.3"], 56, frozen=True).trained()
        306794
        """
        return self.params(BUILT.without_pointwise() if self.frozen else BUILT)


def saved(network: StudyNetwork, base: StudyNetwork) -> dict[str, int]:
    """Return the parameters that a network saves against another, counted as printed and in full."""
    return {
        "saved_as_printed": base.params(PRINTED) - network.params(PRINTED),
        "saved_in_full": base.trained() - network.trained(),
    }


def networks(paper: Paper, table: int, depth: int | None = None) -> list[StudyNetwork]:
    """Return the networks that a table needs: its rows, what they are compared with, and the frozen one."""
    own = [row for row in paper.rows if row.table == table]
    rows = [*(paper.by_key[key] for key in BASELINES[table]), *own]
    frozen = [paper.by_key[key] for key in FROZEN[table]]
    return [
        *(StudyNetwork(row, depth or row.depth) for row in rows),
        *(StudyNetwork(row, depth or row.depth, frozen=True) for row in frozen),
    ]


@dataclass(frozen=True)
class Loss:
    """What the bottlenecks of a network lose in accuracy (points) and save in parameters."""

    network: StudyNetwork
    accuracy: Accuracy
    lost: float
    error: float | None  # standard error of `lost`; None where a network has a single run
    saved_as_printed: int
    saved_in_full: int

    @property
    def lost_per_saved(self) -> float | None:
        """Points lost for each 100,000 parameters saved, counted in full; None where none are."""
        return 1e5 * self.lost / self.saved_in_full if self.saved_in_full > 0 else None


def losses(chosen: Sequence[StudyNetwork], records: Sequence[Record], dataset: str = "cifar10") -> list[Loss]:
    """Return what each network with bottlenecks loses against OctConv of the same alpha, recipe by recipe."""
    return [
        _loss(network, base, accuracy, against)
        for network in chosen
        for base in chosen
        if network.row.paths and _is_base(base, network)
        for accuracy in network.accuracies(records, dataset)
        for against in base.accuracies(records, dataset)
        if accuracy.training == against.training
    ]


def _is_base(other: StudyNetwork, network: StudyNetwork) -> bool:
    same = other.row.alpha == network.row.alpha and other.depth == network.depth
    return same and not other.row.paths


def _loss(network: StudyNetwork, base: StudyNetwork, accuracy: Accuracy, against: Accuracy) -> Loss:
    errors = accuracy.error, against.error
    return Loss(
        network,
        accuracy,
        lost=against.mean - accuracy.mean,
        error=None if errors[0] is None or errors[1] is None else hypot(errors[0], errors[1]),
        **saved(network, base),
    )


def accuracy_table(
    chosen: Sequence[StudyNetwork], records: Sequence[Record], dataset: str = "cifar10"
) -> Table:
    """Return one row per network and recipe: the printed accuracy and the measured one."""
    rows = [
        {"network": network.label, "trained": network.trained(), "printed": _printed(network), **measured}
        for network in chosen
        for measured in [described(a) for a in network.accuracies(records, dataset)] or [{}]
    ]
    columns = [
        Column("network", "network"),
        Column("trained", "trained", "count"),
        Column("printed", "paper, %"),
        Column("mean", "mean, %"),
        Column("deviation", "sd"),
        Column("runs", "n", "count"),
        Column("recipe", "recipe"),
    ]
    return Table("accuracy", f"Test accuracy, {dataset}", columns, rows)


def _printed(network: StudyNetwork) -> str | None:
    """The paper's accuracy, where the network is exactly the paper's."""
    is_the_papers = network.depth == network.row.depth and not network.frozen
    return network.row.accuracy if is_the_papers else None


def loss_table(found: Sequence[Loss]) -> Table:
    """Return one row per network with bottlenecks: points lost, their standard error, parameters saved."""
    rows = [
        {
            "network": loss.network.label,
            "lost": f"{loss.lost:.2f}",
            "error": None if loss.error is None else f"{loss.error:.2f}",
            "saved_as_printed": loss.saved_as_printed,
            "saved_in_full": loss.saved_in_full,
            "lost_per_saved": None if loss.lost_per_saved is None else f"{loss.lost_per_saved:.2f}",
            "recipe": loss.accuracy.text,
        }
        for loss in found
    ]
    columns = [
        Column("network", "network"),
        Column("lost", "lost"),
        Column("error", "se"),
        *SAVED_COLUMNS,
        Column("lost_per_saved", "lost/100k"),
        Column("recipe", "recipe"),
    ]
    return Table("losses", LOSSES, columns, rows)


@dataclass(frozen=True)
class Selection:
    """Section 5.2's choice for one alpha: bottlenecks on all paths but the one that loses most accuracy."""

    alpha: Fraction
    recipe: str
    left_out: str
    margin: float  # how much more it loses than the next
    error: float | None  # standard error of that margin

    @property
    def paths(self) -> list[str]:
        """The paths that it chooses."""
        return [path for path in PATHS if path != self.left_out]


def selections(found: Sequence[Loss]) -> list[Selection]:
    """Return the choice for each alpha and recipe for which every single path was measured."""
    groups: dict[tuple[Fraction, str], list[Loss]] = {}
    for loss in found:
        if len(loss.network.row.paths) == 1 and not loss.network.frozen:
            groups.setdefault((loss.network.row.alpha, loss.accuracy.training), []).append(loss)
    return [_select(group) for group in groups.values() if len(group) == len(PATHS)]


def _select(group: Sequence[Loss]) -> Selection:
    worst, second = sorted(group, key=lambda loss: -loss.lost)[:2]
    errors = worst.accuracy.error, second.accuracy.error
    return Selection(
        worst.network.row.alpha,
        worst.accuracy.text,
        left_out=worst.network.row.path_text,
        margin=worst.lost - second.lost,
        error=None if errors[0] is None or errors[1] is None else hypot(errors[0], errors[1]),
    )


def selection_table(chosen: Sequence[Selection]) -> Table:
    """Return one row per alpha: the paths chosen, and how far the one left out is behind the next."""
    rows = [
        {
            "alpha": f"{float(one.alpha):.2f}",
            "paths": ",".join(one.paths),
            "left_out": one.left_out,
            "margin": f"{one.margin:.2f}",
            "error": None if one.error is None else f"{one.error:.2f}",
            "recipe": one.recipe,
        }
        for one in chosen
    ]
    columns = [
        Column("alpha", "alpha"),
        Column("paths", "bottlenecks on"),
        Column("left_out", "left out"),
        Column("margin", "margin of its loss, points"),
        Column("error", "se"),
        Column("recipe", "recipe"),
    ]
    return Table("selection", "The choice of section 5.2", columns, rows)
