"""What the records say of the networks of the accuracy study (docs/protocol.md): one accuracy per seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from costmodel.networks.resnet import resnet
from costmodel.operators.recorder import cost_of
from costmodel.paper.printed import Paper, PrintedRow
from costmodel.paper.records import WIDTH, Record
from costmodel.paper.selection import StudyNetwork
from costmodel.paper.student import pooled

EPOCHS, DATASET, PRECISION = 16, "cifar10", "bf16"
# The recipe `fast` as it was when the protocol was written: what every run of the study has in common.
TRAINING: Mapping[str, Any] = {
    "recipe": "fast",
    "epochs": EPOCHS,
    "batch": 128,
    "label_smoothing": 0.1,
    "data": {"dataset": DATASET, "validation": 0},
    "augmentation": {"shift": 0.125, "fill": "zero", "flip": True, "normalise": "channel"},
    "optimiser": {
        "name": "muon",
        "lr": 0.03,
        "rest_lr": 0.2,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 0.01,
        "decay": "matrices",
    },
    "schedule": {"name": "one_cycle", "warmup": 4.0, "milestones": [], "factors": []},
}
_TRAINING = json.dumps(TRAINING, sort_keys=True)
DEPTH = 20  # of part a
SEEDS, PLAIN_SEEDS, DEEP_SEEDS = 3, 5, 2
FROZEN = "1.3"  # the row that is also trained with frozen 1x1 convolutions
DEEP = ("1.1", "1.2", "1.3", "1.4", "1.5", "3.1", "3.4")  # of part c
# Plain networks (depth, width) of equal parameters and of equal MACs, by the row that they are compared with.
RIVALS: Mapping[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "1.3": ((20, 12), (14, 12)),
    "3.1": ((20, 15), (14, 16)),
}


@dataclass(frozen=True)
class Trained:
    """A network of the study, with what was measured of it: one accuracy per seed from 0, in per cent."""

    name: str
    short_name: str
    family: str  # of networks that a figure draws alike
    depth: int
    params: int
    macs: int
    wanted: int  # seeds
    by_seed: Mapping[int, float]
    printed: str | None = None  # the paper's accuracy of the same network at depth 56

    @property
    def values(self) -> tuple[float, ...]:
        """The accuracies, in the order of seeds."""
        return tuple(self.by_seed[seed] for seed in sorted(self.by_seed))

    @property
    def mean(self) -> float:
        """The mean of the seeds that were trained."""
        return sum(self.values) / len(self.values)

    @property
    def complete(self) -> bool:
        """Whether every seed of the protocol was trained."""
        return len(self.by_seed) == self.wanted


class StudyResults:
    """What the records say of parts a, b and c.

    Records of other recipes, seeds or networks do not count, nor those that carry a remark.
    """

    def __init__(self, paper: Paper, records: Sequence[Record]) -> None:
        self._given = len(records)
        self._records = [
            each
            for each in records
            if (each.training, each.precision, each.remarks) == (_TRAINING, PRECISION, ()) and each.fixed
        ]
        self._rows = {row.key: row for row in paper.rows}

    @cached_property
    def part_a(self) -> Mapping[str, Trained]:
        """The networks of Tables 1 to 3 at depth 20, by row; "frozen": 1.3 with 1x1 convolutions frozen."""
        rows = [key for key, row in self._rows.items() if row.table <= 3]
        found = {key: self._trained(StudyNetwork(self._rows[key], DEPTH)) for key in rows}
        return found | {"frozen": self._trained(StudyNetwork(self._rows[FROZEN], DEPTH, frozen=True))}

    @cached_property
    def part_b(self) -> Mapping[tuple[int, int], Trained]:
        """The plain networks of part b, by depth and width."""
        return {shape: self._plain(*shape) for pair in RIVALS.values() for shape in pair}

    @cached_property
    def part_c(self) -> Mapping[str, Trained]:
        """The networks that are trained at the paper's depth too, by row."""
        return {
            key: self._trained(StudyNetwork(self._rows[key], self._rows[key].depth), DEEP_SEEDS)
            for key in DEEP
        }

    @cached_property
    def deviation(self) -> tuple[float, int] | None:
        """The standard deviation between seeds, pooled over part a, and its degrees of freedom."""
        return pooled([network.values for network in self.part_a.values()])

    @property
    def others(self) -> int:
        """How many records are no run of the protocol."""
        parts = (self.part_a, self.part_b, self.part_c)
        return self._given - sum(done_and_wanted(part.values())[0] for part in parts)

    def _trained(self, network: StudyNetwork, seeds: int = SEEDS) -> Trained:
        row = network.row.at_depth(network.depth)
        wanted = PLAIN_SEEDS if row.kind == "plain" and network.depth == DEPTH else seeds
        values = self._values(network.label, wanted, lambda each: each.is_of(row, frozen=network.frozen))
        printed = None if network.frozen else network.row.accuracy
        names = network.label, network.short_label, network.family
        return Trained(*names, network.depth, *_counts(row), wanted, values, printed)

    def _plain(self, depth: int, width: int) -> Trained:
        plain = next(row for row in self._rows.values() if row.kind == "plain")
        name = f"plain-{depth}" + (f" (width {width})" if width != WIDTH else "")
        values = self._values(name, SEEDS, lambda each: each.is_of(plain, depth=depth, width=width))
        names = name, name, plain.family
        return Trained(*names, depth, *_plain_counts(depth, width), SEEDS, values)

    def _values(self, name: str, wanted: int, chosen: Callable[[Record], bool]) -> Mapping[int, float]:
        found: dict[int, float] = {}
        for each in self._records:
            if 0 <= each.seed < wanted and chosen(each):
                if each.seed in found:
                    raise ValueError(
                        f"two records are of {name} with seed {each.seed}: the study has one each"
                    )
                found[each.seed] = 100 * each.accuracy
        return found


@cache
def _counts(row: PrintedRow) -> tuple[int, int]:
    """Return the parameters and MACs of the network of a row."""
    cost = cost_of(row.network().operators())
    return int(cost.params), int(cost.macs)


@cache
def _plain_counts(depth: int, width: int) -> tuple[int, int]:
    cost = cost_of(resnet(depth, width=width).operators())
    return int(cost.params), int(cost.macs)


def done_and_wanted(networks: Collection[Trained]) -> tuple[int, int]:
    """Return how many runs of some networks are done, and how many there are."""
    return sum(len(one.by_seed) for one in networks), sum(one.wanted for one in networks)
