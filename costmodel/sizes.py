"""Sizes: integers or sympy expressions, with divisions and checks that work for both."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache, wraps
from numbers import Integral, Number
from typing import ParamSpec, TypeAlias, TypeVar, cast

import sympy as sp

Size: TypeAlias = int | sp.Expr
Pair: TypeAlias = tuple[Size, Size]
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
PLAIN = frozenset({int, bool, type(None)})


def remembered(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return a pure function of sizes that keeps its latest results: networks repeat their layers.

    Only results of plain integers are kept. A size that merely stands for one, as in a proof, notes what is
    asked of it, and a sympy number would be taken for the integer that it equals.
    """
    kept = lru_cache(maxsize=16384)(function)

    @wraps(function)
    def answer(*sizes: Arguments.args, **options: Arguments.kwargs) -> Result:
        is_kept = not options and PLAIN.issuperset(map(type, sizes))
        return cast("Callable[Arguments, Result]", kept if is_kept else function)(*sizes, **options)

    return answer


def ceil_div(size: Size, divisor: Size) -> Size:
    """Return the quotient, rounded up; a sympy `ceiling` if a size is a symbol.

    >>> ceil_div(33, 2)
    17
    """
    if isinstance(size, int) and isinstance(divisor, int):
        return -(-size // divisor)
    quotient = sp.sympify(size) / divisor
    return quotient if quotient.is_integer else sp.ceiling(quotient)


def floor_div(size: Size, divisor: Size) -> Size:
    """Return the quotient, rounded down; a sympy `floor` if a size is a symbol."""
    if isinstance(size, int) and isinstance(divisor, int):
        return size // divisor
    return sp.floor(sp.sympify(size) / divisor)


def exact_div(size: Size, divisor: Size) -> Size:
    """Return the quotient of two sizes, the second of which divides the first."""
    if isinstance(size, int) and isinstance(divisor, int):
        quotient, rest = divmod(size, divisor)
        if rest:
            raise ValueError(f"{divisor} must divide {size}")
        return quotient
    return sp.sympify(size) / divisor


def plain(value: Size) -> Size:
    """Return any integer as Python's, which cannot overflow; anything else stays as it is.

    >>> import numpy as np
    >>> type(plain(np.int64(3)))
    <class 'int'>
    """
    is_numpys = isinstance(value, Integral) and not isinstance(value, int | sp.Basic)
    return int(value) if is_numpys else value


def pair(value: Size | Iterable[Size]) -> Pair:
    """Return (height, width); a single number is used for both. Raises ValueError if it is neither.

    >>> pair(3), pair((3, 5))
    ((3, 3), (3, 5))
    """
    height, width = sides(value, 2, "a pair (height, width)")
    return height, width


def sides(value: Size | Iterable[Size], dim: int, needed: str) -> tuple[Size, ...]:
    """Return one number per dimension; a single number is used for all.

    Raises ValueError, with the words for what is needed, if there is neither one number nor `dim`.
    """
    if isinstance(value, Iterable) and not isinstance(value, str):
        sizes = tuple(map(plain, value))
        if len(sizes) == dim:
            return sizes
    elif not isinstance(value, str):
        return (plain(value),) * dim
    raise ValueError(f"one number, or {needed}, is needed, got {value!r}")


def whole(value: sp.Expr) -> Size:
    """Return a Python integer if an expression is one, else the expression."""
    return int(value) if value.is_Integer else value


def check_sizes(**sizes: Size | tuple[Size, ...]) -> None:
    """Raise ValueError if a size is neither a positive integer nor an expression."""
    for name, value in sizes.items():
        _check(name, value, 1)


def check_padding(padding: Size | tuple[Size, ...], name: str = "padding") -> None:
    """Raise ValueError if a padding is neither an integer from 0 nor an expression."""
    _check(name, padding, 0)


def _check(name: str, value: Size | tuple[Size, ...], least: int) -> None:
    for number in map(pythons, value if isinstance(value, tuple) else (value,)):
        if isinstance(number, int):
            if number < least:
                raise ValueError(f"{name} must be at least {least}, got {number}")
        elif not _may_be_whole(number):
            raise ValueError(f"{name} must be a whole number, got {number!r}")


def pythons(size: Size) -> Size:
    """Return numpy's and sympy's integers as Python's; anything else stays as it is."""
    return whole(size) if isinstance(size, sp.Basic) else plain(size)


def _may_be_whole(size: object) -> bool:
    if isinstance(size, sp.Basic):
        return size.is_integer is not False
    return isinstance(size, Integral) or not (size is None or isinstance(size, str | Number))


def check_most(what: str, value: int, most: int) -> None:
    """Raise ValueError if a number is larger than allowed."""
    if value > most:
        raise ValueError(f"{what} must be at most {most:,}, got {value:,}")


def check_groups(groups: Size, c_in: Size, c_out: Size) -> None:
    """Raise ValueError if groups do not divide both channel counts."""
    divisor = pythons(groups)
    for channels in map(pythons, (c_in, c_out)):
        if isinstance(divisor, int) and isinstance(channels, int) and channels % divisor:
            raise ValueError(f"groups must divide the channels {c_in} -> {c_out}, got {groups}")


def check_choice(what: str, value: str, choices: Iterable[str]) -> None:
    """Raise ValueError if a value is not one of the choices."""
    if value not in choices:
        raise ValueError(f"{what} must be one of {', '.join(choices)}, got {value}")
