"""How channels are divided: exact ratios, the high/low split and the width of a bottleneck.

Every ratio is a `Fraction`, so that no channel is lost or gained by binary rounding:
``int((1 - 0.8) * 10)`` is 1, and this module says 2.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from math import floor
from numbers import Integral, Rational, Real
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
Ratio = Rational | float | str | Decimal

PATHS = ("HH", "HL", "LH", "LL")
WIDTH_RULES = ("out", "in", "min", "mean")
LARGEST_EXPONENT = 324  # of a float, in size: the least one is 5e-324


class Split(NamedTuple):
    """Channels of the two branches, or sizes of anything else that has a high and a low part."""

    high: int
    low: int


def as_ratio(value: Ratio, name: str = "ratio") -> Fraction:
    """Return `value` as an exact fraction; a float, or NumPy's, is read through its shortest decimal text.

    Raises:
        ValueError: if `value` is not a finite number, or its exponent exceeds that of any float.

    >>> as_ratio(0.1), as_ratio("3/8"), as_ratio(2)
    (Fraction(1, 10), Fraction(3, 8), Fraction(2, 1))
    """
    if isinstance(value, float):
        value = repr(float(value))
    elif isinstance(value, Real) and not isinstance(value, Rational):
        value = str(value)
    value = plain_int(value)
    try:
        if isinstance(value, str | Decimal):
            _check_exponent(str(value))
        return Fraction(value)
    except (ValueError, ZeroDivisionError, OverflowError, TypeError):
        raise ValueError(f"{name} must be a finite number such as 0.25 or 1/4, got {value}") from None


def _check_exponent(text: str) -> None:
    """Refuse a number with more digits than any float has, before its digits are written out."""
    exponent = re.search(r"[eE]([+-]?[\d_]+)", text)
    if exponent and abs(int(exponent[1])) > LARGEST_EXPONENT:
        raise ValueError(text)


def as_alpha(value: Ratio, name: str = "alpha") -> Fraction:
    """Return the share of low-frequency channels as an exact fraction.

    Raises:
        ValueError: if it is outside [0, 1].

    >>> as_alpha(0.25)
    Fraction(1, 4)
    """
    alpha = as_ratio(value, name)
    if not 0 <= alpha <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {value}")
    return alpha


def as_beta(value: Ratio) -> Fraction:
    """Return the compression of a bottleneck as an exact fraction.

    Raises:
        ValueError: if it is below 1.

    >>> as_beta("5/2")
    Fraction(5, 2)
    """
    beta = as_ratio(value, "beta")
    if beta < 1:
        raise ValueError(f"beta must be at least 1, got {value}")
    return beta


def as_paths(names: Iterable[str]) -> tuple[str, ...]:
    """Return path names in the order HH, HL, LH, LL; a text is names between commas, `all` or `none`.

    Raises:
        ValueError: if a name is not one of the four, or `names` is neither a string nor an iterable.

    >>> as_paths(["ll", "HL"])
    ('HL', 'LL')
    >>> as_paths("hh,lh"), as_paths("none")
    (('HH', 'LH'), ())
    """
    if isinstance(names, str):
        whole = {"": (), "none": (), "all": PATHS}
        names = whole.get(names.strip().lower(), names.split(","))
    given = set(map(_as_path, path_names(names)))
    return tuple(path for path in PATHS if path in given)


def path_names(names: Iterable[T]) -> list[T]:
    """Return the members of an iterable of path names, or of sets of them.

    Raises:
        ValueError: if it is not iterable.
    """
    if not isinstance(names, Iterable):
        raise ValueError(f"paths must be among {', '.join(PATHS)}, or all or none, got {names!r}")
    return list(names)


def _as_path(name: str) -> str:
    path = name.strip().upper() if isinstance(name, str) else ""
    if path not in PATHS:
        raise ValueError(f"paths must be among {', '.join(PATHS)}, got {name!r}")
    return path


def split_channels(channels: int, alpha: Ratio) -> Split:
    """Return (c_H, c_L) with c_L = floor(alpha c) and c_H = c - c_L.

    Raises:
        ValueError: if `channels` is below 1 or `alpha` outside [0, 1].

    >>> split_channels(10, 0.8)
    Split(high=2, low=8)
    """
    (channels,) = as_sizes(channels=channels)
    low = floor(as_alpha(alpha) * channels)
    return Split(channels - low, low)


def hidden_channels(c_in: int, c_out: int, beta: Ratio, rule: str = "out") -> int:
    """Return the width m = max(1, floor(c / beta)) of a bottleneck between `c_in` and `c_out` channels.

    The rule chooses c: "out" c_out, "in" c_in, "min" the smaller, "mean" their mean.

    Raises:
        ValueError: if `beta` is below 1 or the rule is unknown.

    Source: Inoue and Gotoh, eq. (9) and (14), where the width is f/beta (rule "out").

    >>> hidden_channels(4, 12, 2), hidden_channels(4, 12, 2, "mean"), hidden_channels(1, 1, 2)
    (6, 4, 1)
    """
    check_choice("width_rule", rule, WIDTH_RULES)
    return max(1, floor(_WIDTHS[rule](c_in, c_out) / as_beta(beta)))


_WIDTHS: Mapping[str, Callable[[int, int], Fraction]] = {
    "out": lambda _, c_out: Fraction(c_out),
    "in": lambda c_in, _: Fraction(c_in),
    "min": lambda c_in, c_out: Fraction(min(c_in, c_out)),
    "mean": lambda c_in, c_out: Fraction(c_in + c_out, 2),
}


def plain_int(value: Any) -> Any:
    """Return any integer as Python's, which cannot overflow; anything else stays as it is."""
    return int(value) if isinstance(value, Integral) and not isinstance(value, int) else value


def is_size(value: Any) -> bool:
    """Whether a value is an integer of at least 1, Python's or NumPy's; a truth value is not."""
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    return bool(is_integer and value >= 1)


def as_sizes(**sizes: int) -> tuple[int, ...]:
    """Return sizes as Python's integers.

    Raises:
        ValueError: unless every size is an integer of at least 1.

    >>> as_sizes(width=16, classes=10)
    (16, 10)
    """
    for name, size in sizes.items():
        if not is_size(size):
            raise ValueError(f"{name} must be an integer of at least 1, got {size!r}")
    return tuple(map(plain_int, sizes.values()))


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raise ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
