"""What the tests of planted defects read in the lines that a check returns."""

from collections.abc import Iterable


def layers_of(differences: Iterable[str]) -> set[str]:
    """Return the layers that are named, totals apart."""
    return {line.partition(":")[0] for line in differences} - {"total", "all layers"}
