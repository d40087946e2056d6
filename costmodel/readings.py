"""The search that explains printed numbers: every way to count what there is, against the printed digits.

What there is in networks makes a matrix (networks, kinds); what readings count of it makes another (kinds,
countings); their product is every count at once, in exact 64-bit integers; `printed` says which of them have
the printed digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from costmodel.digits import PrintedCount, bounds

IntArray: TypeAlias = npt.NDArray[np.int64]
Made = TypeVar("Made")


def printed(
    values: IntArray, figure: PrintedCount, prefix: str = "10^3", rounding: str = "rounded"
) -> npt.NDArray[np.bool_]:
    """Return which numbers have the printed digits: the bounds are exact, so no division rounds."""
    low, high = bounds(figure, prefix, rounding)
    found: npt.NDArray[np.bool_] = (values >= low) & (values < high)
    return found


def choices(make: Callable[..., Made], axes: Mapping[str, Sequence[Any]]) -> Iterator[Made]:
    """Yield what is made of every combination of the values of axes.

    >>> list(choices(dict, {"a": (1, 2), "b": (3,)}))
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}]
    """
    for values in product(*axes.values()):
        yield make(**dict(zip(axes, values, strict=True)))


def weights_of(counted: Sequence[Mapping[Any, int]], kinds: Sequence[Any]) -> IntArray:
    """Return how often each way of counting counts each kind: (kinds, countings)."""
    return _matrix(counted, kinds).T


def every_count(there: Sequence[Mapping[Any, int]], kinds: Sequence[Any], weights: IntArray) -> IntArray:
    """Return what each way of counting gives for each network: (networks, countings).

    >>> kinds = ("conv", "bias")
    >>> every_count([{"conv": 9, "bias": 2}], kinds, weights_of([{"conv": 1}, {"conv": 1, "bias": 1}], kinds))
    array([[ 9, 11]])
    """
    return _matrix(there, kinds) @ weights


def _matrix(rows: Sequence[Mapping[Any, int]], kinds: Sequence[Any]) -> IntArray:
    return np.array([[row.get(kind, 0) for kind in kinds] for row in rows], dtype=np.int64)
