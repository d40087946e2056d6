"""How many printed counts of `published_counts.csv` the search explains, and how many random numbers.

Needs timm and torchvision: python benchmarks/claims.py
"""

from __future__ import annotations

import csv
import random
import time
from pathlib import Path

from costmodel.digits import parse_figure
from costmodel.models import load
from costmodel.models.inputs import parse
from costmodel.reconcile.bridge import Prediction, predict
from costmodel.reconcile.claims import ClaimAnswer, search
from costmodel.reconcile.events import Seen
from costmodel.reconcile.observe import observe
from costmodel.reconcile.rules import counters

NUMBERS = 200
SIMPLE = 0  # a reading of so many steps is simple: our MACs, or what one counter prints
HERE = Path(__file__).parent


def asked(row: dict[str, str]) -> tuple[Seen, list[Prediction]]:
    """The network of a row as observed, and what counters say of it."""
    network = load(row["model"])
    args, kwargs = parse([row["input"]]).values(network.device)
    observed = observe(network.module, args, kwargs)
    return observed, [predict(observed, rules) for rules in counters().values()]


def explains(answer: ClaimAnswer, most: int | None = None) -> bool:
    return any(most is None or reading.complexity <= most for reading in answer.exact)


def is_expected(answer: ClaimAnswer, expected: str, predictions: list[Prediction]) -> tuple[bool, bool]:
    """Whether the expected counter's total is among the readings, and whether none is simpler."""
    total = next(one.total for one in predictions if one.counter.name == expected)
    ranks = [reading.complexity for reading in answer.exact if reading.value == total]
    return bool(ranks), bool(ranks) and min(ranks) <= answer.exact[0].complexity


def main() -> None:
    generator = random.Random(0)
    rows = list(csv.DictReader((HERE / "published_counts.csv").open(encoding="utf-8")))
    found = {"claims": len(rows), "explained": 0, "expected": 0, "first": 0}
    chance = {"simple": 0, "any": 0}
    slowest = 0.0
    networks = []
    for row in rows:
        observed, predictions = asked(row)
        start = time.process_time()
        beside = parse_figure(row["claim_params"])
        answer = search(parse_figure(row["claim"]), observed, predictions, beside)
        slowest = max(slowest, time.process_time() - start)
        among, first = is_expected(answer, row["expected"], predictions)
        found["explained"] += explains(answer)
        found["expected"] += among
        found["first"] += first
        if not among:
            print(row["model"], row["claim"], answer.exact[:1] or answer.nearest)
        networks.append((observed, predictions))
    for _ in range(NUMBERS):
        observed, predictions = generator.choice(networks)
        number = observed.macs * generator.uniform(0.8, 1.25) / 1e9
        answer = search(parse_figure(f"{number:.3f}G"), observed, predictions)
        chance["simple"] += explains(answer, SIMPLE)
        chance["any"] += explains(answer)
    print(found, f"of {NUMBERS} random numbers", chance, f"slowest {slowest:.3f} s of processor time")


if __name__ == "__main__":
    main()
