"""The three stages of a network, and the choices for each of them: alpha, beta, paths."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from costmodel.operators.octave import PATHS
from costmodel.sizes import check_choice

STAGES = (0, 1, 2)
WHOLE_SETS: Mapping[str, frozenset[str]] = {"all": frozenset(PATHS), "none": frozenset(), "": frozenset()}


@dataclass(frozen=True)
class Stage:
    """The choices for one stage: alpha, beta, and the paths that are bottlenecks."""

    alpha: Fraction = Fraction(0)
    beta: Fraction = Fraction(2)
    paths: frozenset[str] = frozenset()


def per_stage(value: Any, name: str) -> tuple[Any, ...]:
    """Return one value per stage; a single value applies to all three.

    >>> per_stage(2, "beta")
    (2, 2, 2)
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        return (value,) * len(STAGES)
    if len(value) != len(STAGES):
        raise ValueError(f"{name} must be one value or {len(STAGES)}, one per stage; got {len(value)}")
    return tuple(value)


def path_set(paths: Iterable[str]) -> frozenset[str]:
    """Return path names as a set, in any order and case; a text is comma-separated names, `all` or `none`.

    Raises ValueError if a name is not one of the four.

    >>> sorted(path_set(["ll", "HL"])), sorted(path_set("HL,LH")), path_set("none")
    (['HL', 'LL'], ['HL', 'LH'], frozenset())
    """
    if isinstance(paths, str):
        text = paths.strip()
        if text.lower() in WHOLE_SETS:
            return WHOLE_SETS[text.lower()]
        paths = text.split(",")
    names = [path.strip().upper() for path in paths]
    for name in names:
        check_choice("path", name, PATHS)
    return frozenset(names)


def ordered(paths: Collection[str]) -> list[str]:
    """Return path names in the order HH, HL, LH, LL."""
    return [path for path in PATHS if path in paths]


def paths_per_stage(paths: Iterable[str] | Sequence[Iterable[str]]) -> list[frozenset[str]]:
    """Return one set of paths per stage; a single set applies to all three.

    A text is one set, or three joined by +. A list of single path names is also one set; any other list has
    three sets.

    >>> [sorted(paths) for paths in paths_per_stage("HL,LH+none+all")]
    [['HL', 'LH'], [], ['HH', 'HL', 'LH', 'LL']]
    """
    if isinstance(paths, str):
        values: list[Iterable[str]] = list(paths.split("+"))
        return [path_set(value) for value in per_stage(values[0] if len(values) == 1 else values, "paths")]
    values = list(paths)
    names = [value for value in values if isinstance(value, str)]
    single = all(name.strip().upper() in PATHS for name in names)
    if len(names) == len(values) and (single or len(values) != len(STAGES)):
        return [path_set(names)] * len(STAGES)
    return [path_set(value) for value in per_stage(values, "paths")]
