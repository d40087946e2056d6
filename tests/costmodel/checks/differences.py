"""What the tests of planted defects read in the lines that a check returns."""

from collections.abc import Iterable
from typing import Any

from costmodel.checks.prove import Identity


def layers_of(differences: Iterable[str]) -> set[str]:
    """Return the layers that are named, totals apart."""
    names = {line.partition(":")[0] for line in differences if not line.startswith("holds only if")}
    return {name for name in names if name != "total" and not name.startswith("all ")}


def differs(cases: Iterable[Any]) -> str:
    """Return the first difference that identities show; empty if there is none."""
    pairs = (pair for case in cases if isinstance(case, Identity) for pair in case.pairs())
    return next((str(pair) for pair in pairs if not pair.agrees), "")
