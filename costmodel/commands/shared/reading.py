"""Reading the values of options: lists, ranges, values for each stage, sets of paths, sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TypeVar

from costmodel.operators.octave import PATHS
from costmodel.rounding import as_ratio, check_alpha, check_beta

T = TypeVar("T")
STAGE_SEPARATOR = "+"
LARGEST_SIDE = 999_999_999  # of an image, a filter or its padding
MOST_CONFIGURATIONS = 10_000  # entries of a list or a range: more than anyone would read


def ratios(text: str, check: Callable[[str], Fraction] = as_ratio) -> list[Fraction]:
    """Read a comma-separated list of ratios and ranges `start:stop:step`, the end included.

    Raises ValueError if an item is not a number or a range does not increase.

    >>> [str(ratio) for ratio in ratios("0:0.5:0.25,3/4")]
    ['0', '1/4', '1/2', '3/4']
    """
    items = text.split(",")
    if len(items) > 1 and not all(items):
        raise ValueError(f"a list needs a value before and after each comma, got {text}")
    return [check(ratio) for item in items for ratio in _item(item)]


def alphas(text: str) -> list[Fraction]:
    """Read a list or range of alphas in [0, 1]."""
    return ratios(text, check_alpha)


def betas(text: str) -> list[Fraction]:
    """Read a list or range of betas of at least 1."""
    return ratios(text, check_beta)


def whole(text: str, name: str) -> int:
    """Read a positive whole number. Raises ValueError if the text is not one."""
    if not re.fullmatch(r"0*[1-9]\d{0,8}", text, re.ASCII):
        raise ValueError(f"{name} must be a positive whole number, got {text}")
    return int(text)


def wholes(text: str, name: str) -> list[int]:
    """Read a list or range of whole numbers. Raises ValueError if one is a fraction.

    >>> wholes("16,24:40:8", "width")
    [16, 24, 32, 40]
    """
    numbers = ratios(text)
    for number in numbers:
        if number.denominator != 1:
            raise ValueError(f"{name} must be a whole number, got {number}")
    return [int(number) for number in numbers]


def per_stage(text: str, read: Callable[[str], T]) -> T | tuple[T, ...]:
    """Read one value, or three joined by +, one per stage.

    >>> per_stage("1/4+1/2+3/4", as_ratio)
    (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))
    """
    values = tuple(read(part) for part in text.split(STAGE_SEPARATOR))
    if len(values) not in (1, 3):
        raise ValueError(f"need one value, or three (one per stage) joined by +, got {len(values)}: {text}")
    return values[0] if len(values) == 1 else values


def listed(values: Sequence[str] | None) -> list[str]:
    """Return the values of an option that may be repeated, each time with a list.

    >>> listed(["macs,bytes", "calls"])
    ['macs', 'bytes', 'calls']
    """
    return [value for text in values or () for value in text.split(",")]


def joined(values: Sequence[str] | None) -> str | None:
    """Return the values of such an option as one list; None if there are none.

    >>> joined(["macs,bytes", "calls"]), joined([])
    ('macs,bytes,calls', None)
    """
    return ",".join(values) if values else None


def path_names(text: str) -> frozenset[str]:
    """Read a set of paths, in any order and case; `all` and `none` stand alone.

    >>> sorted(path_names("ll,HL"))
    ['HL', 'LL']
    """
    if text.lower() in ("all", "none"):
        return frozenset(PATHS if text.lower() == "all" else ())
    names = text.upper().split(",")
    for name in names:
        if name not in PATHS:
            raise ValueError(f"paths must be some of {','.join(PATHS)}, all or none, got {text}")
    return frozenset(names)


def sides(text: str, name: str, examples: tuple[str, str] = ("32", "32x48")) -> tuple[int, int]:
    """Read a size: 32 or 32x48.

    >>> sides("32x48", "size")
    (32, 48)
    """
    match = re.fullmatch(r"0*([1-9]\d*)(?:[xX]0*([1-9]\d*))?", text, re.ASCII)
    if match is None:
        raise ValueError(
            f"{name} must be a positive whole number such as {examples[0]}, or two such as {examples[1]},"
            f" got {text}"
        )
    return _side(match[1], name, text), _side(match[2] or match[1], name, text)


def lengths(text: str, name: str, dimensions: int, least: int = 1) -> tuple[int, ...]:
    """Read a whole number per dimension, or one for all of them.

    >>> lengths("16", "size", 3), lengths("4x5", "size", 2), lengths("0", "padding", 2, least=0)
    ((16, 16, 16), (4, 5), (0, 0))
    """
    parts = text.lower().split("x")
    whole = all(re.fullmatch(r"[0-9]+", part) for part in parts)
    numbers = [_side(part.lstrip("0") or "0", name, text) for part in parts] if whole else [-1]
    if min(numbers) < least or len(parts) not in (1, dimensions):
        example = "x".join(("1", "2", "3")[:dimensions])
        several = f", or {dimensions} such as {example}" if dimensions > 1 else ""
        kind = "positive whole" if least else "whole"
        raise ValueError(f"{name} must be a {kind} number such as 1{several}, got {text}")
    return tuple(numbers) * (dimensions if len(numbers) == 1 else 1)


def _side(digits: str, name: str, text: str) -> int:
    if len(digits) > len(str(LARGEST_SIDE)):
        raise ValueError(f"{name} must be at most {LARGEST_SIDE:,}, got {text}")
    return int(digits)


def _item(text: str) -> list[str]:
    parts = text.split(":")
    if len(parts) == 1:
        return [text]  # as given, so that an error can restate it
    if len(parts) != 3:
        raise ValueError(f"a range is start:stop:step, such as 0:0.75:0.125, got {text}")
    start, stop, step = map(as_ratio, parts)
    if step <= 0 or stop < start:
        raise ValueError(f"a range start:stop:step needs a positive step and stop >= start, got {text}")
    steps = (stop - start) // step
    if steps >= MOST_CONFIGURATIONS:
        raise ValueError(
            f"a range may have at most {MOST_CONFIGURATIONS:,} values, got {steps + 1:,}: {text}"
        )
    return [str(start + i * step) for i in range(steps + 1)]
