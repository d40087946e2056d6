"""The end of the process: every error becomes one line and a documented exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

from costmodel.commands.shared.errors import BAD_INPUT, CLOSED_PIPE, INTERNAL, INTERRUPTED, UNSAVED, say
from costmodel.commands.shared.streams import FULL, UNWRITABLE, discard
from costmodel.memory import shortage

DEBUG = "PWOCT_COST_DEBUG"  # if set, the traceback of an internal error is printed too

# The base class of all usage errors. In Typer without Click it has no public name.
ShownError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def exit_code(run: Callable[[], Any]) -> int:
    """Run a command and return the exit code; any error becomes one line on stderr."""
    try:
        code = run()
        sys.stdout.flush()
    except ShownError as error:
        say(f"pwoct-cost: error: {error.format_message()}")
        return BAD_INPUT
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except SystemExit as end:  # from Typer: on a closed pipe, and after completion
        return CLOSED_PIPE if isinstance(end.__context__, BrokenPipeError) else _number(end.code)
    except Exception as error:
        return _told(error)
    return _number(code)


def _number(code: object) -> int:
    """Return an exit code as a number; this project never exits with a text, which Python would print."""
    if code is None:
        return 0
    return code if isinstance(code, int) else INTERNAL


def _told(error: Exception) -> int:
    """Report an error, and return the exit code."""
    if any(isinstance(each, KeyboardInterrupt) for each in _chain(error)):
        return INTERRUPTED  # an interrupted import, for example, ends in an ImportError
    if isinstance(error, OSError) and error.errno != errno.ENOMEM:
        return _file_trouble(error)
    if (lack := shortage(error)) is not None:
        say(f"pwoct-cost: error: {lack}")
        return BAD_INPUT
    return _internal(error)


def _file_trouble(error: OSError) -> int:
    """Report that a file or folder cannot be used; without a name, that stdout cannot be written."""
    if error.filename is not None:
        say(f"pwoct-cost: error: can't use {error.filename}: {error.strerror}")
        return UNSAVED if error.errno in FULL else BAD_INPUT
    if error.errno not in UNWRITABLE:
        return _internal(error)
    discard(sys.stdout)
    if error.errno == errno.EPIPE:
        return CLOSED_PIPE  # the exit code of a program stopped by SIGPIPE: the reader has read enough
    why = "stdout is closed" if error.errno == errno.EBADF else error.strerror
    say(f"pwoct-cost: error: the result can't be written: {why}")
    return UNSAVED


def _internal(error: Exception) -> int:
    """Report an internal error, and what a bug report needs."""
    lines = str(error).strip().splitlines()
    what = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    say(
        f"pwoct-cost: error: internal error, a bug in pwoct-cost: {what} ({_place(error)}); please"
        f" report this line with the command that led to it; {DEBUG}=1 adds the traceback"
    )
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    return INTERNAL


def _place(error: Exception) -> str:
    """Return file, line and function of the innermost frame in this project."""
    frames = traceback.extract_tb(error.__traceback__)
    root = Path(__file__).parents[3]
    ours = [frame for frame in frames if Path(frame.filename).parent.is_relative_to(root / "costmodel")]
    ours += [frame for frame in frames if Path(frame.filename).parent.is_relative_to(root / "pwoct")]
    if not ours:
        return "outside its own code"
    last = max(ours, key=frames.index)
    return f"{Path(last.filename).relative_to(root).as_posix()}:{last.lineno}, {last.name}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
