"""The entry point of the process `pwoct-cost`, also as `python -m costmodel`.

It imports next to nothing, so that Ctrl-C works from the start. It loads `cli.py` by its path: another module
of that name, such as a user's own, neither replaces it nor is hidden by it.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import warnings
from importlib.util import module_from_spec, spec_from_file_location
from os.path import abspath, dirname, join
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType, ModuleType

STDERR = 2
SHOW_CURSOR = b"\x1b[?25h"
INTERRUPTED = 130  # a shell's exit code for SIGINT
SYMPY_CACHE = (
    "20000"  # results that sympy keeps of each function; its default of 1000 is too few for a network
)
# Allocations before Python collects garbage; at its default of 700, imports and traces take a seventh longer.
OBJECTS_BEFORE_COLLECTION = 50_000
IMPORTING = "<frozen importlib._bootstrap>"


def main() -> None:
    """Run the command line, and leave without a traceback whenever Ctrl-C is pressed."""
    signal.signal(signal.SIGINT, interrupt)
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    sys.unraisablehook = _unraisable
    os.environ.setdefault("SYMPY_CACHE_SIZE", SYMPY_CACHE)
    try:
        cli = command_line()
        warnings.showwarning = cli.show_warning
        cli.main()
    finally:
        signal.signal(signal.SIGINT, _leave)
        sys.stdout = (
            sys.stderr
        )  # the result is complete; anything imported code prints at exit is not part of it


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handle Ctrl-C: exit at once while modules are being imported, and raise KeyboardInterrupt otherwise.

    An import may turn KeyboardInterrupt into another error, or swallow it; nothing is being written then.
    """
    around = frame
    while around is not None:
        if around.f_code.co_filename == IMPORTING:
            _leave(number, frame)
        around = around.f_back
    raise KeyboardInterrupt


def command_line() -> ModuleType:
    """Return the module in `cli.py`, which is beside this package."""
    beside = join(dirname(dirname(abspath(__file__))), "cli.py")
    spec = spec_from_file_location("costmodel.cli", beside)
    if spec is None or spec.loader is None:
        raise ImportError("cli.py, which belongs beside the package costmodel, is missing")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _leave(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - as of every signal handler
    if os.isatty(STDERR) and os.environ.get("TERM", "dumb") != "dumb":
        os.write(STDERR, SHOW_CURSOR)  # a line of progress hides it
    os._exit(INTERRUPTED)


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Exit if Ctrl-C arrived in code that cannot propagate it, such as a destructor."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        _leave(signal.SIGINT, None)
    sys.__unraisablehook__(unraisable)


if __name__ == "__main__":
    main()
