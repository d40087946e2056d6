"""What claims about tables at random points share: a choice of what is counted, and cells compared."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import partial
from typing import Any

import sympy as sp

from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.prove import Compared, Identity
from costmodel.convention import DTYPE_BYTES
from costmodel.tables.counting import COUNTS, PARAMS, WORK, Totals

DTYPES = tuple(DTYPE_BYTES)


def random_totals(chosen: random.Random) -> Totals:
    """Return a choice of what is counted; in a third of all cases the default one."""
    work, params = WORK, PARAMS
    if chosen.random() < 0.67:
        work = params = frozenset(chosen.sample(COUNTS, chosen.randrange(1, len(COUNTS))))
    return Totals(
        work, params, chosen.choice(("mac", "flop")), chosen.choice(("", "k", "M")), chosen.randrange(1, 6)
    )


def identity(title: str, pairs: Any, *arguments: Any) -> Identity:
    """Return an identity between numbers."""
    return Identity(title, SizeDomain({}), partial(pairs, title, *arguments))


def cells(title: str, wanted: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[Compared]:
    """Yield the cells of a row beside what they must be; an empty cell is -1."""
    for key, value in wanted.items():
        cells = (sp.Rational(-1 if cell is None else cell) for cell in (value, row[key]))
        yield Compared(title, key, *cells)


def relative(count: int, base: int) -> Fraction | None:
    """Return the change against a base; None if that is 0."""
    return Fraction(count - base, base) if base else None


def against(name: str, own: Mapping[str, int], base: Mapping[str, int]) -> dict[str, Any]:
    """Return the changes of a row against a base."""
    return {f"{key}_vs_{name}": relative(own[key], base[key]) for key in own}
