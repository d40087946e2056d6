"""Arguments of the public interface: lone values where several are taken, and names of options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any


def several(values: Any) -> list[Any]:
    """Return values as a list; a string, or anything that is not iterable, is a single value.

    >>> several("1/4"), several(8), several(["macs"])
    (['1/4'], [8], ['macs'])
    """
    return list(values) if isinstance(values, Iterable) and not isinstance(values, str) else [values]


def some(values: Any, name: str) -> list[Any]:
    """Return values as a list, as `several` does. Raises ValueError if there are none."""
    found = several(values)
    if not found:
        raise ValueError(f"{name} needs at least one value, got none")
    return found


def keyword_names(*functions: Callable[..., Any]) -> list[str]:
    """Return the names of the keyword-only parameters of functions."""
    found = [parameter for each in functions for parameter in inspect.signature(each).parameters.values()]
    return list(dict.fromkeys(one.name for one in found if one.kind is inspect.Parameter.KEYWORD_ONLY))


def check_options(given: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Raise TypeError if an option is unknown; it names the nearest, and all that there are."""
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise TypeError(f"{where} has no option {name}: {hint}Options: {', '.join(known)}")
