"""The three stages of a network, and the choices that each of them makes: alpha, beta, paths."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from costmodel.operators.octave import PATHS
from costmodel.sizes import check_choice

STAGES = (0, 1, 2)


@dataclass(frozen=True)
class Stage:
    """The choices for one stage: alpha, beta, and the paths that are bottlenecks."""

    alpha: Fraction = Fraction(0)
    beta: Fraction = Fraction(2)
    paths: frozenset[str] = frozenset()


def per_stage(value: Any, name: str) -> tuple[Any, ...]:
    """Return one value a stage: one value stands for all three.

    >>> per_stage(2, "beta")
    (2, 2, 2)
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        return (value,) * len(STAGES)
    if len(value) != len(STAGES):
        raise ValueError(f"{name} must be one value or {len(STAGES)}, one a stage; got {len(value)}")
    return tuple(value)


def path_set(paths: Iterable[str]) -> frozenset[str]:
    """Return path names as a set, in any order and case.

    >>> sorted(path_set(["ll", "HL"]))
    ['HL', 'LL']
    """
    names = [path.upper() for path in paths]
    for name in names:
        check_choice("path", name, PATHS)
    return frozenset(names)


def ordered(paths: Collection[str]) -> list[str]:
    """Return path names in the order HH, HL, LH, LL."""
    return [path for path in PATHS if path in paths]


def paths_per_stage(paths: Iterable[str] | Sequence[Iterable[str]]) -> list[frozenset[str]]:
    """Return one set of paths a stage: one collection of names stands for all three."""
    if isinstance(paths, str):
        raise ValueError(f"paths must be a list of path names such as ['HL', 'LH'], got the text {paths!r}")
    values = list(paths)
    if all(isinstance(value, str) for value in values):
        return [path_set(str(value) for value in values)] * len(STAGES)
    return [path_set(value) for value in per_stage(values, "paths")]
