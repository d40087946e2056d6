"""How many printed counts the search explains, how often the counter that was used comes first, and chance.

`published_counts.csv` is the file that rules and ranking were made with: it names the counter of each row.
`held_out_counts.csv` was collected after the search was finished, and says nothing of counters. Needs timm
and torchvision: python benchmarks/claims.py
"""

from __future__ import annotations

import csv
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from costmodel.digits import parse_figure
from costmodel.models import load
from costmodel.models.inputs import parse
from costmodel.reconcile.bridge import Prediction, predict
from costmodel.reconcile.claims import ClaimAnswer, agreed, search
from costmodel.reconcile.events import Seen
from costmodel.reconcile.observe import observe
from costmodel.reconcile.rules import counters
from costmodel.reconcile.variants import idle_layers

NUMBERS = 200
SIMPLE = 0  # a reading of so many steps is simple: our MACs, or what one counter prints
HERE = Path(__file__).parent


@dataclass
class Counted:
    """A row of a file, its network as it ran (also with auxiliary heads), and what counters say of it."""

    row: dict[str, str]
    seen: Seen
    predictions: list[Prediction]
    auxiliary: tuple[Seen, Sequence[Prediction]] | None

    def answer(self, text: str, params: str = "") -> ClaimAnswer:
        """The readings that give a number, and the parameters beside it."""
        beside = parse_figure(params) if params else None
        return search(parse_figure(text), self.seen, self.predictions, beside, self.auxiliary)

    def total(self, name: str) -> int:
        """What a counter says."""
        return next(one.total for one in self.predictions if one.counter.name == name)


def counted(row: dict[str, str]) -> Counted:
    network = load(row["model"])
    args, kwargs = parse([row["input"]]).values(network.device)
    rules = [one for one in counters().values() if not one.reads_files]
    seen = observe(network.module, args, kwargs)
    auxiliary = None
    if idle_layers(seen):
        more = observe(network.module, args, kwargs, auxiliary=True)
        auxiliary = more, [predict(more, one) for one in rules]
    return Counted(row, seen, [predict(seen, one) for one in rules], auxiliary)


def explains(answer: ClaimAnswer, most: int | None = None) -> bool:
    return any(most is None or reading.complexity <= most for reading in answer.exact)


def answers_to(networks: Sequence[Counted]) -> tuple[list[ClaimAnswer], list[float]]:
    """The answer to each row alone, and seconds per search."""
    answers, seconds = [], []
    for one in networks:
        start = time.process_time()
        answers.append(one.answer(one.row["claim"], one.row["claim_params"]))
        seconds.append(time.process_time() - start)
    return answers, seconds


def together(networks: Sequence[Counted], answers: Sequence[ClaimAnswer]) -> list[ClaimAnswer]:
    """The same answers, those of one source in the light of each other."""
    found = list(answers)
    for source in {one.row["source"] for one in networks}:
        at = [i for i, one in enumerate(networks) if one.row["source"] == source]
        for i, answer in zip(at, agreed([answers[i] for i in at]), strict=True):
            found[i] = answer
    return found


def true_ones(networks: Sequence[Counted], answers: Sequence[ClaimAnswer]) -> dict[str, int]:
    """How often the counter that was used is among the readings, and first where these give several."""
    found = {"true one found": 0, "among several": 0, "first of several": 0}
    for one, answer in zip(networks, answers, strict=True):
        values = [reading.value for reading in answer.exact]
        if one.total(one.row["expected"]) in values:
            found["true one found"] += 1
            found["among several"] += len(set(values)) > 1
            found["first of several"] += len(set(values)) > 1 and values[0] == one.total(one.row["expected"])
    return found


def report(name: str, networks: Sequence[Counted], answers: Sequence[ClaimAnswer]) -> None:
    found = {"claims": len(networks), "explained": sum(map(explains, answers))}
    found["simply"] = sum(explains(answer, SIMPLE) for answer in answers)
    print(name, found)
    if "expected" in networks[0].row:
        print("each row alone:", true_ones(networks, answers))
        print("rows of a source together:", true_ones(networks, together(networks, answers)))
    for one, answer in zip(networks, answers, strict=True):
        if not explains(answer) and answer.nearest:
            print("  not explained:", one.row["model"], one.row["claim"], answer.nearest.words,
                  f"{answer.nearest.value:,}")  # fmt: skip


def chance(networks: Sequence[Counted], decimals: int) -> None:
    """Random numbers near true ones, with as many decimals of a G: how many have a reading."""
    generator = random.Random(0)
    found = {"simple": 0, "any": 0, "any, with parameters": 0}
    for _ in range(NUMBERS):
        one = generator.choice(networks)
        text = f"{one.seen.macs * generator.uniform(0.8, 1.25) / 1e9:.{decimals}f}G"
        answer = one.answer(text)
        found["simple"] += explains(answer, SIMPLE)
        found["any"] += explains(answer)
        found["any, with parameters"] += explains(one.answer(text, f"{one.seen.parameters / 1e6:.2f}M"))
    print(f"of {NUMBERS} random numbers with {decimals} decimals of a G", found)


def main() -> None:
    for name in ("published_counts.csv", "held_out_counts.csv"):
        rows = csv.DictReader((HERE / name).open(encoding="utf-8"))
        networks = [counted(row) for row in rows]
        answers, seconds = answers_to(networks)
        report(name, networks, answers)
        mean = sum(seconds) / len(seconds)
        print(f"processor time per claim, n = {len(seconds)}: {mean:.4f} s, at most {max(seconds):.4f} s")
        if name.startswith("published"):
            chance(networks, 3)
            chance(networks, 2)


if __name__ == "__main__":
    main()
