"""How many printed counts the search explains, how often the true counter comes first, and chance.

`published_counts.csv` is the file that rules and ranking were made with; `published_tables.csv` has counts
of model zoos and papers, whose first result led to more rules; the files `held_out_*.csv` were collected when
rules were finished. A column `expected` names the counter that was used, where that is known. Needs timm and
torchvision: python benchmarks/claims.py [FILE ...]
"""

from __future__ import annotations

import csv
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from costmodel.digits import parse_figure
from costmodel.models import load
from costmodel.models.inputs import parse
from costmodel.reconcile.bridge import Prediction, predict
from costmodel.reconcile.claims import ClaimAnswer, agreed, search
from costmodel.reconcile.events import Seen
from costmodel.reconcile.observe import observe
from costmodel.reconcile.rules import counters
from costmodel.reconcile.usage import OURS, Provenance, PublicSource, convention_of, family_of, sources
from costmodel.reconcile.variants import OtherRun, other_runs

NUMBERS = 200
SIMPLE = 0  # a reading with at most this many steps is simple: our MACs, or one counter's result
HERE = Path(__file__).parent
FILES = (
    "published_counts.csv",
    "published_tables.csv",
    "held_out_counts.csv",
    "held_out_fresh.csv",
    "held_out_counters.csv",
)


@dataclass
class Counted:
    """A row of a file, its network as it ran (also in other forms), and what counters say of it."""

    row: dict[str, str]
    seen: Seen
    predictions: list[Prediction]
    others: tuple[OtherRun, ...]

    def answer(
        self, text: str, params: str = "", source: str = "", known: Sequence[PublicSource] | None = None
    ) -> ClaimAnswer:
        """The readings that give a number, and the parameters beside it."""
        beside = parse_figure(params) if params else None
        printed = Provenance(source, self.row["model"].partition(":")[0], known)
        return search(parse_figure(text), self.seen, self.predictions, beside, self.others, printed)

    @property
    def family(self) -> str:
        """The family of the counter that was used; "" where it is not known."""
        expected = self.row.get("expected", "")
        return expected if expected in ("", OURS) else family_of(expected)


def counted(row: dict[str, str]) -> Counted:
    network = load(row["model"])
    args, kwargs = parse([row["input"]]).values(network.device)
    rules = [one for one in counters().values() if not one.reads_files]
    seen = observe(network.module, args, kwargs)

    def again(**form: Any) -> Seen | None:
        try:
            return observe(network.module, args, kwargs, **form)
        except ValueError:  # an auxiliary head does not take every size
            return None

    return Counted(row, seen, [predict(seen, one) for one in rules], other_runs(seen, again, rules))


def explains(answer: ClaimAnswer, most: int | None = None) -> bool:
    return any(most is None or reading.complexity <= most for reading in answer.exact)


def answers_to(
    networks: Sequence[Counted], *, named: bool, known: Sequence[PublicSource] | None = None
) -> tuple[list[ClaimAnswer], list[float]]:
    """The answer to each row alone, its source named or not, and seconds per search."""
    answers, seconds = [], []
    for one in networks:
        start = time.process_time()
        row = one.row
        answers.append(one.answer(row["claim"], row["claim_params"], row["source"] if named else "", known))
        seconds.append(time.process_time() - start)
    return answers, seconds


def together(networks: Sequence[Counted], answers: Sequence[ClaimAnswer]) -> list[ClaimAnswer]:
    """Return the answers when claims of one source inform each other."""
    found = list(answers)
    for source in {one.row["source"] for one in networks}:
        at = [i for i, one in enumerate(networks) if one.row["source"] == source]
        for i, answer in zip(at, agreed([answers[i] for i in at]), strict=True):
            found[i] = answer
    return found


def true_ones(networks: Sequence[Counted], answers: Sequence[ClaimAnswer]) -> dict[str, int]:
    """How often the counter that was used gives the digits, is among the simplest, and comes first.

    Rows count where several counts give the digits. `decided` are those in which the simplest readings are of
    one project.
    """
    found = Counter({"true one among several": 0, "among the simplest": 0, "first": 0, "decided": 0,
                     "first of decided": 0})  # fmt: skip
    for one, answer in zip(networks, answers, strict=True):
        is_there = any(one.family in reading.families for reading in answer.exact)
        if not one.family or not is_there or len({reading.value for reading in answer.exact}) == 1:
            continue
        simplest = [r for r in answer.exact if r.complexity == answer.exact[0].complexity]
        first = one.family in answer.exact[0].families
        decided = all(one.family in r.families for r in simplest) or len(simplest) == 1
        found.update({"true one among several": 1, "first": first, "decided": decided,
                      "among the simplest": any(one.family in r.families for r in simplest),
                      "first of decided": first and decided})  # fmt: skip
    return dict(found)


def report(name: str, networks: Sequence[Counted]) -> None:
    answers, seconds = answers_to(networks, named=False)
    found = {"claims": len(networks), "explained": sum(map(explains, answers))}
    found["simply"] = sum(explains(answer, SIMPLE) for answer in answers)
    print(name, found)
    print(f"processor time per claim: {sum(seconds) / len(seconds):.4f} s, at most {max(seconds):.4f} s")
    if any(one.family for one in networks):
        print("each row alone:", true_ones(networks, answers))
        print("with its source:", true_ones(networks, answers_to(networks, named=True)[0]))
        print("rows of a source together:", true_ones(networks, together(networks, answers)))
    for one, answer in zip(networks, answers, strict=True):
        if not explains(answer) and answer.nearest:
            print("  not explained:", one.row["model"], one.row["claim"], one.row["claim_params"] + ":",
                  answer.nearest.words, f"{answer.nearest.value:,}")  # fmt: skip


def crossed(networks: Sequence[Counted]) -> None:
    """The order that is taken from one half of the known sources, tried on rows of the other half."""
    names = sorted({one.row["source"] for one in networks if one.family})
    for half in (0, 1):
        tested = set(names[half::2])
        dropped = {one.name for name in tested if (one := convention_of(name))}
        known = [one for one in sources() if one.name not in dropped]
        rows = [one for one in networks if one.row["source"] in tested and one.family]
        answers, _ = answers_to(rows, named=False, known=known)
        print(f"order from {len(known)} sources, tried on {len(tested)} others:", true_ones(rows, answers))


def chance(networks: Sequence[Counted], decimals: int) -> None:
    """Count the random numbers near true ones, with as many decimals in G, that have a reading."""
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


def main(names: Sequence[str]) -> None:
    known: list[Counted] = []
    for name in names:
        rows = csv.DictReader((HERE / name).open(encoding="utf-8"))
        networks = [counted(row) for row in rows]
        report(name, networks)
        if name.startswith("published_counts"):
            chance(networks, 3)
            chance(networks, 2)
        known += [one for one in networks if one.family]
    if known:
        crossed(known)


if __name__ == "__main__":
    main(sys.argv[1:] or FILES)
