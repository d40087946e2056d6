"""The rounding rule: how a ratio splits channels, and how wide a bottleneck is.

c_L = floor(alpha c), c_H = c - c_L; m = max(1, floor(c_out / beta)). alpha and beta are exact rationals.
`pwoct.channels` has its own copy: a check of one side against the other is meaningful only if both were
written independently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from numbers import Real
from typing import TypeAlias

import sympy as sp

from costmodel.sizes import Size, check_choice

RatioLike: TypeAlias = Fraction | float | str

# Fraction("1e999999999") would write all these digits out, for minutes.
_HUGE_EXPONENT = re.compile(r"e[+-]?[0-9_]{4}", re.IGNORECASE)
MOST_DIGITS = 40  # of a numerator or a denominator, since tables and messages write them out


def as_ratio(value: Fraction | float | str, name: str = "a ratio") -> Fraction:
    """Parse a ratio exactly; a float is taken as the decimal that Python prints for it.

    Raises ValueError if the text is not a number.

    >>> as_ratio("1/4"), as_ratio(0.1)
    (Fraction(1, 4), Fraction(1, 10))
    """
    if isinstance(value, Fraction):
        return value
    text = str(value) if isinstance(value, Real) else value  # numpy's numbers too
    try:
        return Fraction("" if isinstance(text, str) and _HUGE_EXPONENT.search(text) else text)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        raise ValueError(f"{name} must be a number such as 0.25 or 1/4, got {value}") from None


def check_alpha(alpha: Fraction | float | str, name: str = "alpha") -> Fraction:
    """Return alpha as an exact ratio in [0, 1], or raise ValueError."""
    ratio = _readable(as_ratio(alpha, name), name, alpha)
    if not 0 <= ratio <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {alpha}")
    return ratio


def check_beta(beta: Fraction | float | str) -> Fraction:
    """Return beta as an exact ratio of at least 1, or raise ValueError."""
    ratio = _readable(as_ratio(beta, "beta"), "beta", beta)
    if ratio < 1:
        raise ValueError(f"beta must be at least 1, got {beta}")
    return ratio


def split(channels: Size, alpha: Fraction | sp.Expr) -> tuple[Size, Size]:
    """Return (high, low) channels: low = floor(alpha c), high = c - low.

    >>> split(10, Fraction(4, 5))
    (2, 8)
    """
    low = _floor(channels * alpha)
    return channels - low, low


WIDTH_RULES: Mapping[str, Callable[[Size, Size], Size]] = {
    "out": lambda _, c_out: c_out * 2,
    "in": lambda c_in, _: c_in * 2,
    "min": lambda c_in, c_out: _minimum(c_in, c_out) * 2,
    "mean": lambda c_in, c_out: c_in + c_out,
}


def unrounded_hidden(
    c_in: Size, c_out: Size, beta: Fraction | sp.Expr, rule: str = "out"
) -> Fraction | sp.Expr:
    """Return the width of a bottleneck before rounding: c_out / beta, or that of another width rule."""
    check_choice("width rule", rule, WIDTH_RULES)
    twice = WIDTH_RULES[rule](c_in, c_out)
    return (
        Fraction(twice) / (2 * beta)
        if isinstance(twice, int) and isinstance(beta, int | Fraction)
        else twice / (2 * beta)
    )


def hidden(c_in: Size, c_out: Size, beta: Fraction | sp.Expr, rule: str = "out") -> Size:
    """Return the width m of a bottleneck, at least 1.

    >>> hidden(4, 12, Fraction(2)), hidden(4, 12, Fraction(2), "in"), hidden(1, 1, Fraction(2))
    (6, 2, 1)
    """
    width = _floor(unrounded_hidden(c_in, c_out, beta, rule))
    return max(1, width) if isinstance(width, int) else sp.Max(1, width)


def _readable(ratio: Fraction, name: str, given: Fraction | float | str) -> Fraction:
    """Return a ratio, or raise ValueError if it has too many digits, as 1e999999999 does."""
    if isinstance(given, str) and any(
        part >= 10**MOST_DIGITS for part in (abs(ratio.numerator), ratio.denominator)
    ):
        raise ValueError(f"{name} must be a ratio of numbers with at most {MOST_DIGITS} digits, got {given}")
    return ratio


def _floor(value: Fraction | int | sp.Expr) -> Size:
    if isinstance(value, int | Fraction):
        return value.__floor__()
    return sp.floor(value)


def _minimum(a: Size, b: Size) -> Size:
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else sp.Min(a, b)


def split_note(channels: Size, alpha: Fraction) -> str:
    """Return a sentence if the split is rounded, else nothing.

    >>> split_note(10, Fraction(1, 4))
    'alpha 1/4 of 10 channels is 2.5: c_L = 2'
    """
    if not isinstance(channels, int) or (alpha * channels).denominator == 1:
        return ""
    low = split(channels, alpha)[1]
    return f"alpha {alpha} of {channels} channels is {float(alpha * channels):g}: c_L = {low}"


def width_note(path: str, c_in: Size, c_out: Size, beta: Fraction, rule: str = "out") -> str:
    """Return a sentence if the width of a bottleneck is rounded, or raised to 1, else nothing.

    >>> width_note("LL", 1, 1, Fraction(2))
    'LL 1 → 1 at beta 2: 0.5 hidden channels: m = 1 (raised to 1)'
    """
    exact = unrounded_hidden(c_in, c_out, beta, rule)
    if not isinstance(exact, Fraction) or exact.denominator == 1:
        return ""
    raised = " (raised to 1)" if exact < 1 else ""
    m = hidden(c_in, c_out, beta, rule)
    return f"{path} {c_in} → {c_out} at beta {beta}: {float(exact):g} hidden channels: m = {m}{raised}"
