"""Formulas beside counts, as plain data: one row per module, one check per quantity, one verdict per count.

There is no tolerance. A module without a formula, or a formula without a module, has a count of 0 on the
missing side. A count is excused only where a known defect of its counter predicts exactly that wrong value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

# What is compared, and which counters count it.
COUNTED_BY: Mapping[str, tuple[str, ...]] = {
    "macs": ("fvcore", "FlopCounterMode"),
    "macs_training": ("FlopCounterMode",),
    "params": ("parameters()",),
    "activations": ("hooks",),
    "saved_bytes": ("saved_tensors_hooks",),
}

NAMES: Mapping[str, str] = {
    "macs": "MACs",
    "macs_training": "training MACs",
    "params": "parameters",
    "activations": "activation elements",
    "saved_bytes": "bytes saved",
}


@dataclass(frozen=True)
class Check:
    """One quantity of one module: the formula's value, and every counter's."""

    quantity: str
    formula: int
    counts: Mapping[str, int]  # by counter
    excuses: Mapping[str, str]  # by counter: the name of the known defect that predicts the wrong count

    @property
    def differing(self) -> list[str]:
        """The counters that contradict the formula, except through known defects."""
        return [
            name for name, count in self.counts.items() if count != self.formula and name not in self.excuses
        ]

    @property
    def shift(self) -> Mapping[str, int]:
        """By how much known defects change each counter's total."""
        return {name: self.counts[name] - self.formula for name in self.excuses}


@dataclass(frozen=True)
class Row:
    """All checks of one module."""

    name: str
    kind: str  # conv, linear, bn, or the class of a module that holds other operators
    checks: Sequence[Check]
    missing: str | None = None  # "formula" or "module"
    failure: str | None = None  # why the code did not run, so that nothing was compared

    @property
    def agrees(self) -> bool:
        """Whether both sides exist, the code runs, and no count contradicts the formula."""
        return next(self.differences(), None) is None

    def check(self, quantity: str) -> Check | None:
        """Return the check of a quantity, if it was compared."""
        return next((check for check in self.checks if check.quantity == quantity), None)

    def differences(self) -> Iterator[str]:
        """Yield a sentence for each contradiction."""
        if self.failure:
            yield self.failure
        if self.missing:
            yield f"{self.name}: there is no {self.missing} of this name"
        for check in self.checks:
            for counter in check.differing:
                yield (
                    f"{self.name}: {NAMES[check.quantity]}: formula {check.formula:,}, "
                    f"{counter} {check.counts[counter]:,}"
                )


@dataclass(frozen=True)
class Report:
    """What a verification found."""

    model: str
    rows: Sequence[Row]
    total: Row

    @property
    def differences(self) -> list[str]:
        """A sentence for each contradiction, layers first."""
        return [text for row in (*self.rows, self.total) for text in row.differences()]

    @property
    def excuses(self) -> list[tuple[str, str, str]]:
        """(module, quantity, known defect) of each excused count."""
        return [
            (row.name, check.quantity, defect)
            for row in self.rows
            for check in row.checks
            for defect in check.excuses.values()
        ]

    @property
    def numbers_compared(self) -> int:
        """The number of counts that were compared with a formula."""
        return sum(len(check.counts) for row in (*self.rows, self.total) for check in row.checks)


def total_row(rows: Iterable[Row], counts: Mapping[str, Mapping[str, int]]) -> Row:
    """Return the row of the whole model: the sum of the formulas beside each counter's own total.

    Where defects of a counter are excused in layers, its total is expected to be off by the same amount.
    """
    rows = list(rows)
    return Row("total", "total", [_total(rows, quantity, counts[quantity]) for quantity in counts])


def _total(rows: Sequence[Row], quantity: str, counts: Mapping[str, int]) -> Check:
    checks = [check for row in rows if (check := row.check(quantity))]
    formula = sum(check.formula for check in checks)
    excuses = {}
    for counter in counts:
        shifted = [check for check in checks if counter in check.excuses]
        if shifted and counts[counter] == formula + sum(check.shift[counter] for check in shifted):
            excuses[counter] = ", ".join(dict.fromkeys(check.excuses[counter] for check in shifted))
    return Check(quantity, formula, counts, excuses)
