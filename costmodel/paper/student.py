"""Student's t, and differences of means with their 95 % intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from math import sqrt
from statistics import variance

LEVEL = 0.95


@cache
def quantile(freedom: int, level: float = LEVEL) -> float:
    """Return the t that a Student variable of so many degrees of freedom exceeds in size with 1 - level.

    >>> [round(quantile(freedom), 3) for freedom in (1, 4, 8, 1000)]
    [12.706, 2.776, 2.306, 1.962]
    """
    import mpmath

    def outside(share: object) -> object:  # of freedom in freedom + t^2
        return mpmath.betainc(freedom / mpmath.mpf(2), 0.5, 0, share, regularized=True) - (1 - level)

    share = mpmath.findroot(outside, (0, 1), solver="bisect")
    return float(mpmath.sqrt(freedom * (1 - share) / share))


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

        >>> Interval(-1.5, 0.25).text
        '-1.50 ± 0.25'
        """
        return f"{self.value:.2f} ± {self.half:.2f}"

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


def mean_interval(values: Sequence[float], deviation: float) -> Interval:
    """Return the mean of at least two runs and its interval, t s / sqrt(n) of n - 1 degrees of freedom."""
    n = len(values)
    return Interval(sum(values) / n, quantile(n - 1) * deviation / sqrt(n))


def difference(first: Sequence[float], second: Sequence[float], deviation: float) -> Interval:
    """Return the difference of two means, with t s sqrt(1/n + 1/m) of n + m - 2 degrees of freedom.

    >>> difference([90.0, 91.0, 92.0], [88.0, 89.0, 90.0], 0.2).text
    '2.00 ± 0.45'
    """
    n, m = len(first), len(second)
    value = sum(first) / n - sum(second) / m
    return Interval(value, quantile(n + m - 2) * deviation * sqrt(1 / n + 1 / m))
