"""Alternating timing, so that a disturbance affects all candidates; medians, and their spread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median, quantiles

Clock = Callable[[], float]
MODES = ("inference", "training")  # what is timed: a forward pass, or a training step


@dataclass(frozen=True)
class Timing:
    """Seconds of one thing, in the order of the rounds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one.

        >>> Timing((3.0, 1.0, 2.0)).median
        2.0
        """
        return median(self.seconds)

    @property
    def spread(self) -> float:
        """The interquartile range as a fraction of the median."""
        if len(self.seconds) < 2:
            return 0.0
        low, _, high = quantiles(self.seconds, n=4, method="inclusive")
        return (high - low) / self.median

    def faster_than(self, other: Timing) -> float:
        """The speed-up over another timing of the same rounds: the median of the ratios, round by round.

        >>> Timing((1.0, 2.0)).faster_than(Timing((2.0, 8.0)))
        3.0
        """
        return median(b / a for a, b in zip(self.seconds, other.seconds, strict=True))


def in_turns(
    runs: Mapping[str, Callable[[], object]], rounds: int, clock: Clock = time.perf_counter
) -> dict[str, Timing]:
    """Return the timings of all runs: A B C A B C ..., after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            started = clock()
            run()
            if number:
                seconds[name].append(clock() - started)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}
