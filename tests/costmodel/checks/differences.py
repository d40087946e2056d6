"""What the tests of planted defects read in the lines that a check returns."""

from collections.abc import Iterable


def layers_of(differences: Iterable[str]) -> set[str]:
    """Return the layers that are named, totals apart."""
    names = {line.partition(":")[0] for line in differences if not line.startswith("holds only if")}
    return {name for name in names if name != "total" and not name.startswith("all ")}
