"""Exit codes and messages: each message is one line on stderr, whatever it quotes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer

from costmodel.commands.shared.streams import FULL, discard
from costmodel.text import restated, visible

# Exit codes, as documented in docs/conventions.md.
OK, CHECK_FAILED, BAD_INPUT, MISSING_EXTRA, DATA, CHECKPOINT, UNSAVED = range(7)
INTERNAL = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED, CLOSED_PIPE = 130, 141


def fail(message: str, code: int = BAD_INPUT) -> NoReturn:
    """Print one line on stderr and exit with a code."""
    say(f"pwoct-cost: error: {message}")
    raise typer.Exit(code)


def say(message: str) -> None:
    """Print a message on stderr, in one line and with control characters escaped.

    If stderr cannot be written, messages are lost; results and exit codes are unaffected.
    """
    try:
        print(visible(restated(message)), file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def warn(messages: Sequence[str]) -> None:
    """Print warnings on stderr, one per line."""
    for message in messages:
        say(f"pwoct-cost: warning: {message}")


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a library's warning in this project's format: one line, without the library's source line."""
    warn([str(message)])


@contextmanager
def bad_input() -> Iterator[None]:
    """Turn a ValueError, which states what was given and what is needed, into one line and exit code 2.

    If a full disk caused it, the exit code is 6.
    """
    try:
        yield
    except ValueError as error:
        fail(str(error), _unwritten(error.__cause__))


def _unwritten(error: BaseException | None) -> int:
    """Return the exit code of what an error left unwritten."""
    return UNSAVED if isinstance(error, OSError) and error.errno in FULL else BAD_INPUT


def check_folder(path: Path, what: str) -> None:
    """Raise ValueError unless a path is a folder."""
    if not path.is_dir():
        raise ValueError(
            f"{what} must be a folder, got {path}{'' if path.exists() else ', which does not exist'}"
        )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Exit with one line if a file cannot be written: with exit code 6 if the disk is full."""
    try:
        yield
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}", _unwritten(error))


def install_hint(extra: str) -> str:
    """Return how to install an extra, from a checkout: the package is on no index.

    >>> install_hint("plot")
    "install the extra plot (pip install '.[plot]')"
    """
    return f"install the extra {extra} (pip install '.[{extra}]')"


def require(module: str, extra: str) -> None:
    """Exit with code 3 unless an optional module is installed."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        fail(f"{module} is missing: {install_hint(extra)}", MISSING_EXTRA)
