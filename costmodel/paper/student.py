"""Student's t: differences of means with their 95 % intervals, and their p-values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from math import sqrt
from statistics import stdev, variance
from typing import Any

LEVEL = 0.95


@cache
def quantile(freedom: int, level: float = LEVEL) -> float:
    """Return the t that |T| exceeds with probability 1 - level, T of Student's distribution (two-sided).

    >>> [round(quantile(freedom), 3) for freedom in (1, 4, 8, 1000)]
    [12.706, 2.776, 2.306, 1.962]
    """
    import mpmath

    share = mpmath.findroot(lambda share: _outside(share, freedom) - (1 - level), (0, 1), solver="bisect")
    return float(mpmath.sqrt(freedom * (1 - share) / share))


def probability(t: float, freedom: int) -> float:
    """Return the probability that |T| exceeds |t|, T of Student's distribution (two-sided).

    >>> round(probability(2.776, 4), 3), probability(0.0, 4)
    (0.05, 1.0)
    """
    return float(_outside(freedom / (freedom + t * t), freedom))


def _outside(share: Any, freedom: int) -> Any:
    """Return the probability beyond t, given by the share of `freedom` in `freedom` + t^2."""
    import mpmath

    return mpmath.betainc(freedom / mpmath.mpf(2), 0.5, 0, share, regularized=True)


def holm(probabilities: Sequence[float]) -> list[float]:
    """Return probabilities adjusted for their number, by the method of Holm (1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, largest = [0.0] * len(probabilities), 0.0
    order = sorted(range(len(probabilities)), key=probabilities.__getitem__)
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * probabilities[index]))
        adjusted[index] = largest
    return adjusted


def pooled(groups: Iterable[Sequence[float]]) -> tuple[float, int] | None:
    """Return the standard deviation within groups, and its degrees of freedom; None where no group has two.

    >>> pooled([[1.0, 3.0], [5.0, 7.0], [4.0]])
    (1.4142135623730951, 2)
    """
    several = [group for group in groups if len(group) > 1]
    freedom = sum(len(group) - 1 for group in several)
    if not freedom:
        return None
    return sqrt(sum(variance(group) * (len(group) - 1) for group in several) / freedom), freedom


@dataclass(frozen=True)
class Interval:
    """A mean or a difference of means, and the half-width of its 95 % interval; all numbers in points."""

    value: float
    half: float

    @property
    def low(self) -> float:
        """The lower end."""
        return self.value - self.half

    @property
    def high(self) -> float:
        """The upper end."""
        return self.value + self.half

    @property
    def text(self) -> str:
        """The value and its half-width.

        >>> Interval(-1.5, 0.25).text, Interval(-0.001, 0.25).text
        ('-1.50 ± 0.25', '0.00 ± 0.25')
        """
        return f"{self.value:z.2f} ± {self.half:.2f}"

    @property
    def positive(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low > 0

    @property
    def negative(self) -> bool:
        """Whether the whole interval is below 0."""
        return self.high < 0

    def overlaps(self, low: float, high: float) -> bool:
        """Return whether it has a point in common with [low, high]."""
        return self.low <= high and self.high >= low


def mean_interval(values: Sequence[float], deviation: float, freedom: int | None = None) -> Interval:
    """Return the mean of n runs and its interval, t s / sqrt(n); the default freedom is n - 1."""
    n = len(values)
    return Interval(sum(values) / n, quantile(freedom or n - 1) * deviation / sqrt(n))


def difference(
    first: Sequence[float], second: Sequence[float], deviation: float, freedom: int | None = None
) -> Interval:
    """Return the difference of two means, with t s sqrt(1/n + 1/m).

    The default freedom is that of the two groups, n + m - 2. Where s comes from more groups, that is too few,
    and the interval is wider than 95 % requires.

    >>> difference([90.0, 91.0, 92.0], [88.0, 89.0, 90.0], 0.2).text
    '2.00 ± 0.45'
    >>> difference([90.0, 91.0, 92.0], [88.0, 89.0, 90.0], 0.2, freedom=38).text
    '2.00 ± 0.33'
    """
    n, m = len(first), len(second)
    value = sum(first) / n - sum(second) / m
    return Interval(value, quantile(freedom or n + m - 2) * deviation * sqrt(1 / n + 1 / m))


def paired(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Return the mean difference of runs in pairs, with t s / sqrt(n), s that of the differences.

    >>> paired([90.0, 91.0, 92.0], [88.0, 89.0, 90.5]).text
    '1.83 ± 0.72'
    """
    differences = [a - b for a, b in zip(first, second, strict=True)]
    return mean_interval(differences, stdev(differences))
