"""Let `Fraction` compute with recorded sizes."""

from __future__ import annotations

import fractions
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from costmodel.checks.proof.recorded import is_recorded


def _gcd(*numbers: Any) -> int:
    # A ratio of recorded sizes stays unreduced: its value is the same.
    return 1 if any(map(is_recorded, numbers)) else math.gcd(*numbers)


def _equal(original: Callable[[Fraction, Any], Any], a: Fraction, b: Any) -> Any:
    # Ratios that are not reduced are equal where their cross products are.
    if any(map(is_recorded, (a.numerator, a.denominator, getattr(b, "numerator", 0)))):
        return a.numerator * b.denominator == b.numerator * a.denominator
    return original(a, b)


@contextmanager
def unreduced_ratios() -> Iterator[None]:
    """Let `Fraction` compute with recorded sizes, whose common divisors nobody knows."""
    module: Any = fractions
    gcds, equal = module.math, Fraction.__eq__
    module.math = SimpleNamespace(**{**vars(math), "gcd": _gcd})
    Fraction.__eq__ = lambda a, b: _equal(equal, a, b)  # type: ignore[method-assign]
    try:
        yield
    finally:
        module.math = gcds
        Fraction.__eq__ = equal  # type: ignore[method-assign]
