"""Exit codes, and errors as one line on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import typer

# Exit codes, as documented in docs/conventions.md; signals are 130 and 143.
OK, CHECK_FAILED, BAD_INPUT, MISSING_EXTRA, DATA, CHECKPOINT, UNSAVED = range(7)
CLOSED_PIPE = 141


def fail(message: str, code: int = BAD_INPUT) -> NoReturn:
    """Print one line on stderr and leave with an exit code."""
    say(f"pwoct-cost: error: {message}")
    raise typer.Exit(code)


def say(message: str) -> None:
    """Print a line of talk: on stderr, in one line whatever it contains."""
    print(" ".join(message.split()), file=sys.stderr)


def warn(messages: Sequence[str]) -> None:
    """Print warnings on stderr, one a line."""
    for message in messages:
        say(f"pwoct-cost: warning: {message}")


@contextmanager
def bad_input() -> Iterator[None]:
    """Turn a ValueError, which says what was given and what is needed, into one line and exit code 2."""
    try:
        yield
    except ValueError as error:
        fail(str(error))


def require(module: str, extra: str) -> None:
    """Leave with exit code 3 unless an optional module is installed."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        fail(f"{module} is missing: pip install 'pwoct-cost[{extra}]'", MISSING_EXTRA)
