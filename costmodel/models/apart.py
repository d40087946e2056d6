"""Jobs in separate processes, so that foreign code that crashes, hangs or patches torch harms nothing else.

A process receives its job as JSON on stdin and writes its result as JSON to the original stdout; output of
foreign code goes to stderr.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

# As `python -m`, but with this process's threshold of garbage collection, from the first import on.
RUN = (
    "import gc, runpy, sys; gc.set_threshold(int(sys.argv[1])); "
    "runpy.run_module(sys.argv[2], run_name='__main__', alter_sys=True)"
)


def command(module: str) -> list[str]:
    """Return the command that runs a module as such a job."""
    return [sys.executable, "-c", RUN, str(gc.get_threshold()[0]), module]


def environment() -> dict[str, str]:
    """Return an environment in which modules are found in the same places as in this process."""
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    return {**os.environ, "PYTHONPATH": paths}


def ending(code: int, errors: str) -> str:
    """Describe how a process ended without a result.

    >>> ending(-11, ""), ending(3, "a line\\nthe last one\\n")
    ('its process was ended by SIGSEGV', 'its process ended with exit code 3: the last one')
    """
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return f"its process ended with exit code {code}" + (f": {lines[-1]}" if lines else "")


def answer(do: Callable[[Mapping[str, Any]], Any]) -> NoReturn:
    """Run one job, read from stdin, and end the process."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    out.write(json.dumps(do(json.load(sys.stdin))))
    out.flush()
    os._exit(0)  # do not wait for threads that foreign code left running
